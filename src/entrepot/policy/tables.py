"""Judgements: how strict a project is, what was found about each digest, and the row a pull joins."""

from typing import Final

from sqlalchemy import BigInteger, CheckConstraint, Column, ForeignKey, ForeignKeyConstraint, String, Table, Text

from entrepot.runtime.tables import METADATA, Instant, index_where

DIGEST: Final = String(135)
REFUSED: Final = "outcome IN ('block', 'error')"
"""The condition on verdicts that an index has: who asks in these words reads what is refused alone."""

policy_mode: Final = Table(
    "policy_mode",
    METADATA,
    Column("project_id", BigInteger, ForeignKey("project.id"), primary_key=True),
    Column("mode", String(16), nullable=False),
    Column("wanted", String(16)),
    Column("changed_at", Instant, nullable=False),
    CheckConstraint("mode IN ('monitor', 'warn', 'enforce')", name="mode"),
    CheckConstraint("wanted IN ('monitor', 'warn', 'enforce')", name="wanted"),
)

verdict: Final = Table(
    "verdict",
    METADATA,
    Column("repo_id", BigInteger, primary_key=True),
    Column("digest", DIGEST, primary_key=True),
    Column("policy", String(64), nullable=False),
    Column("outcome", String(16), nullable=False),
    Column("reasons", Text, nullable=False),
    Column("inputs_hash", String(64), nullable=False),
    Column("at", Instant, nullable=False),
    ForeignKeyConstraint(["repo_id", "digest"], ["manifest.repo_id", "manifest.digest"]),
    CheckConstraint("outcome IN ('pass', 'warn', 'block', 'pending', 'error')", name="outcome"),
    index_where(REFUSED, "ix_verdict_refused", "at", "digest"),
)

gate: Final = Table(
    "gate",
    METADATA,
    Column("repo_id", BigInteger, primary_key=True),
    Column("digest", DIGEST, primary_key=True),
    Column("outcome", String(16), nullable=False),
    Column("text", Text, nullable=False),
    ForeignKeyConstraint(["repo_id", "digest"], ["manifest.repo_id", "manifest.digest"]),
    CheckConstraint("outcome IN ('pass', 'warn', 'block', 'pending', 'error')", name="outcome"),
)
