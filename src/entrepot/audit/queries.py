"""Searches the log."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import msgspec
from sqlalchemy import Row, Select, select

from entrepot.access.model import Site
from entrepot.access.scoped import Scoped
from entrepot.audit.model import AuditRow
from entrepot.audit.tables import audit_event
from entrepot.runtime.database import Database
from entrepot.runtime.filters import Both, Comparison, Field, Kind, Node, Op
from entrepot.runtime.lists import Listing, Part, Wanted
from entrepot.runtime.pages import Columns

# Sorted by what there is an index for: the log has millions of rows.
EVENTS: Final = Listing(
    {
        "id": Field(Kind.TEXT),
        "at": Field(Kind.INSTANT),
        "actor": Field(Kind.TEXT, sorts=False),
        "actor_kind": Field(Kind.TEXT, sorts=False),
        "action": Field(Kind.TEXT, sorts=False),
        "project": Field(Kind.TEXT, sorts=False),
        "repository": Field(Kind.TEXT, sorts=False),
        "reference": Field(Kind.TEXT, sorts=False),
        "digest": Field(Kind.TEXT, sorts=False),
        "outcome": Field(Kind.TEXT, sorts=False),
        "reason": Field(Kind.TEXT, sorts=False),
        "source_ip": Field(Kind.TEXT, sorts=False),
        "request_id": Field(Kind.TEXT, sorts=False),
    },
    key="id",
    default="-id",
)
COLUMNS: Final = Columns(EVENTS, {name: audit_event.c[name] for name in EVENTS.fields})
NARROW: Final = frozenset({"actor", "repository", "digest"})
"""Fields with an index of which an event shares its value with few others."""

# Few actions are shared by all events: where a narrow field is asked for too, the index on actions must not be taken.
NARROWED: Final = Columns(EVENTS, {**COLUMNS.of, "action": audit_event.c.action.concat("")})


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """What to look for; None or empty = anything. since, until: [since, until)."""

    actor: str = ""
    action: str = ""
    project: str = ""
    repository: str = ""
    reference: str = ""
    digest: str = ""
    outcome: str = ""
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class SearchAudit:
    """Asks *database*."""

    database: Database

    async def __call__(self, site: Scoped[Site], wanted: AuditFilter, after: str | None, limit: int) -> list[AuditRow]:
        """Events that match, newest first, older than the id *after*, at most *limit*."""
        del site  # the proof is enough: the log is the site's
        table = audit_event.c
        question = _matching(wanted).order_by(table.id.desc()).limit(limit)
        question = question.where(table.id < after) if after else question
        async with self.database.reading() as connection:
            return [_row(row) for row in await connection.execute(question)]

    async def page(self, site: Scoped[Site], filtered: AuditFilter, wanted: Wanted) -> Part[AuditRow]:
        """Events that match both *filtered* and *wanted*."""
        del site  # as above
        columns = NARROWED if wanted.where is not None and _is_narrow(wanted.where) else COLUMNS
        async with self.database.reading() as connection:
            part = await columns.page(connection, _matching(filtered), wanted)
        return Part([_row(row) for row in part.items], part.next, part.total)


def _is_narrow(node: Node) -> bool:
    """Whether what *node* lets through can be found by the index on a narrow field."""
    match node:
        case Both(parts):
            return any(map(_is_narrow, parts))
        case Comparison(field, Op.EQUAL, value):
            return field in NARROW and value is not None
        case _:
            return False


def _matching(wanted: AuditFilter) -> Select[Any]:
    table = audit_event.c
    question = select(audit_event)
    for name in ("actor", "action", "project", "repository", "reference", "digest", "outcome"):
        value = getattr(wanted, name)
        question = question.where(table[name] == value) if value else question
    question = question.where(table.at >= wanted.since) if wanted.since else question
    return question.where(table.at < wanted.until) if wanted.until else question


def _row(row: Row[Any]) -> AuditRow:
    return AuditRow(
        row.id,
        row.at,
        row.actor,
        row.actor_kind,
        row.action,
        row.project,
        row.repository,
        row.reference,
        row.digest,
        row.outcome,
        row.reason,
        row.source_ip,
        row.user_agent,
        row.request_id,
        msgspec.json.decode(row.detail),
    )
