"""Links: "this repository has that blob".

Whoever hides a link locks it first and looks for references only then; whoever makes references locks the links they
need, in the order of their digests, and sees under his lock whether one is hidden (registry.md, section 4).
"""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import bindparam, select, update

from entrepot.access.model import Repository
from entrepot.access.scoped import Scoped
from entrepot.catalog import operations, quota, reviews
from entrepot.catalog.errors import BlobUnknownError, Parent, RepositoryUnknownError, StillReferencedError
from entrepot.catalog.model import BlobCommitted, BlobDeleted, BlobMounted, CopySuspected
from entrepot.catalog.operations import Deletion
from entrepot.catalog.tables import manifest, ref_blob, repo, repo_blob, tag
from entrepot.content import copies
from entrepot.content.tables import blob, blob_copy
from entrepot.oci.digest import Digest
from entrepot.runtime.unit_of_work import Unit
from entrepot.runtime.upsert import insert_or

CHUNK: Final = 500
LEASE: Final = timedelta(hours=24)
"""How long a blob stays that no manifest names yet: a push may take its time."""

PARENTS: Final = 5
MOST_TAGS: Final = 50
"""So many parents, and tags of theirs, a refusal names at most."""


# Statements of each push stand built: building one and finding its compiled text again takes longer than running it.
SIZE: Final = (
    select(blob.c.size, repo.c.deleted_at)
    .select_from(blob.join(repo, repo.c.id == bindparam("repo")))
    .where(blob.c.digest == bindparam("wanted"))
    .with_for_update(read=True, key_share=True)
)
LINK: Final = insert_or(repo_blob).on_conflict_do_nothing().returning(repo_blob.c.digest)
BESIDE: Final = (
    select(repo_blob.c.repo_id)
    .join(repo, repo.c.id == repo_blob.c.repo_id)
    .where(
        repo_blob.c.digest == bindparam("wanted"),
        repo.c.project_id == bindparam("project"),
        repo_blob.c.repo_id != bindparam("repo"),
    )
    .limit(1)
)


async def link(unit: Unit, repository: Scoped[Repository], digest: Digest, now: datetime) -> None:
    """The repository has *digest* from now on, whose blob row is there; a hidden link shows again.

    Raises QuotaExceededError, RepositoryUnknownError: it was deleted a moment ago; BlobUnknownError: so was the blob.
    """
    resource = repository.resource
    size = await _size(unit, resource.id, digest)
    await unit.serialize("link", resource.project.id, str(digest))
    values = {"linked_at": now, "hidden_at": None, "leased_until": now + LEASE}
    row = {"repo_id": resource.id, "digest": str(digest), "size": size, **values}
    if await unit.fetch_one(LINK, row) is None:
        there = (repo_blob.c.repo_id == resource.id) & (repo_blob.c.digest == str(digest))
        await unit.execute(update(repo_blob).where(there).values(values))
    elif not await _is_linked_beside(unit, resource, digest):
        await quota.charge(unit, resource.project, size)
    await reviews.ask(unit, reviews.Kind.LINK, [(resource.id, str(digest))], now + LEASE, "lease")


async def renew(unit: Unit, repo_id: int, digest: Digest, now: datetime) -> bool:
    """The lease of a link that shows begins anew; False if there is no such link any more."""
    there = (repo_blob.c.repo_id == repo_id) & (repo_blob.c.digest == str(digest)) & repo_blob.c.hidden_at.is_(None)
    if not (await unit.execute(update(repo_blob).where(there).values(leased_until=now + LEASE))).rowcount:
        return False
    await reviews.ask(unit, reviews.Kind.LINK, [(repo_id, str(digest))], now + LEASE, "lease")
    return True


def committed(repository: Scoped[Repository], digest: Digest, size: int) -> BlobCommitted:
    """The event of a blob pushed into *repository*."""
    resource = repository.resource
    return BlobCommitted(project=resource.project.name, repository=resource.name, digest=str(digest), size=size)


def mounted(repository: Scoped[Repository], digest: Digest, source: str) -> BlobMounted:
    """The event of a blob mounted into *repository* from *source*."""
    resource = repository.resource
    return BlobMounted(project=resource.project.name, repository=resource.name, digest=str(digest), source=source)


async def linked(unit: Unit, repo_id: int, digests: Iterable[Digest]) -> dict[str, int]:
    """Sizes in bytes of those of *digests* that the repository has with a good copy, by digest.

    They stay so until *unit* ends: nobody hides or removes a link meanwhile.
    """
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
            .order_by(repo_blob.c.digest)
            .with_for_update(read=True, key_share=True, of=repo_blob)
        )
        found |= {row.digest: row.size for row in await unit.fetch_all(question)}
    return found


