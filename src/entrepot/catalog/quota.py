"""Quota of projects: what a project keeps, counted in the transaction that changes it.

Invariant: `quota_used` = the sizes of the distinct digests linked in the project's repositories, shared layers once,
plus the sizes of its manifests, trash included. It holds because a digest's first link and last unlink in a project
exclude one another (`serialize`, and the collector's lock on the blob), and each moves the counter in its own commit.
Example: a 10 MB layer in shop/web and shop/api counts 10 MB, and still does when shop/web lets go of it. Broken,
`tests/property/test_collector.py` fails.
"""

from dataclasses import dataclass
from typing import Final

from sqlalchemy import BigInteger, bindparam, func, or_, select, update

from entrepot.access.model import Project, Site
from entrepot.access.scoped import Scoped
from entrepot.catalog.errors import QuotaExceededError
from entrepot.catalog.model import QuotaChanged, QuotaNearlyUsed
from entrepot.catalog.tables import manifest, project, repo, repo_blob
from entrepot.content.tables import blob
from entrepot.runtime.errors import StaleError
from entrepot.runtime.unit_of_work import Unit, Work

NEARLY: Final = 0.9
LARGEST: Final = 5

# It comes with each push and stands built: building it takes longer than running it.
MORE: Final = project.c.quota_used + bindparam("more", type_=BigInteger)
CHARGE: Final = (
    update(project)
    .where(project.c.id == bindparam("owner"), or_(project.c.quota_limit.is_(None), project.c.quota_limit >= MORE))
    .values(quota_used=MORE)
    .returning(project.c.quota_used, project.c.quota_limit)
)


@dataclass(frozen=True, slots=True)
class Usage:
    """Bytes a project keeps, and its limit, None for none."""

    used: int
    limit: int | None

    @property
    def is_nearly_used(self) -> bool:
        """Whether nine tenths of the limit are passed."""
        return self.limit is not None and self.used >= self.limit * NEARLY


async def charge(unit: Unit, owner: Project, size: int) -> Usage:
    """*owner* keeps *size* bytes more. Raises QuotaExceededError, and then nothing is changed."""
    if not size:  # what adds nothing is never over, also where the limit was lowered below what is there
        return await usage(unit, owner.id)
    row = await unit.fetch_one(CHARGE, {"owner": owner.id, "more": size})
    if row is None:
        before = await usage(unit, owner.id)
        raise QuotaExceededError(owner.name, size, before.used, before.limit or 0, await largest(unit, owner.id))
    after = Usage(row.quota_used, row.quota_limit)
    if after.is_nearly_used and not Usage(after.used - size, after.limit).is_nearly_used:
        unit.emit(QuotaNearlyUsed(project=owner.name, used=after.used, limit=after.limit or 0))
    return after


async def discharge(unit: Unit, project_id: int, size: int) -> None:
    """The project keeps *size* bytes less."""
    change = update(project).where(project.c.id == project_id)
    await unit.execute(change.values(quota_used=project.c.quota_used - size))


async def usage(unit: Unit, project_id: int) -> Usage:
    """What the project keeps by its counter."""
    columns = (project.c.quota_used, project.c.quota_limit)
    row = (await unit.fetch_all(select(*columns).where(project.c.id == project_id)))[0]
    return Usage(row.quota_used, row.quota_limit)


async def recount(unit: Unit, project_id: int) -> int:
    """What the project keeps by its rows, in bytes: what the counter must say."""
    repositories = select(repo.c.id).where(repo.c.project_id == project_id)
    linked = select(repo_blob.c.digest).where(repo_blob.c.repo_id.in_(repositories))
    blobs = select(func.coalesce(func.sum(blob.c.size), 0)).where(blob.c.digest.in_(linked))
    manifests = select(func.coalesce(func.sum(manifest.c.size), 0)).where(manifest.c.repo_id.in_(repositories))
    (row,) = await unit.fetch_all(select((blobs.scalar_subquery() + manifests.scalar_subquery()).label("total")))
    return int(row.total)


async def largest(unit: Unit, project_id: int, limit: int = LARGEST) -> list[tuple[str, int]]:
    """The project's largest repositories by what each links and holds, in bytes, and their names."""
    links = (
        select(repo_blob.c.repo_id.label("repo_id"), func.sum(repo_blob.c.size).label("size"))
        .join(repo, repo.c.id == repo_blob.c.repo_id)
        .where(repo.c.project_id == project_id)
        .group_by(repo_blob.c.repo_id)
        .subquery()
    )
    question = (
        select(repo.c.name, links.c.size)
        .join(links, links.c.repo_id == repo.c.id)
        .where(repo.c.deleted_at.is_(None))
        .order_by(links.c.size.desc(), repo.c.name)
        .limit(limit)
    )
    return [(row.name, int(row.size)) for row in await unit.fetch_all(question)]


@dataclass(frozen=True, slots=True)
class SetQuota:
    """Says how much a project may keep."""

    work: Work

    async def __call__(
        self, site: Scoped[Site], owner: Project, limit: int | None, expected: Usage | None = None
    ) -> Usage:
        """*owner* may keep *limit* bytes, None for any number; what is there stays, also if it is more.

        expected: whose limit it must have had before, None for any. Raises StaleError.
        """
        return await self.work.run(site.principal.actor, lambda unit: self._set(unit, owner, limit, expected))

    async def _set(self, unit: Unit, owner: Project, limit: int | None, expected: Usage | None) -> Usage:
        await unit.execute(select(project.c.id).where(project.c.id == owner.id).with_for_update())
        before = await usage(unit, owner.id)
        if expected is not None and expected.limit != before.limit:
            raise StaleError
        if before.limit != limit:
            await unit.execute(update(project).where(project.c.id == owner.id).values(quota_limit=limit))
            unit.emit(QuotaChanged(project=owner.name, limit=limit, before=before.limit))
        return await usage(unit, owner.id)
