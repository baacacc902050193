"""Links: "this repository has that blob"."""

from collections.abc import Iterable, Sequence
from datetime import datetime

from sqlalchemy import select, update

from entrepot.access.model import Repository
from entrepot.access.scoped import Scoped
from entrepot.catalog.errors import BlobUnknownError, StillReferencedError
from entrepot.catalog.model import BlobCommitted, BlobDeleted, BlobMounted, CopySuspected
from entrepot.catalog.tables import manifest, ref_blob, repo_blob
from entrepot.content import copies
from entrepot.content.tables import blob, blob_copy
from entrepot.oci.digest import Digest
from entrepot.runtime.unit_of_work import Unit
from entrepot.runtime.upsert import insert_or

CHUNK = 500


async def link(unit: Unit, repository: Scoped[Repository], digest: Digest, now: datetime) -> None:
    """The repository has *digest* from now on, whose blob row is there; a hidden link shows again."""
    statement = insert_or(repo_blob).values(repo_id=repository.resource.id, digest=str(digest), linked_at=now)
    statement = statement.on_conflict_do_update(
        index_elements=[repo_blob.c.repo_id, repo_blob.c.digest], set_={"hidden_at": None, "linked_at": now}
    )
    await unit.execute(statement)


def committed(repository: Scoped[Repository], digest: Digest, size: int) -> BlobCommitted:
    """The event of a blob pushed into *repository*."""
    resource = repository.resource
    return BlobCommitted(project=resource.project.name, repository=resource.name, digest=str(digest), size=size)


def mounted(repository: Scoped[Repository], digest: Digest, source: str) -> BlobMounted:
    """The event of a blob mounted into *repository* from *source*."""
    resource = repository.resource
    return BlobMounted(project=resource.project.name, repository=resource.name, digest=str(digest), source=source)


async def linked(unit: Unit, repo_id: int, digests: Iterable[Digest]) -> dict[str, int]:
    """Sizes in bytes of those of *digests* that the repository has with a good copy, by digest."""
    wanted = sorted({str(digest) for digest in digests})
    found: dict[str, int] = {}
    for start in range(0, len(wanted), CHUNK):
        question = (
            select(repo_blob.c.digest, blob.c.size)
            .join(blob, blob.c.digest == repo_blob.c.digest)
            .where(
                repo_blob.c.repo_id == repo_id,
                repo_blob.c.digest.in_(wanted[start : start + CHUNK]),
                repo_blob.c.hidden_at.is_(None),
                select(blob_copy.c.id)
                .where(blob_copy.c.digest == repo_blob.c.digest, blob_copy.c.state == "ready")
                .exists(),
            )
        )
        found |= {row.digest: row.size for row in await unit.fetch_all(question)}
    return found


async def hide(unit: Unit, repository: Scoped[Repository], digest: Digest, now: datetime) -> None:
    """The repository has *digest* no more. Raises BlobUnknownError, StillReferencedError: a live manifest needs it."""
    resource = repository.resource
    parents = await _live_parents(unit, resource.id, digest)
    if parents:
        raise StillReferencedError(
            f"{digest.short()} is needed by manifest {parents[0]}; delete that one first", parents
        )
    change = update(repo_blob).where(
        repo_blob.c.repo_id == resource.id, repo_blob.c.digest == str(digest), repo_blob.c.hidden_at.is_(None)
    )
    if not (await unit.execute(change.values(hidden_at=now))).rowcount:
        raise BlobUnknownError(f"{digest.short()} is not in {resource.name}")
    unit.emit(BlobDeleted(project=resource.project.name, repository=resource.name, digest=str(digest)))


async def suspect(unit: Unit, key: str, reason: str) -> None:
    """The copy *key* is damaged, as *reason* says: it is not served again once *unit* is committed."""
    digest = await copies.suspect(unit, key)
    if digest is not None:
        unit.emit(CopySuspected(digest=digest, key=key, outcome="failed", reason=reason))


async def _live_parents(unit: Unit, repo_id: int, digest: Digest) -> Sequence[str]:
    question = (
        select(ref_blob.c.parent)
        .join(manifest, (manifest.c.repo_id == ref_blob.c.repo_id) & (manifest.c.digest == ref_blob.c.parent))
        .where(ref_blob.c.repo_id == repo_id, ref_blob.c.digest == str(digest), manifest.c.deleted_at.is_(None))
        .limit(5)
    )
    return [row.parent for row in await unit.fetch_all(question)]
