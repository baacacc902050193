"""Adds rows to the log. Nothing here changes or removes one."""

from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

import msgspec
from sqlalchemy import insert

from entrepot.audit.tables import audit_event, last_pull
from entrepot.ids import ulid
from entrepot.runtime.events.model import Actor, Event
from entrepot.runtime.unit_of_work import Unit
from entrepot.runtime.upsert import insert_or

OK: Final = "ok"
PULLED: Final = "manifest.pulled"


class SpooledRow(NamedTuple):
    """A row of the log as the database has it, its columns in their order. at: microseconds since 1970."""

    id: str
    at: int
    actor: str
    actor_kind: str
    credential: str
    action: str
    project: str
    repository: str
    reference: str
    digest: str
    outcome: str
    reason: str
    source_ip: str
    user_agent: str
    request_id: str
    detail: str


def row_of(by: Actor, event: Event, at: datetime, id_: str | None = None) -> dict[str, Any]:
    """The log's row for *event* done by *by*. Text from clients is cut to what the columns hold."""
    return {
        "id": id_ or ulid(),
        "at": at,
        "actor": by.name[:255],
        "actor_kind": by.kind,
        "credential": by.credential[:64],
        "action": event.ACTION,
        "project": event.project[:128],
        "repository": event.repository[:255],
        "reference": event.reference[:255],
        "digest": event.digest[:135],
        "outcome": event.outcome,
        "reason": event.reason[:1000],
        "source_ip": by.source_ip[:64],
        "user_agent": by.user_agent[:512],
        "request_id": by.request_id[:64],
        "detail": msgspec.json.encode(event.detail()).decode(),
    }


def row_of_pull(
    id_: str, at: float, by: tuple[str, str, str, str, str, str], action: str, what: tuple[str, str, str], reason: str
) -> SpooledRow:
    """The log's row for a line of a spool, without an event in between: there are thousands a second.

    Its values are those of `spool.py:SpoolLine`.
    """
    name, kind, credential, source_ip, user_agent, request_id = by
    repository, reference, digest = what
    return SpooledRow(
        id_,
        round(at * 1_000_000),
        name[:255],
        kind,
        credential[:64],
        action,
        repository.partition("/")[0][:128],
        repository[:255],
        reference[:255],
        digest[:135],
        OK,
        reason[:1000],
        source_ip[:64],
        user_agent[:512],
        request_id[:64],
        "{}",
    )


# Statements of each push stand built: building one and finding its compiled text again takes longer than running it.
ADD: Final = insert(audit_event)
ADD_SPOOLED: Final = insert_or(audit_event).on_conflict_do_nothing()
LAST: Final = insert_or(last_pull)
PULL: Final = LAST.on_conflict_do_update(
    index_elements=[last_pull.c.repository],
    set_={"at": LAST.excluded.at},
    where=last_pull.c.at < LAST.excluded.at,
)


async def add(unit: Unit, row: dict[str, Any]) -> None:
    """One row more."""
    await unit.execute(ADD, row)


async def add_spooled(unit: Unit, rows: list[SpooledRow]) -> None:
    """Rows from a spool; those already there, by id, are the same and stay."""
    await unit.pour(ADD_SPOOLED, rows)
    pulled: dict[str, int] = {}
    for row in rows:
        if row.action == PULLED:
            pulled[row.repository] = max(row.at, pulled.get(row.repository, 0))
    if pulled:  # sorted: two workers then wait for each other, but never both
        values = [
            {"repository": name, "at": datetime.fromtimestamp(pulled[name] / 1_000_000, UTC)} for name in sorted(pulled)
        ]
        await unit.execute(PULL, values)
