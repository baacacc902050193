"""What a deletion would take, before anybody asks for it.

The deletion itself is carried out and rolled back: so a plan is refused where the act would be, and names what it would
take.
"""

from dataclasses import dataclass
from typing import Final

from entrepot.access.model import Project, Repository, Site
from entrepot.access.scoped import Scoped
from entrepot.catalog import manifests, repositories, tags
from entrepot.catalog.lists import TAGS, CatalogLists
from entrepot.catalog.operations import Deletion, Kind, Operation
from entrepot.clock import Clock
from entrepot.lifecycle.lists import REPOSITORIES, RepositoryLists
from entrepot.lifecycle.queries import Share, StorageQueries
from entrepot.lifecycle.trash import check_confirmation, check_request
from entrepot.oci.digest import Digest
from entrepot.oci.reference import check_tag
from entrepot.runtime.unit_of_work import Unit, Work

MOST: Final = 1_000


@dataclass(frozen=True, slots=True)
class Plan:
    """What would go: kind and name of the first 1,000, and how many in all.

    size: bytes that nobody else needs, which are freed when the trash ends; shared: those that stay, for others.
    """

    items: tuple[tuple[str, str], ...]
    total: int
    size: int
    shared: int


@dataclass(frozen=True, slots=True)
class PlanDeletion:
    """Plans each deletion there is. Each call raises what the deletion would."""

    work: Work
    clock: Clock
    storage: StorageQueries
    lists: CatalogLists
    repositories: RepositoryLists

    async def reference(self, repository: Scoped[Repository], reference: str) -> Plan:
        """Of a tag, which takes no bytes with it, or of a digest with its tags and referrers."""
        name = repository.resource.name
        if ":" not in reference:
            tag = check_tag(reference)
            await self.work.rehearse(
                repository.principal.actor, lambda unit: tags.delete(unit, repository, tag, self._when().at)
            )
            return Plan((("tag", f"{name}:{tag}"),), 1, 0, 0)
        going, named = await self.work.rehearse(
            repository.principal.actor, lambda unit: self._digest(unit, repository, Digest.parse(reference))
        )
        share = await self.storage.manifests(repository, going)
        items = [("manifest", f"{name}@{digest}") for digest in going] + [("tag", f"{name}:{tag}") for tag in named]
        return _plan(items, len(items), share)

    async def repository(self, repository: Scoped[Repository]) -> Plan:
        """Of a repository with all its tags."""
        await self.work.rehearse(
            repository.principal.actor, lambda unit: repositories.delete(unit, repository, self._when())
        )
        wanted = TAGS.wanted(self.clock.now(), limit=MOST - 1, total=True)
        part = await self.lists.tags(repository, wanted)
        name = repository.resource.name
        items = [("repository", name), *(("tag", f"{name}:{row.name}") for row in part.items)]
        return _plan(items, 1 + (part.total or 0), await self.storage.repository(repository))

    async def project(self, project: Scoped[Project]) -> Plan:
        """Of a project with its repositories."""
        await self.work.rehearse(
            project.principal.actor, lambda unit: repositories.delete_project(unit, project, self._when())
        )
        wanted = REPOSITORIES.wanted(self.clock.now(), limit=MOST - 1, total=True)
        part = await self.repositories([project.resource.id], wanted)
        items = [("project", project.resource.name), *(("repository", row.name) for row in part.items)]
        return _plan(items, 1 + (part.total or 0), await self.storage.project(project))

    async def purge(self, site: Scoped[Site], operation: str, *, confirms: bool) -> Plan:
        """Of what the *operation* took, or, if it *confirms* one, of what that wish names."""
        now, taking = self.clock.now(), await self.storage.operation(operation)
        if confirms:
            check_confirmation(taking, site.principal.actor.name, now)
            taking = await self.storage.operation(taking.reference)
        check_request(taking, now)
        items, size = await self.storage.taken(taking.id)
        return _plan([(kind, _name(taking, name)) for kind, name in items], len(items), Share(size, 0))

    async def due(self, site: Scoped[Site]) -> Plan:
        """Of what the next run of the collector would remove for good."""
        del site  # the proof is enough
        return Plan((), 0, await self.storage.trashed(self.clock.now()), 0)

    async def _digest(self, unit: Unit, repository: Scoped[Repository], digest: Digest) -> tuple[list[str], list[str]]:
        op = await manifests.delete(unit, repository, digest, self._when())
        going = [each for _, each in await manifests.deleted_by(unit, op)]
        return sorted(going), sorted(await tags.deleted_by(unit, repository.resource.id, op))

    def _when(self) -> Deletion:
        now = self.clock.now()
        return Deletion(now, now)


def _plan(items: list[tuple[str, str]], total: int, share: Share) -> Plan:
    return Plan(tuple(items[:MOST]), total, share.exclusive, share.shared)


def _name(operation: Operation, name: str) -> str:
    """What was called *name* before *operation* put it aside."""
    if operation.kind is Kind.REPOSITORY:
        return operation.repository
    return operation.project + name.removeprefix(operation.reference) if operation.kind is Kind.PROJECT else name
