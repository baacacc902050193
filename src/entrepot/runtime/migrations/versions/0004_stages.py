"""Stages of projects, and promotions between them."""

from typing import Literal

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # SQLite's text of a table is that of a new one only if it is written anew.
    recreate: Literal["always", "never"] = "always" if op.get_bind().dialect.name == "sqlite" else "never"
    with op.batch_alter_table("project", recreate=recreate) as batch:
        batch.add_column(sa.Column("pipeline", sa.Text(), nullable=True))
    op.create_table(
        "promotion",
        sa.Column("id", sa.String(length=26), nullable=False),
        sa.Column("project_id", sa.BigInteger(), nullable=False),
        sa.Column("source", sa.String(length=255), nullable=False),
        sa.Column("target", sa.String(length=255), nullable=False),
        sa.Column("stage", sa.String(length=64), nullable=False),
        sa.Column("approvals", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("account_id", sa.BigInteger(), nullable=False),
        sa.Column("actor", sa.String(length=255), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.CheckConstraint(
            "state IN ('waiting', 'executed', 'rejected', 'withdrawn', 'superseded')", name=op.f("ck_promotion_state")
        ),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name=op.f("fk_promotion_account_id")),
        sa.ForeignKeyConstraint(["project_id"], ["project.id"], name=op.f("fk_promotion_project_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_promotion")),
    )
    op.create_index("ix_promotion_project_id_id", "promotion", ["project_id", "id"], unique=False)
    op.create_index("ix_promotion_state_id", "promotion", ["state", "id"], unique=False)
    op.create_index("ix_promotion_account_id", "promotion", ["account_id"], unique=False)
    op.create_table(
        "promotion_item",
        sa.Column("promotion_id", sa.String(length=26), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("reference", sa.String(length=255), nullable=False),
        sa.Column("digest", sa.String(length=135), nullable=False),
        sa.Column("tags", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["promotion_id"], ["promotion.id"], name=op.f("fk_promotion_item_promotion_id")),
        sa.PrimaryKeyConstraint("promotion_id", "position", name=op.f("pk_promotion_item")),
    )
    op.create_index("ix_promotion_item_digest", "promotion_item", ["digest"], unique=False)
    op.create_table(
        "promotion_approval",
        sa.Column("promotion_id", sa.String(length=26), nullable=False),
        sa.Column("account_id", sa.BigInteger(), nullable=False),
        sa.Column("actor", sa.String(length=255), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name=op.f("fk_promotion_approval_account_id")),
        sa.ForeignKeyConstraint(["promotion_id"], ["promotion.id"], name=op.f("fk_promotion_approval_promotion_id")),
        sa.PrimaryKeyConstraint("promotion_id", "account_id", name=op.f("pk_promotion_approval")),
    )
    op.create_index("ix_promotion_approval_account_id", "promotion_approval", ["account_id"], unique=False)
