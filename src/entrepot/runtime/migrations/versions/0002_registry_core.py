"""The registry core: referrers, leases, trash and undo, quotas, uploads at any replica; PostgreSQL beside SQLite."""

import json
from typing import Literal

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

INSTANT = sa.BigInteger()
DAY_US = 24 * 3600 * 1_000_000
# Compared and sorted by its bytes, whatever the language of a PostgreSQL database.
BYTEWISE = (
    ("project", "name", 128),
    ("repo", "name", 255),
    ("tag", "name", 128),
    ("tag_history", "name", 128),
)


def upgrade() -> None:
    _new_tables()
    with op.batch_alter_table("blob_copy", recreate=_recreate()) as batch:
        batch.add_column(sa.Column("size", sa.BigInteger(), nullable=False, server_default=sa.text("0")))
        batch.add_column(sa.Column("verified_at", INSTANT, nullable=True))
        batch.add_column(sa.Column("purge_after", INSTANT, nullable=True))
        batch.create_index("ix_blob_copy_purge_after", ["purge_after"], unique=False)
        batch.create_index("ix_blob_copy_verified_at", ["verified_at"], unique=False)
        batch.drop_constraint("fk_blob_copy_digest", type_="foreignkey")
        batch.drop_constraint(op.f("ck_blob_copy_state"), type_="check")
        batch.create_check_constraint(op.f("ck_blob_copy_state"), "state IN ('ready', 'suspect', 'trashed')")
    with op.batch_alter_table("project", recreate=_recreate()) as batch:
        text = sa.String(length=16)
        batch.add_column(sa.Column("visibility", text, server_default=sa.text("'private'"), nullable=False))
        batch.add_column(sa.Column("strict_sizes", sa.Boolean(), server_default=sa.true(), nullable=False))
        batch.add_column(sa.Column("quota_limit", sa.BigInteger(), nullable=True))
        batch.add_column(sa.Column("quota_used", sa.BigInteger(), server_default=sa.text("0"), nullable=False))
        batch.create_check_constraint(op.f("ck_project_visibility"), "visibility IN ('private', 'public')")
    with op.batch_alter_table("repo", recreate=_recreate()) as batch:
        batch.add_column(sa.Column("deleted_at", INSTANT, nullable=True))
        batch.add_column(sa.Column("delete_op", sa.String(length=26), nullable=True))
        batch.create_index("ix_repo_project_id_name", ["project_id", "name"], unique=False)
    with op.batch_alter_table("repo_blob", recreate=_recreate()) as batch:
        batch.add_column(sa.Column("leased_until", INSTANT, nullable=True))
    with op.batch_alter_table("secret", recreate=_recreate()) as batch:
        batch.add_column(sa.Column("revoked_at", INSTANT, nullable=True))
    with op.batch_alter_table("tag_history", recreate=_recreate()) as batch:
        batch.add_column(sa.Column("op", sa.String(length=26), nullable=True))
        batch.create_index("ix_tag_history_op", ["op"], unique=False)
    with op.batch_alter_table("upload", recreate=_recreate()) as batch:
        text = sa.String(length=16)
        batch.add_column(sa.Column("algorithm", text, server_default=sa.text("'sha256'"), nullable=False))
        batch.add_column(sa.Column("reserved", sa.BigInteger(), server_default=sa.text("0"), nullable=False))
    with op.batch_alter_table("advisory", recreate=_recreate()) as batch:
        batch.alter_column("hash", type_=sa.String(length=80), existing_type=sa.String(length=64))
    with op.batch_alter_table("manifest", recreate=_recreate()) as batch:
        batch.add_column(sa.Column("subject_digest", sa.String(length=135), nullable=True))
        batch.add_column(sa.Column("delete_op", sa.String(length=26), nullable=True))
        batch.create_index("ix_manifest_delete_op", ["delete_op"], unique=False)
        columns = ["repo_id", "subject_digest", "pushed_at", "digest"]
        batch.create_index("ix_manifest_repo_id_subject_digest", columns, unique=False)
        batch.create_foreign_key(op.f("fk_manifest_digest"), "blob", ["digest"], ["digest"])
    _fill()
    with op.batch_alter_table("blob_copy", recreate=_recreate()) as batch:
        batch.alter_column("size", server_default=None)
    if op.get_context().dialect.name == "postgresql":
        for table, column, length in BYTEWISE:
            op.execute(f'ALTER TABLE {table} ALTER COLUMN {column} TYPE varchar({length}) COLLATE "C"')
        op.drop_index("uq_job_waiting", "job")
        where = sa.text("state = 'waiting'")
        op.create_index("uq_job_waiting", "job", ["dedup"], unique=True, postgresql_where=where)


