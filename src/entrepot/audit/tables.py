"""The record of who did what: rows are added, never changed. Beside it, what is asked too often to be searched."""

from typing import Final

from sqlalchemy import Column, Index, String, Table, Text

from entrepot.runtime.tables import METADATA, Instant

audit_event: Final = Table(
    "audit_event",
    METADATA,
    Column("id", String(26), primary_key=True),
    Column("at", Instant, nullable=False),
    Column("actor", String(255), nullable=False),
    Column("actor_kind", String(16), nullable=False),
    Column("credential", String(64), nullable=False),
    Column("action", String(64), nullable=False),
    Column("project", String(128), nullable=False),
    Column("repository", String(255), nullable=False),
    Column("reference", String(255), nullable=False),
    Column("digest", String(135), nullable=False),
    Column("outcome", String(16), nullable=False),
    Column("reason", Text, nullable=False),
    Column("source_ip", String(64), nullable=False),
    Column("user_agent", String(512), nullable=False),
    Column("request_id", String(64), nullable=False),
    Column("detail", Text, nullable=False),
    Index("ix_audit_event_actor_id", "actor", "id"),
    Index("ix_audit_event_action_id", "action", "id"),
    Index("ix_audit_event_repository_id", "repository", "id"),
    Index("ix_audit_event_digest_id", "digest", "id"),
    Index("ix_audit_event_at", "at"),
)

last_pull: Final = Table(
    "last_pull",
    METADATA,
    Column("repository", String(255), primary_key=True),
    Column("at", Instant, nullable=False),
)
