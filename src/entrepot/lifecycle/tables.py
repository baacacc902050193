"""Promotions: who asked for which digests to go to which stage, and who approved it."""

from typing import Final

from sqlalchemy import BigInteger, CheckConstraint, Column, ForeignKey, Index, Integer, String, Table, Text

from entrepot.runtime.tables import METADATA, Instant

promotion: Final = Table(
    "promotion",
    METADATA,
    Column("id", String(26), primary_key=True),
    Column("project_id", BigInteger, ForeignKey("project.id"), nullable=False),
    Column("source", String(255), nullable=False),
    Column("target", String(255), nullable=False),
    Column("stage", String(64), nullable=False),
    Column("approvals", Integer, nullable=False),
    Column("state", String(16), nullable=False),
    Column("reason", Text, nullable=False),
    Column("account_id", BigInteger, ForeignKey("account.id"), nullable=False),
    Column("actor", String(255), nullable=False),
    Column("at", Instant, nullable=False),
    Column("ended_at", Instant),
    CheckConstraint("state IN ('waiting', 'executed', 'rejected', 'withdrawn', 'superseded')", name="state"),
    Index("ix_promotion_project_id_id", "project_id", "id"),
    Index("ix_promotion_state_id", "state", "id"),
    Index("ix_promotion_account_id", "account_id"),
)

promotion_item: Final = Table(
    "promotion_item",
    METADATA,
    Column("promotion_id", String(26), ForeignKey("promotion.id"), primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("reference", String(255), nullable=False),
    Column("digest", String(135), nullable=False),
    Column("tags", Text, nullable=False),
    Index("ix_promotion_item_digest", "digest"),
)

promotion_approval: Final = Table(
    "promotion_approval",
    METADATA,
    Column("promotion_id", String(26), ForeignKey("promotion.id"), primary_key=True),
    Column("account_id", BigInteger, ForeignKey("account.id"), primary_key=True),
    Column("actor", String(255), nullable=False),
    Column("at", Instant, nullable=False),
    Index("ix_promotion_approval_account_id", "account_id"),
)