def _recreate() -> Literal["always", "never"]:
    """SQLite can add a column, but not in the form in which the tables declare it."""
    return "always" if op.get_context().dialect.name == "sqlite" else "never"


def _new_tables() -> None:
    op.create_table(
        "gc_review",
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("repo_id", sa.BigInteger(), nullable=False, autoincrement=False),
        sa.Column("key", sa.String(length=255), nullable=False),
        sa.Column("review_after", INSTANT, nullable=False),
        sa.Column("cause", sa.String(length=64), nullable=False),
        sa.Column("attempts", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.CheckConstraint("kind IN ('link', 'blob', 'manifest')", name=op.f("ck_gc_review_kind")),
        sa.PrimaryKeyConstraint("kind", "repo_id", "key", name=op.f("pk_gc_review")),
    )
    op.create_index("ix_gc_review_review_after", "gc_review", ["review_after"], unique=False)
    op.create_table(
        "lease",
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("holder", sa.String(length=26), nullable=False),
        sa.Column("token", sa.BigInteger(), nullable=False),
        sa.Column("until", INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_lease")),
    )
    op.create_table(
        "operation",
        sa.Column("id", sa.String(length=26), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("project", sa.String(length=128), nullable=False),
        sa.Column("repository", sa.String(length=255), nullable=False),
        sa.Column("reference", sa.String(length=255), nullable=False),
        sa.Column("actor", sa.String(length=255), nullable=False),
        sa.Column("at", INSTANT, nullable=False),
        sa.Column("undo_until", INSTANT, nullable=False),
        sa.Column("undone_at", INSTANT, nullable=True),
        sa.Column("undone_by", sa.String(length=255), nullable=True),
        sa.Column("purged_at", INSTANT, nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_operation")),
    )
    op.create_index("ix_operation_project_id", "operation", ["project", "id"], unique=False)
    op.create_index("ix_operation_undo_until", "operation", ["undo_until"], unique=False)
    op.create_table(
        "upload_part",
        sa.Column("upload_id", sa.String(length=26), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("upload_id", "number", name=op.f("pk_upload_part")),
    )


def _fill() -> None:
    """What the new columns hold for rows that are there already."""
    connection = op.get_bind()
    size = "UPDATE blob_copy SET size = (SELECT size FROM blob WHERE blob.digest = blob_copy.digest)"
    quota = (
        "UPDATE project SET quota_used ="
        " coalesce((SELECT sum(blob.size) FROM blob WHERE blob.digest IN (SELECT repo_blob.digest FROM repo_blob"
        " JOIN repo ON repo.id = repo_blob.repo_id WHERE repo.project_id = project.id)), 0)"
        " + coalesce((SELECT sum(manifest.size) FROM manifest JOIN repo ON repo.id = manifest.repo_id"
        " WHERE repo.project_id = project.id), 0)"
    )
    connection.execute(sa.text(size))
    connection.execute(sa.text("UPDATE repo_blob SET leased_until = linked_at + :day"), {"day": DAY_US})
    connection.execute(sa.text(quota))
    rows = connection.execute(sa.text("SELECT repo_id, digest, bytes FROM manifest")).all()
    change = sa.text("UPDATE manifest SET subject_digest = :subject WHERE repo_id = :repo_id AND digest = :digest")
    for row in rows:
        subject = json.loads(bytes(row.bytes)).get("subject")
        if isinstance(subject, dict) and isinstance(subject.get("digest"), str):
            values = {"subject": subject["digest"], "repo_id": row.repo_id, "digest": row.digest}
            connection.execute(change, values)
