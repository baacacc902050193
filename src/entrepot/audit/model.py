"""Audit: who did what, when, from where, and how it ended. Nothing is sampled and nothing can be switched off.

Changes are recorded in their own transaction (`recorder.py`), denials in one of their own (`denials.py`), pulls and
sign-ins in an append-only file first (`spool.py`), from which the worker moves them into the table (`ingest.py`).
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar

from entrepot.runtime.events.model import Event


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessDenied(Event):
    """Something was refused; the event's reason is the text the client got."""

    ACTION: ClassVar = "access.denied"

    method: str
    path: str
    code: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SignInFailed(Event):
    """A name and secret did not prove anything. account: the name tried."""

    ACTION: ClassVar = "account.sign_in_failed"

    account: str
    path: str


@dataclass(frozen=True, slots=True)
class AuditRow:
    """An event of the log as people read it."""

    id: str
    at: datetime
    actor: str
    actor_kind: str
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
    detail: dict[str, Any]
