"""Adds rows to the log. Nothing here changes or removes one."""

from datetime import datetime
from typing import Any, Final

import msgspec
from sqlalchemy import insert

from entrepot.audit.tables import audit_event
from entrepot.ids import ulid
from entrepot.runtime.events.model import Actor, Event
from entrepot.runtime.unit_of_work import Unit
from entrepot.runtime.upsert import insert_or


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


# Statements of each push stand built: building one and finding its compiled text again takes longer than running it.
ADD: Final = insert(audit_event)


async def add(unit: Unit, row: dict[str, Any]) -> None:
    """One row more."""
    await unit.execute(ADD, row)


async def add_spooled(unit: Unit, rows: list[dict[str, Any]]) -> None:
    """Rows from a spool; those already there, by id, are the same and stay."""
    await unit.execute(insert_or(audit_event).on_conflict_do_nothing(), rows)
