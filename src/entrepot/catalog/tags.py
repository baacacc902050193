"""Tags: each move writes the row, its history and the event, so that nobody can forget one of them."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, func, insert, select, update
from sqlalchemy import delete as delete_from

from entrepot.access.model import Repository
from entrepot.access.scoped import Scoped
from entrepot.catalog.errors import ManifestUnknownError, TagLockedError
from entrepot.catalog.model import TagDeleted, TagLocked, TagMoved, TagUnlocked
from entrepot.catalog.tables import repo, tag, tag_history
from entrepot.oci.digest import Digest
from entrepot.runtime.errors import StaleError
from entrepot.runtime.natural import natural_key
from entrepot.runtime.unit_of_work import Unit
from entrepot.runtime.upsert import insert_or


@dataclass(frozen=True, slots=True)
class TagState:
    """How a tag stands: what it names, by which move, and who locked it (None: nobody)."""

    digest: str
    rev: int
    locked_by: str | None


async def move(unit: Unit, repository: Scoped[Repository], name: str, digest: Digest, now: datetime) -> int:
    """The tag *name* names *digest* from now on; its count of moves. A tag that names it already stays as it is.

    Raises TagLockedError.
    """
    resource = repository.resource
    await unit.serialize("tag", resource.id, name)
    before = await unit.fetch_one(
        select(tag.c.digest, tag.c.rev, tag.c.locked_by).where(tag.c.repo_id == resource.id, tag.c.name == name)
    )
    if before is not None and before.digest == str(digest):
        return int(before.rev)
    if before is not None and before.locked_by is not None:
        raise TagLockedError(resource.name, name, before.locked_by)
    rev = await _next_rev(unit, resource.id, name)
    values = {"repo_id": resource.id, "name": name, "digest": str(digest), "rev": rev, "moved_at": now}
    values["natural_key"] = natural_key(name)
    key = [tag.c.repo_id, tag.c.name]
    await unit.execute(insert_or(tag).values(values).on_conflict_do_update(index_elements=key, set_=values))
    await _remember(unit, repository, name, rev, str(digest), now)
    event = TagMoved(
        project=resource.project.name,
        repository=resource.name,
        reference=name,
        digest=str(digest),
        before=before.digest if before is not None else "",
        rev=rev,
    )
    unit.emit(event)
    return rev


async def named(unit: Unit, repository: Scoped[Repository], name: str) -> str | None:
    """The digest the tag *name* names, until *unit* ends nobody else can move it; None if there is no such tag."""
    await unit.serialize("tag", repository.resource.id, name)
    question = select(tag.c.digest).where(tag.c.repo_id == repository.resource.id, tag.c.name == name)
    row = await unit.fetch_one(question)
    return None if row is None else str(row.digest)


async def named_by(unit: Unit, repo_id: int, name: str, rev: int) -> str | None:
    """The digest that the move *rev* made the tag *name* name; None of a deletion, and where there is no such move."""
    question = select(tag_history.c.digest).where(
        tag_history.c.repo_id == repo_id, tag_history.c.name == name, tag_history.c.rev == rev
    )
    row = await unit.fetch_one(question)
    return None if row is None or row.digest is None else str(row.digest)


async def named_before(unit: Unit, repo_id: int, name: str) -> str | None:
    """The digest the tag *name* named last before the one it names now; None if it never named another."""
    await unit.serialize("tag", repo_id, name)
    now = await unit.fetch_one(select(tag.c.digest).where(tag.c.repo_id == repo_id, tag.c.name == name))
    question = select(tag_history.c.digest).where(
        tag_history.c.repo_id == repo_id,
        tag_history.c.name == name,
        tag_history.c.digest.is_not(None),
        tag_history.c.digest != (now.digest if now is not None else ""),
    )
    row = await unit.fetch_one(question.order_by(tag_history.c.rev.desc()).limit(1))
    return None if row is None else str(row.digest)


async def check_free(unit: Unit, repo_id: int, name: str, digest: str) -> None:
    """Raises TagLockedError if the tag *name* is locked and names another digest."""
    await check_unlocked(unit, (tag.c.repo_id == repo_id) & (tag.c.name == name) & (tag.c.digest != digest))


async def delete(unit: Unit, repository: Scoped[Repository], name: str, now: datetime, op: str = "") -> None:
    """The tag *name* is gone, by the operation *op*; what it named stays.

    Raises ManifestUnknownError, TagLockedError.
    """
    resource = repository.resource
    await unit.serialize("tag", resource.id, name)
    await check_unlocked(unit, (tag.c.repo_id == resource.id) & (tag.c.name == name))
    statement = delete_from(tag).where(tag.c.repo_id == resource.id, tag.c.name == name).returning(tag.c.digest)
    row = await unit.fetch_one(statement)
    if row is None:
        raise ManifestUnknownError(f"{resource.name} has no tag {name}")
    await _remember(unit, repository, name, await _next_rev(unit, resource.id, name), None, now, op)
    where = {"project": resource.project.name, "repository": resource.name}
    unit.emit(TagDeleted(**where, reference=name, digest=row.digest, operation=op))


async def lock(
    unit: Unit, repository: Scoped[Repository], name: str, at: datetime | None, expected: TagState | None = None
) -> None:
    """The tag *name* is locked since *at*; None: it is unlocked. expected: how it must have stood, None for any way.

    Raises ManifestUnknownError, StaleError.
    """
    resource = repository.resource
    await unit.serialize("tag", resource.id, name)
    there = (tag.c.repo_id == resource.id) & (tag.c.name == name)
    row = await unit.fetch_one(select(tag.c.digest, tag.c.rev, tag.c.locked_by, tag.c.locked_at).where(there))
    if row is None:
        raise ManifestUnknownError(f"{resource.name} has no tag {name}")
    if expected not in {None, TagState(row.digest, row.rev, row.locked_by)}:
        raise StaleError
    if (row.locked_at is None) == (at is None):
        return
    await unit.execute(update(tag).where(there).values(locked_at=at, locked_by=None if at is None else unit.by.name))
    kind = TagLocked if at is not None else TagUnlocked
    where = {"project": resource.project.name, "repository": resource.name}
    unit.emit(kind(**where, reference=name, digest=row.digest))


async def check_unlocked(unit: Unit, which: ColumnElement[bool]) -> None:
    """Raises TagLockedError if one of the tags that match *which* is locked."""
    question = select(tag.c.name, tag.c.locked_by, repo.c.name.label("repository"))
    question = question.join(repo, repo.c.id == tag.c.repo_id).where(which, tag.c.locked_by.is_not(None)).limit(1)
    row = await unit.fetch_one(question)
    if row is not None:
        raise TagLockedError(row.repository, row.name, row.locked_by)


async def forget_all(
    unit: Unit, repository: Scoped[Repository], digest: Digest, now: datetime, op: str = ""
) -> list[str]:
    """Every tag of *digest* is gone, by the operation *op*; their names."""
    question = select(tag.c.name).where(tag.c.repo_id == repository.resource.id, tag.c.digest == str(digest))
    names = [row.name for row in await unit.fetch_all(question)]
    for name in names:
        await delete(unit, repository, name, now, op)
    return names


async def bring_back(unit: Unit, repository: Scoped[Repository], op: str, now: datetime) -> tuple[list[str], list[str]]:
    """Tags that the operation *op* deleted name again what they named; those moved, and those taken meanwhile.

    The latter stay as they are. What they name must be there and locked.
    """
    resource = repository.resource
    moved: list[str] = []
    taken: list[str] = []
    for name, digest in sorted((await deleted_by(unit, resource.id, op)).items()):
        await unit.serialize("tag", resource.id, name)
        there = await unit.fetch_one(select(tag.c.rev).where(tag.c.repo_id == resource.id, tag.c.name == name))
        if there is None:
            await move(unit, repository, name, Digest.parse(digest), now)
        (moved if there is None else taken).append(name)
    return moved, taken


async def deleted_by(unit: Unit, repo_id: int, op: str) -> dict[str, str]:
    """Names of the tags that the operation *op* deleted in the repository, and the digests they named."""
    before = tag_history.alias()
    question = (
        select(tag_history.c.name, before.c.digest)
        .join(
            before,
            (before.c.repo_id == tag_history.c.repo_id)
            & (before.c.name == tag_history.c.name)
            & (before.c.rev == tag_history.c.rev - 1),
        )
        .where(tag_history.c.repo_id == repo_id, tag_history.c.op == op, tag_history.c.digest.is_(None))
    )
    return {row.name: row.digest for row in await unit.fetch_all(question)}


async def _next_rev(unit: Unit, repo_id: int, name: str) -> int:
    """Counts on through deletions, so that a rev never names two moves."""
    question = select(func.max(tag_history.c.rev)).where(tag_history.c.repo_id == repo_id, tag_history.c.name == name)
    row = await unit.fetch_one(question)
    return int((row[0] if row is not None else None) or 0) + 1


async def _remember(
    unit: Unit, repository: Scoped[Repository], name: str, rev: int, digest: str | None, now: datetime, op: str = ""
) -> None:
    values = {"repo_id": repository.resource.id, "name": name, "rev": rev, "digest": digest, "at": now}
    await unit.execute(insert(tag_history).values(**values, actor=unit.by.name, op=op or None))
