"""Who may ask: accounts, their secrets and browser sessions (never in the clear), and roles given on projects."""

from typing import Final

from sqlalchemy import BigInteger, CheckConstraint, Column, ForeignKey, Index, String, Table, Text

from entrepot.runtime.tables import METADATA, Instant, RowId

account: Final = Table(
    "account",
    METADATA,
    Column("id", RowId, primary_key=True),
    Column("uid", String(36), nullable=False, unique=True),
    Column("kind", String(16), nullable=False),
    Column("name", String(255), nullable=False, unique=True),
    Column("project_id", BigInteger, ForeignKey("project.id")),
    Column("password_hash", Text),
    Column("created_at", Instant, nullable=False),
    Column("disabled_at", Instant),
    CheckConstraint("kind IN ('person', 'robot')", name="kind"),
    Index("ix_account_project_id", "project_id"),
)

secret: Final = Table(
    "secret",
    METADATA,
    Column("id", String(26), primary_key=True),
    Column("account_id", BigInteger, ForeignKey("account.id"), nullable=False),
    Column("name", String(128), nullable=False),
    Column("hmac", String(64), nullable=False, unique=True),
    Column("created_at", Instant, nullable=False),
    Column("expires_at", Instant, nullable=False),
    Column("revoked_at", Instant),
    Index("ix_secret_account_id", "account_id"),
    Index("ix_secret_revoked_at", "revoked_at"),
)

web_session: Final = Table(
    "web_session",
    METADATA,
    Column("id", String(26), primary_key=True),
    Column("account_id", BigInteger, ForeignKey("account.id"), nullable=False),
    Column("hmac", String(64), nullable=False, unique=True),
    Column("csrf", String(64), nullable=False),
    Column("source_ip", String(64), nullable=False),
    Column("user_agent", String(512), nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("used_at", Instant, nullable=False),
    Column("ends_at", Instant, nullable=False),
    Index("ix_web_session_account_id", "account_id"),
)

sign_in_link: Final = Table(
    "sign_in_link",
    METADATA,
    Column("id", String(26), primary_key=True),
    Column("account_id", BigInteger, ForeignKey("account.id"), nullable=False),
    Column("hmac", String(64), nullable=False, unique=True),
    Column("ends_at", Instant, nullable=False),
    Index("ix_sign_in_link_account_id", "account_id"),
)

role_grant: Final = Table(
    "role_grant",
    METADATA,
    Column("id", RowId, primary_key=True),
    Column("account_id", BigInteger, ForeignKey("account.id"), nullable=False),
    Column("role", String(32), nullable=False),
    Column("project_id", BigInteger, ForeignKey("project.id")),
    Column("granted_at", Instant),
    Index("ix_role_grant_account_id", "account_id"),
    Index("ix_role_grant_project_id", "project_id"),
)

# Passwords that ended: registry tokens made with one carry its id, as those made with a secret carry the secret's.
ended_password: Final = Table(
    "ended_password",
    METADATA,
    Column("id", String(64), primary_key=True),
    Column("ended_at", Instant, nullable=False),
    Index("ix_ended_password_ended_at", "ended_at"),
)
