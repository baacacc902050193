"""Keys of requests that may be sent twice, and what was answered; when a repository was last pulled from, and pushed to."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "idempotency_key",
        sa.Column("owner", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("key", sa.String(length=255), nullable=False),
        sa.Column("fingerprint", sa.String(length=64), nullable=False),
        sa.Column("holder", sa.String(length=26), nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=False),
        sa.Column("until", sa.BigInteger(), nullable=False),
        sa.Column("done_at", sa.BigInteger(), nullable=True),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("headers", sa.Text(), nullable=True),
        sa.Column("body", sa.LargeBinary(), nullable=True),
        sa.Column("withheld", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("owner", "key", name=op.f("pk_idempotency_key")),
        sa.UniqueConstraint("holder", name=op.f("uq_idempotency_key_holder")),
    )
    op.create_index("ix_idempotency_key_started_at", "idempotency_key", ["started_at"], unique=False)
    op.create_table(
        "last_pull",
        sa.Column("repository", sa.String(length=255), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("repository", name=op.f("pk_last_pull")),
    )
    op.execute(
        "INSERT INTO last_pull (repository, at) SELECT repository, MAX(at) FROM audit_event"
        " WHERE action = 'manifest.pulled' AND repository <> '' GROUP BY repository"
    )
    op.create_index("ix_manifest_repo_id_pushed_at", "manifest", ["repo_id", "pushed_at"], unique=False)
