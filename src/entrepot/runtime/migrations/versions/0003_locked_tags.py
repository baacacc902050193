"""Tags can be locked; revoked secrets are found by an index."""

from typing import Literal

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # SQLite's text of a table is that of a new one only if it is written anew.
    recreate: Literal["always", "never"] = "always" if op.get_bind().dialect.name == "sqlite" else "never"
    with op.batch_alter_table("tag", recreate=recreate) as batch:
        batch.add_column(sa.Column("locked_at", sa.BigInteger(), nullable=True))
        batch.add_column(sa.Column("locked_by", sa.String(length=255), nullable=True))
    op.create_index("ix_secret_revoked_at", "secret", ["revoked_at"], unique=False)
