"""Adds rows to the log. Nothing here changes or removes one."""

from datetime import UTC, datetime
from typing import Any, Final

import msgspec
from sqlalchemy import insert

from entrepot.audit.tables import audit_event, last_pull
from entrepot.ids import ulid
from entrepot.runtime.events.model import Actor, Event
from entrepot.runtime.unit_of_work import Unit
from entrepot.runtime.upsert import insert_or

OK: Final = "ok"
PULLED: Final = "manifest.pulled"


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
) -> dict[str, Any]:
    """The log's row for a line of a spool, without an event in between: there are thousands a second.

    at: Unix seconds; by: name, kind, credential, address, agent and request; what: repository, reference, digest.
    """
    name, kind, credential, source_ip, user_agent, request_id = by
    repository, reference, digest = what
    return {
        "id": id_,
        "at": datetime.fromtimestamp(at, UTC),
        "actor": name[:255],
        "actor_kind": kind,
        "credential": credential[:64],
        "action": action,
        "project": repository.partition("/")[0][:128],
        "repository": repository[:255],
        "reference": reference[:255],
        "digest": digest[:135],
        "outcome": OK,
        "reason": reason[:1000],
        "source_ip": source_ip[:64],
        "user_agent": user_agent[:512],
        "request_id": request_id[:64],
        "detail": "{}",
    }


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


async def add_spooled(unit: Unit, rows: list[dict[str, Any]]) -> None:
    """Rows from a spool; those already there, by id, are the same and stay."""
    await unit.execute(ADD_SPOOLED, rows)
    pulled: dict[str, datetime] = {}
    for row in rows:
        if row["action"] == PULLED:
            pulled[row["repository"]] = max(row["at"], pulled.get(row["repository"], row["at"]))
    if pulled:  # sorted: two workers then wait for each other, but never both
        await unit.execute(PULL, [{"repository": name, "at": pulled[name]} for name in sorted(pulled)])
