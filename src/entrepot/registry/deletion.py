"""Deletes by clients: a tag, a manifest with its tags and referrers, a blob, a repository, a project.

What others still need stays. Each is one operation, which can be undone for a while (lifecycle/trash.py).
"""

from dataclasses import dataclass
from datetime import timedelta

from entrepot.access.model import Permission, Principal, Project, Repository
from entrepot.access.scoped import Scoped
from entrepot.catalog import blobs, manifests, operations, repositories, tags
from entrepot.catalog.errors import RepositoryUnknownError
from entrepot.catalog.operations import Deletion
from entrepot.clock import Clock
from entrepot.oci.digest import Digest
from entrepot.oci.reference import check_tag
from entrepot.registry.pull import Pull
from entrepot.runtime.unit_of_work import Unit, Work


@dataclass(frozen=True, slots=True)
class Delete:
    """Takes things out of repositories, for *trash* so that they can come back. Gives the id of the operation."""

    pull: Pull
    work: Work
    clock: Clock
    trash: timedelta

    async def manifest(self, principal: Principal, name: str, reference: str) -> str:
        """The tag *reference* is gone, or the manifest of that digest with all its tags and referrers.

        Raises ManifestUnknownError, StillReferencedError, PermissionDeniedError.
        """
        repository = await self._scoped(principal, name)
        if ":" in reference:
            digest = Digest.parse(reference)
            return await self.work.run(
                principal.actor, lambda unit: manifests.delete(unit, repository, digest, self._when())
            )
        tag = check_tag(reference)
        return await self.work.run(principal.actor, lambda unit: self._tag(unit, repository, tag))

    async def blob(self, principal: Principal, name: str, digest: Digest) -> str:
        """The blob is hidden from *name*. Raises BlobUnknownError, StillReferencedError, PermissionDeniedError."""
        repository = await self._scoped(principal, name)
        return await self.work.run(principal.actor, lambda unit: blobs.hide(unit, repository, digest, self._when()))

    async def repository(self, repository: Scoped[Repository]) -> str:
        """*repository* is gone with all it has. Raises RepositoryUnknownError."""
        actor = repository.principal.actor
        return await self.work.run(actor, lambda unit: repositories.delete(unit, repository, self._when()))

    async def project(self, project: Scoped[Project]) -> str:
        """*project* is gone with all its repositories. Raises RepositoryUnknownError."""
        actor = project.principal.actor
        return await self.work.run(actor, lambda unit: repositories.delete_project(unit, project, self._when()))

    async def _tag(self, unit: Unit, repository: Scoped[Repository], name: str) -> str:
        when, resource = self._when(), repository.resource
        where = {"project": resource.project.name, "repository": resource.name}
        op = await operations.begin(unit, operations.Kind.TAG, when, **where, reference=name)
        await tags.delete(unit, repository, name, when.at, op)
        return op

    def _when(self) -> Deletion:
        now = self.clock.now()
        return Deletion(now, now + self.trash)

    async def _scoped(self, principal: Principal, name: str) -> Scoped[Repository]:
        repository = await self.pull.repository(principal, Permission.REPO_DELETE, name)
        if not repository.resource.id:
            raise RepositoryUnknownError
        return repository
