"""The truth about storage, one definition each, asked of rows: API, CLI and metrics show the same numbers.

physical = live + trash + reclaimable, to the byte: every copy is in exactly one of the three.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, case, func, or_, select, union

from entrepot.access.model import Project, Repository, Site
from entrepot.access.scoped import Scoped
from entrepot.catalog.errors import ManifestUnknownError, OperationUnknownError
from entrepot.catalog.operations import COLUMNS, Operation
from entrepot.catalog.quota import Usage
from entrepot.catalog.tables import (
    gc_review,
    manifest,
    operation,
    project,
    ref_blob,
    ref_manifest,
    repo,
    repo_blob,
    tag,
)
from entrepot.content.tables import blob, blob_copy, upload
from entrepot.runtime.database import Database
from entrepot.runtime.ports import Connection

PART = 500


@dataclass(frozen=True, slots=True)
class Storage:
    """What the whole store holds, in bytes.

    physical: every copy not purged yet, as the bucket has it. live: what pulls can reach. trash: deleted, or held by
    something deleted. reclaimable: linked or stored, and needed by nothing: leased, or waiting for the collector.
    logical: live bytes summed over repositories, before sharing. uploading: of uploads under way. waiting: reviews due
    or to come.
    """

    physical: int
    live: int
    trash: int
    reclaimable: int
    logical: int
    uploading: int
    waiting: int


@dataclass(frozen=True, slots=True)
class Share:
    """What a repository or tag holds, in bytes. exclusive: freed if it were gone; shared: needed by others too."""

    exclusive: int
    shared: int


@dataclass(frozen=True, slots=True)
class StorageQueries:
    """Asks *database*."""

    database: Database

    async def storage(self) -> Storage:
        """What the whole store holds."""
        trashed = blob_copy.c.state == "trashed"
        state = case((trashed, "trash"), (_in(_live()), "live"), (_in(_held()), "trash"), else_="reclaimable")
        classes = select(state.label("state"), blob_copy.c.size).subquery()
        by_class = select(classes.c.state, func.sum(classes.c.size)).group_by(classes.c.state)
        links = _live_links().subquery()
        blobs = select(_sum(blob.c.size)).join(links, links.c.digest == blob.c.digest)
        async with self.database.reading() as connection:
            sizes = {row[0]: int(row[1]) for row in await connection.execute(by_class)}
            logical = await _number(connection, blobs) + await _number(connection, _live_manifests())
            uploading = await _number(connection, select(_sum(upload.c.offset)))
            waiting = await _number(connection, select(func.count()).select_from(gc_review))
        live, trash, reclaimable = (sizes.get(name, 0) for name in ("live", "trash", "reclaimable"))
        return Storage(live + trash + reclaimable, live, trash, reclaimable, logical, uploading, waiting)

    async def overdue(self, now: datetime) -> timedelta:
        """How long the oldest review that is due has waited."""
        oldest = select(gc_review.c.review_after).order_by(gc_review.c.review_after).limit(1)
        async with self.database.reading() as connection:
            first = (await connection.execute(oldest)).scalar()
        return max(now - first, timedelta(0)) if first is not None else timedelta(0)

    async def repository(self, repository: Scoped[Repository]) -> Share:
        """What *repository* holds, its trash included."""
        async with self.database.reading() as connection:
            return await _repository(connection, repository.resource.id)

    async def tag(self, repository: Scoped[Repository], name: str) -> Share:
        """What the tag *name* holds: its manifest, what that lists, and their blobs. Raises ManifestUnknownError."""
        repo_id = repository.resource.id
        named = select(tag.c.digest).where(tag.c.repo_id == repo_id, tag.c.name == name)
        async with self.database.reading() as connection:
            digest = (await connection.execute(named)).scalar_one_or_none()
            if digest is None:
                raise ManifestUnknownError(f"{repository.resource.name} has no tag {name}")
            closure = await _closure(connection, repo_id, digest)
            own = await _freed_with(connection, repo_id, name, closure)
            return await _share(connection, repo_id, closure, own)

    async def manifests(self, repository: Scoped[Repository], digests: Collection[str]) -> Share:
        """What the manifests *digests* of *repository* hold, with their blobs."""
        repo_id, own = repository.resource.id, frozenset(digests)
        async with self.database.reading() as connection:
            return await _share(connection, repo_id, sorted(own), own)

    async def project(self, owner: Scoped[Project]) -> Share:
        """What the repositories of *owner* hold that are not deleted; what several of them share counts once."""
        theirs = select(repo.c.id).where(repo.c.project_id == owner.resource.id, repo.c.deleted_at.is_(None))
        others = select(repo.c.id).where(repo.c.project_id != owner.resource.id)
        other_link, other_manifest = repo_blob.alias(), manifest.alias()
        link = select(other_link.c.digest).where(other_link.c.digest == blob.c.digest, other_link.c.repo_id.in_(others))
        whole = select(other_manifest.c.digest).where(
            other_manifest.c.digest == blob.c.digest, other_manifest.c.repo_id.in_(others)
        )
        held = union(
            select(repo_blob.c.digest).where(repo_blob.c.repo_id.in_(theirs)),
            select(manifest.c.digest).where(manifest.c.repo_id.in_(theirs)),
        ).subquery()
        question = select(blob.c.size, or_(link.exists(), whole.exists()))
        async with self.database.reading() as connection:
            rows = list(await connection.execute(question.where(blob.c.digest.in_(select(held.c.digest)))))
        shared = sum(size for size, elsewhere in rows if elsewhere)
        return Share(sum(size for size, _ in rows) - shared, shared)

    async def trashed(self, now: datetime) -> int:
        """Bytes of copies in the trash whose time is over at *now*."""
        due = (blob_copy.c.state == "trashed") & (blob_copy.c.purge_after <= now)
        async with self.database.reading() as connection:
            return await _number(connection, select(_sum(blob_copy.c.size)).where(due))

    async def taken(self, id_: str) -> tuple[list[tuple[str, str]], int]:
        """What the operation *id_* holds in the trash: kinds and names of the first 1,000, and the bytes of all."""
        names = repo.alias()
        manifests = (
            select(manifest.c.digest, manifest.c.repo_id, names.c.name)
            .join(names, names.c.id == manifest.c.repo_id)
            .where(manifest.c.delete_op == id_)
            .order_by(names.c.name, manifest.c.digest)
        )
        whole = select(repo.c.id, repo.c.name).where(repo.c.delete_op == id_).order_by(repo.c.name)
        async with self.database.reading() as connection:
            found = (await connection.execute(manifests)).all()
            repositories = (await connection.execute(whole)).all()
            size = 0
            for repo_id in sorted({row.repo_id for row in found}):
                own = frozenset(row.digest for row in found if row.repo_id == repo_id)
                size += (await _share(connection, repo_id, sorted(own), own)).exclusive
            for row in repositories:
                size += (await _repository(connection, row.id)).exclusive
        items = [("repository", row.name) for row in repositories]
        return items + [("manifest", f"{row.name}@{row.digest}") for row in found], size

    async def quota(self, owner: Scoped[Project]) -> tuple[Usage, list[tuple[str, int]]]:
        """What *owner* keeps and may keep, and its largest repositories with their bytes."""
        sums = (
            select(repo.c.name, func.sum(repo_blob.c.size).label("size"))
            .join(repo_blob, repo_blob.c.repo_id == repo.c.id)
            .where(repo.c.project_id == owner.resource.id, repo.c.deleted_at.is_(None))
            .group_by(repo.c.name)
            .order_by(func.sum(repo_blob.c.size).desc(), repo.c.name)
            .limit(5)
        )
        async with self.database.reading() as connection:
            largest = [(each.name, int(each.size)) for each in await connection.execute(sums)]
        return await self.usage(owner), largest

    async def usage(self, owner: Scoped[Project]) -> Usage:
        """What *owner* keeps and may keep, without a look at its repositories."""
        columns = (project.c.quota_used, project.c.quota_limit)
        async with self.database.reading() as connection:
            row = (await connection.execute(select(*columns).where(project.c.id == owner.resource.id))).one()
        return Usage(row.quota_used, row.quota_limit)

    async def operations(self, owner: Scoped[Project], after: str | None, limit: int) -> list[Operation]:
        """Operations in *owner*, newest first, older than the id *after*."""
        return await self._operations(operation.c.project == owner.resource.name, after, limit)

    async def all_operations(self, site: Scoped[Site], after: str | None, limit: int) -> list[Operation]:
        """Operations anywhere, newest first, older than the id *after*."""
        del site  # the proof is enough
        return await self._operations(None, after, limit)

    async def operation(self, id_: str) -> Operation:
        """The operation *id_*. Raises OperationUnknownError."""
        async with self.database.reading() as connection:
            found = await connection.execute(select(*COLUMNS).where(operation.c.id == id_))
            row = found.one_or_none()
        if row is None:
            raise OperationUnknownError
        return Operation.of(row)

    async def _operations(self, where: ColumnElement[bool] | None, after: str | None, limit: int) -> list[Operation]:
        question = select(*COLUMNS).order_by(operation.c.id.desc()).limit(limit)
        question = question.where(where) if where is not None else question
        question = question.where(operation.c.id < after) if after else question
        async with self.database.reading() as connection:
            return [Operation.of(row) for row in await connection.execute(question)]


def _live_in() -> ColumnElement[bool]:
    """That a manifest lives, and its repository too."""
    return and_(manifest.c.deleted_at.is_(None), repo.c.deleted_at.is_(None))


def _live_links() -> Select[Any]:
    """Each repository and blob that a live manifest of it needs."""
    parent = and_(manifest.c.repo_id == ref_blob.c.repo_id, manifest.c.digest == ref_blob.c.parent)
    return (
        select(ref_blob.c.repo_id, ref_blob.c.digest)
        .distinct()
        .join(manifest, parent)
        .join(repo, repo.c.id == manifest.c.repo_id)
        .where(_live_in())
    )


def _live_manifests() -> Select[Any]:
    return select(_sum(manifest.c.size)).join(repo, repo.c.id == manifest.c.repo_id).where(_live_in())


def _live() -> Any:
    own = select(manifest.c.digest).join(repo, repo.c.id == manifest.c.repo_id).where(_live_in())
    return union(own, _live_links().with_only_columns(ref_blob.c.digest))


def _held() -> Any:
    hidden = select(repo_blob.c.digest).where(repo_blob.c.hidden_at.is_not(None))
    return union(select(manifest.c.digest), select(ref_blob.c.digest), hidden)


def _in(digests: Any) -> ColumnElement[bool]:
    return blob_copy.c.digest.in_(select(digests.subquery().c.digest))


def _sum(column: ColumnElement[int]) -> ColumnElement[int]:
    return func.coalesce(func.sum(column), 0)


async def _number(connection: Connection, question: Select[Any]) -> int:
    return int((await connection.execute(question)).scalar_one())


async def _repository(connection: Connection, repo_id: int) -> Share:
    other_link, other_manifest = repo_blob.alias(), manifest.alias()
    elsewhere_link = select(other_link.c.digest).where(
        other_link.c.digest == repo_blob.c.digest, other_link.c.repo_id != repo_id
    )
    elsewhere_manifest = select(other_manifest.c.digest).where(
        other_manifest.c.digest == manifest.c.digest, other_manifest.c.repo_id != repo_id
    )
    links = select(repo_blob.c.size, elsewhere_link.exists())
    manifests = select(manifest.c.size, elsewhere_manifest.exists())
    rows = list(await connection.execute(links.where(repo_blob.c.repo_id == repo_id)))
    rows += list(await connection.execute(manifests.where(manifest.c.repo_id == repo_id)))
    shared = sum(size for size, elsewhere in rows if elsewhere)
    return Share(sum(size for size, _ in rows) - shared, shared)


async def _share(connection: Connection, repo_id: int, closure: Sequence[str], own: Collection[str]) -> Share:
    """What the manifests *closure* and their blobs hold; *own*: those of them that would be gone."""
    sizes = await _sizes(connection, repo_id, closure)
    exclusive = 0
    for each, (size, is_manifest) in sizes.items():
        free = each in own if is_manifest else await _only_by(connection, repo_id, each, own)
        if free and not await _is_elsewhere(connection, repo_id, each):
            exclusive += size
    return Share(exclusive, sum(size for size, _ in sizes.values()) - exclusive)


async def _closure(connection: Connection, repo_id: int, digest: str) -> list[str]:
    """*digest* and the manifests it lists, at any depth."""
    found, level = {digest}, [digest]
    while level:
        question = select(ref_manifest.c.child).distinct().where(ref_manifest.c.repo_id == repo_id)
        rows = await connection.execute(question.where(ref_manifest.c.parent.in_(level[:PART])))
        new = {row.child for row in rows} - found
        found |= new
        level = level[PART:] + sorted(new)
    return sorted(found)


async def _freed_with(connection: Connection, repo_id: int, name: str, closure: Sequence[str]) -> set[str]:
    """Those manifests of *closure* that nothing but the tag *name* and each other names."""
    tagged = select(tag.c.digest).where(tag.c.repo_id == repo_id, tag.c.digest.in_(closure), tag.c.name != name)
    held = {row.digest for row in await connection.execute(tagged)}
    listed = select(ref_manifest.c.parent, ref_manifest.c.child).where(
        ref_manifest.c.repo_id == repo_id, ref_manifest.c.child.in_(closure)
    )
    pairs = [(row.parent, row.child) for row in await connection.execute(listed)]
    own = set(closure) - held
    while kept := {child for parent, child in pairs if child in own and parent not in own}:
        own -= kept
    return own


async def _sizes(connection: Connection, repo_id: int, closure: Sequence[str]) -> dict[str, tuple[int, bool]]:
    """Bytes of the manifests of *closure* and of all they need, and whether each is a manifest."""
    needed = select(ref_blob.c.digest).where(ref_blob.c.repo_id == repo_id, ref_blob.c.parent.in_(closure))
    blobs = select(blob.c.digest, blob.c.size).where(blob.c.digest.in_(needed))
    own = select(manifest.c.digest, manifest.c.size).where(
        manifest.c.repo_id == repo_id, manifest.c.digest.in_(closure)
    )
    found = {row.digest: (int(row.size), False) for row in await connection.execute(blobs)}
    return found | {row.digest: (int(row.size), True) for row in await connection.execute(own)}


async def _only_by(connection: Connection, repo_id: int, digest: str, own: Collection[str]) -> bool:
    needs = select(ref_blob.c.parent).where(ref_blob.c.repo_id == repo_id, ref_blob.c.digest == digest)
    if len(own) > PART:
        return all(row.parent in own for row in await connection.execute(needs))
    # A layer that thousands share is not read to its end.
    others = needs.where(ref_blob.c.parent.not_in(sorted(own))).limit(1)
    return (await connection.execute(others)).first() is None


async def _is_elsewhere(connection: Connection, repo_id: int, digest: str) -> bool:
    link = select(repo_blob.c.repo_id).where(repo_blob.c.digest == digest, repo_blob.c.repo_id != repo_id)
    whole = select(manifest.c.repo_id).where(manifest.c.digest == digest, manifest.c.repo_id != repo_id)
    row = (await connection.execute(select(or_(link.exists(), whole.exists())))).one()
    return bool(row[0])
