"""People can be disabled, roles say since when, and passwords that ended are known."""

from typing import Literal

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # SQLite's text of a table is that of a new one only if it is written anew.
    recreate: Literal["always", "never"] = "always" if op.get_bind().dialect.name == "sqlite" else "never"
    with op.batch_alter_table("account", recreate=recreate) as batch:
        batch.add_column(sa.Column("disabled_at", sa.BigInteger(), nullable=True))
    with op.batch_alter_table("role_grant", recreate=recreate) as batch:
        batch.add_column(sa.Column("granted_at", sa.BigInteger(), nullable=True))
    op.create_table(
        "ended_password",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("ended_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ended_password")),
    )
    op.create_index("ix_ended_password_ended_at", "ended_password", ["ended_at"], unique=False)
