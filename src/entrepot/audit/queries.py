"""Searches the log."""

from dataclasses import dataclass
from datetime import datetime

import msgspec
from sqlalchemy import select

from entrepot.access.model import Site
from entrepot.access.scoped import Scoped
from entrepot.audit.model import AuditRow
from entrepot.audit.tables import audit_event
from entrepot.runtime.database import Database


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
        question = select(audit_event).order_by(table.id.desc()).limit(limit)
        for name in ("actor", "action", "project", "repository", "reference", "digest", "outcome"):
            value = getattr(wanted, name)
            question = question.where(table[name] == value) if value else question
        question = question.where(table.at >= wanted.since) if wanted.since else question
        question = question.where(table.at < wanted.until) if wanted.until else question
        question = question.where(table.id < after) if after else question
        async with self.database.reading() as connection:
            rows = (await connection.execute(question)).all()
        return [
            AuditRow(
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
            for row in rows
        ]
