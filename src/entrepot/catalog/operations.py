"""Destructive operations: one row each, which says who took what away and until when it can be taken back.

What an operation took is marked with its id: manifests and repositories by `delete_op`, tags by the `op` of their
history; a blob is the operation's own reference.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import insert, select, update

from entrepot.catalog.errors import OperationUnknownError
from entrepot.catalog.tables import operation
from entrepot.ids import ulid
from entrepot.runtime.unit_of_work import Unit


class Kind(StrEnum):
    """What was taken away. `referrer`: by the collector, because its subject never came; `purge`: no deletion of its
    own, but the wish to end the trash of the operation it names, which a second person confirms.
    """

    TAG = "tag"
    MANIFEST = "manifest"
    BLOB = "blob"
    REPOSITORY = "repository"
    PROJECT = "project"
    REFERRER = "referrer"
    PURGE = "purge"


@dataclass(frozen=True, slots=True)
class Operation:
    """A destructive operation; names are those at the time. purged_at: since when it can't be undone any more."""

    id: str
    kind: Kind
    project: str
    repository: str
    reference: str
    actor: str
    at: datetime
    undo_until: datetime
    undone_at: datetime | None
    undone_by: str | None
    purged_at: datetime | None

    @classmethod
    def of(cls, row: Any) -> "Operation":
        """The operation of a row of COLUMNS."""
        return cls(
            row.id,
            Kind(row.kind),
            row.project,
            row.repository,
            row.reference,
            row.actor,
            row.at,
            row.undo_until,
            row.undone_at,
            row.undone_by,
            row.purged_at,
        )


COLUMNS: Final = (
    operation.c.id,
    operation.c.kind,
    operation.c.project,
    operation.c.repository,
    operation.c.reference,
    operation.c.actor,
    operation.c.at,
    operation.c.undo_until,
    operation.c.undone_at,
    operation.c.undone_by,
    operation.c.purged_at,
)


@dataclass(frozen=True, slots=True)
class Deletion:
    """When something is deleted and until when that can be undone."""

    at: datetime
    undo_until: datetime


async def begin(unit: Unit, kind: Kind, when: Deletion, *, project: str, repository: str = "", reference: str) -> str:
    """The id of a new operation of *kind*, done by the unit's actor."""
    new = ulid()
    values = {
        "id": new,
        "kind": kind.value,
        "project": project,
        "repository": repository,
        "reference": reference,
        "actor": unit.by.name[:255],
        "at": when.at,
        "undo_until": when.undo_until,
    }
    await unit.execute(insert(operation).values(values))
    return new


async def locked(unit: Unit, id_: str) -> Operation:
    """The operation *id_*, which nobody else undoes or purges until *unit* ends. Raises OperationUnknownError."""
    row = await unit.fetch_one(select(*COLUMNS).where(operation.c.id == id_).with_for_update())
    if row is None:
        raise OperationUnknownError
    return Operation.of(row)


async def overdue(unit: Unit, now: datetime, limit: int) -> list[Operation]:
    """Operations whose time to be undone is over and that are not purged yet, each locked; others' are left out."""
    question = (
        select(*COLUMNS)
        .where(operation.c.undo_until <= now, operation.c.undone_at.is_(None), operation.c.purged_at.is_(None))
        .order_by(operation.c.undo_until)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    return [Operation.of(row) for row in await unit.fetch_all(question)]


async def is_purge_confirmed(unit: Unit, wanted: Operation) -> bool:
    """Whether two people have wished that the trash of *wanted* be gone at once."""
    question = select(operation.c.id).where(
        operation.c.project == wanted.project,
        operation.c.id > wanted.id,
        operation.c.kind == Kind.PURGE.value,
        operation.c.reference == wanted.id,
        operation.c.purged_at.is_not(None),
        operation.c.undo_until > operation.c.purged_at,
    )
    return await unit.fetch_one(question.limit(1)) is not None


async def mark_undone(unit: Unit, id_: str, now: datetime) -> None:
    """The operation *id_* is undone by the unit's actor."""
    change = update(operation).where(operation.c.id == id_)
    await unit.execute(change.values(undone_at=now, undone_by=unit.by.name[:255]))


async def mark_purged(unit: Unit, id_: str, now: datetime) -> None:
    """The operation *id_* can't be undone any more."""
    await unit.execute(update(operation).where(operation.c.id == id_).values(purged_at=now))


async def end_trash(unit: Unit, id_: str, now: datetime) -> None:
    """The time in which the operation *id_* could be undone ends at *now*."""
    await unit.execute(update(operation).where(operation.c.id == id_).values(undo_until=now))