async def hide(unit: Unit, repository: Scoped[Repository], digest: Digest, when: Deletion) -> str:
    """The repository has *digest* no more; the operation that undoes it.

    Raises BlobUnknownError, StillReferencedError: a live manifest needs it.
    """
    resource = repository.resource
    there = (repo_blob.c.repo_id == resource.id) & (repo_blob.c.digest == str(digest))
    row = await unit.fetch_one(select(repo_blob.c.hidden_at).where(there).with_for_update())
    if row is None or row.hidden_at is not None:
        raise BlobUnknownError(f"{digest.short()} is not in {resource.name}")
    parents = await _live_parents(unit, resource.id, digest)
    if parents:
        raise StillReferencedError(
            f"{digest.short()} is needed by manifest {parents[0].digest}; delete that one first", parents
        )
    await unit.execute(update(repo_blob).where(there).values(hidden_at=when.at))
    where = {"project": resource.project.name, "repository": resource.name}
    op = await operations.begin(unit, operations.Kind.BLOB, when, **where, reference=str(digest))
    await reviews.ask(unit, reviews.Kind.LINK, [(resource.id, str(digest))], when.undo_until, "hidden")
    unit.emit(BlobDeleted(**where, digest=str(digest), operation=op))
    return op


async def show(unit: Unit, repo_id: int, digests: Iterable[str]) -> list[str]:
    """Those of *digests* the repository can't show, for want of a link or a good copy; all others show from now on."""
    wanted = sorted(set(digests))
    missing: list[str] = []
    for start in range(0, len(wanted), CHUNK):
        part = wanted[start : start + CHUNK]
        there = (repo_blob.c.repo_id == repo_id) & repo_blob.c.digest.in_(part)
        locked = select(repo_blob.c.digest).where(there).order_by(repo_blob.c.digest).with_for_update()
        links = {row.digest for row in await unit.fetch_all(locked)}
        good = select(blob_copy.c.digest).where(blob_copy.c.digest.in_(part), blob_copy.c.state == "ready").distinct()
        links &= {row.digest for row in await unit.fetch_all(good)}
        missing += [digest for digest in part if digest not in links]
        await unit.execute(update(repo_blob).where(there, repo_blob.c.digest.in_(links)).values(hidden_at=None))
    return missing


async def suspect(unit: Unit, key: str, reason: str) -> None:
    """The copy *key* is damaged, as *reason* says: it is not served again once *unit* is committed."""
    digest = await copies.suspect(unit, key)
    if digest is not None:
        unit.emit(CopySuspected(digest=digest, key=key, outcome="failed", reason=reason))


async def _size(unit: Unit, repo_id: int, digest: Digest) -> int:
    """The blob's size; it and the repository stay until *unit* ends."""
    row = await unit.fetch_one(SIZE, {"repo": repo_id, "wanted": str(digest)})
    if row is None:
        raise BlobUnknownError(f"{digest.short()} is gone; push it again")
    if row.deleted_at is not None:
        raise RepositoryUnknownError
    return int(row.size)


async def _is_linked_beside(unit: Unit, resource: Repository, digest: Digest) -> bool:
    values = {"wanted": str(digest), "project": resource.project.id, "repo": resource.id}
    return await unit.fetch_one(BESIDE, values) is not None


async def _live_parents(unit: Unit, repo_id: int, digest: Digest) -> Sequence[Parent]:
    question = (
        select(ref_blob.c.parent)
        .distinct()
        .join(manifest, (manifest.c.repo_id == ref_blob.c.repo_id) & (manifest.c.digest == ref_blob.c.parent))
        .where(ref_blob.c.repo_id == repo_id, ref_blob.c.digest == str(digest), manifest.c.deleted_at.is_(None))
        .limit(PARENTS)
    )
    parents = [row.parent for row in await unit.fetch_all(question)]
    named = select(tag.c.digest, tag.c.name).where(tag.c.repo_id == repo_id, tag.c.digest.in_(parents))
    names: dict[str, list[str]] = {parent: [] for parent in parents}
    for row in await unit.fetch_all(named.order_by(tag.c.name).limit(MOST_TAGS)) if parents else ():
        names[row.digest].append(row.name)
    return [Parent(parent, tuple(tags)) for parent, tags in names.items()]
