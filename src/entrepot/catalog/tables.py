"""What exists: projects, repositories, manifests, tags, and who refers to what.

References of manifests go through `repo_blob`, so "the repository has it" is a foreign key: while a manifest
names a blob, the link under it can't go. Sizes that lists sum up stand beside what they are summed by: a blob's is the
same for as long as there is its digest.
"""

from typing import Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    String,
    Table,
    Text,
    text,
    true,
)

from entrepot.runtime.tables import METADATA, Instant, RowId, bytewise

DIGEST: Final = String(135)

project: Final = Table(
    "project",
    METADATA,
    Column("id", RowId, primary_key=True),
    Column("uid", String(36), nullable=False, unique=True),
    Column("name", bytewise(128), nullable=False, unique=True),
    Column("created_at", Instant, nullable=False),
    Column("visibility", String(16), nullable=False, server_default=text("'private'")),
    Column("strict_sizes", Boolean, nullable=False, server_default=true()),
    Column("quota_limit", BigInteger),
    Column("quota_used", BigInteger, nullable=False, server_default=text("0")),
    Column("pipeline", Text),
    CheckConstraint("visibility IN ('private', 'public')", name="visibility"),
)

repo: Final = Table(
    "repo",
    METADATA,
    Column("id", RowId, primary_key=True),
    Column("uid", String(36), nullable=False, unique=True),
    Column("project_id", BigInteger, ForeignKey("project.id"), nullable=False),
    Column("name", bytewise(255), nullable=False, unique=True),
    Column("created_at", Instant, nullable=False),
    Column("deleted_at", Instant),
    Column("delete_op", String(26)),
    Index("ix_repo_project_id", "project_id"),
    Index("ix_repo_project_id_name", "project_id", "name"),
)

repo_blob: Final = Table(
    "repo_blob",
    METADATA,
    Column("repo_id", BigInteger, ForeignKey("repo.id"), primary_key=True),
    Column("digest", DIGEST, ForeignKey("blob.digest"), primary_key=True),
    Column("linked_at", Instant, nullable=False),
    Column("hidden_at", Instant),
    Column("leased_until", Instant),
    Column("size", BigInteger, nullable=False),
    Index("ix_repo_blob_digest", "digest"),
    Index("ix_repo_blob_repo_id_size", "repo_id", "size"),
)

manifest: Final = Table(
    "manifest",
    METADATA,
    Column("repo_id", BigInteger, ForeignKey("repo.id"), primary_key=True),
    Column("digest", DIGEST, ForeignKey("blob.digest"), primary_key=True),
    Column("media_type", String(255), nullable=False),
    Column("artifact_type", String(255), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("bytes", LargeBinary, nullable=False),
    Column("pushed_by", String(255), nullable=False),
    Column("pushed_at", Instant, nullable=False),
    Column("subject_digest", DIGEST),
    Column("deleted_at", Instant),
    Column("delete_op", String(26)),
    CheckConstraint("kind IN ('image', 'index', 'artifact')", name="kind"),
    Index("ix_manifest_digest", "digest"),
    Index("ix_manifest_repo_id_subject_digest", "repo_id", "subject_digest", "pushed_at", "digest"),
    Index("ix_manifest_delete_op", "delete_op"),
    Index("ix_manifest_repo_id_pushed_at_size", "repo_id", "pushed_at", "size"),
)

manifest_push: Final = Table(
    "manifest_push",
    METADATA,
    Column("repo_id", BigInteger, primary_key=True),
    Column("digest", DIGEST, primary_key=True),
    Column("account_id", BigInteger, ForeignKey("account.id"), primary_key=True),
    Column("at", Instant, nullable=False),
    ForeignKeyConstraint(["repo_id", "digest"], ["manifest.repo_id", "manifest.digest"]),
    Index("ix_manifest_push_account_id", "account_id"),
)

ref_blob: Final = Table(
    "ref_blob",
    METADATA,
    Column("repo_id", BigInteger, primary_key=True),
    Column("parent", DIGEST, primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("digest", DIGEST, nullable=False),
    Column("kind", String(8), nullable=False),
    ForeignKeyConstraint(["repo_id", "parent"], ["manifest.repo_id", "manifest.digest"]),
    ForeignKeyConstraint(["repo_id", "digest"], ["repo_blob.repo_id", "repo_blob.digest"], ondelete="RESTRICT"),
    CheckConstraint("kind IN ('config', 'layer', 'blob')", name="kind"),
    Index("ix_ref_blob_digest", "digest"),
    Index("ix_ref_blob_repo_id_digest", "repo_id", "digest"),
)

ref_manifest: Final = Table(
    "ref_manifest",
    METADATA,
    Column("repo_id", BigInteger, primary_key=True),
    Column("parent", DIGEST, primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("child", DIGEST, nullable=False),
    Column("platform", String(128), nullable=False),
    Column("attestation", Boolean, nullable=False),
    ForeignKeyConstraint(["repo_id", "parent"], ["manifest.repo_id", "manifest.digest"]),
    ForeignKeyConstraint(["repo_id", "child"], ["manifest.repo_id", "manifest.digest"], ondelete="RESTRICT"),
    Index("ix_ref_manifest_repo_id_child", "repo_id", "child"),
)

tag: Final = Table(
    "tag",
    METADATA,
    Column("repo_id", BigInteger, ForeignKey("repo.id"), primary_key=True),
    Column("name", bytewise(128), primary_key=True),
    Column("digest", DIGEST, nullable=False),
    Column("rev", Integer, nullable=False),
    Column("moved_at", Instant, nullable=False),
    Column("locked_at", Instant),
    Column("locked_by", String(255)),
    Column("natural_key", bytewise(320), nullable=False),
    ForeignKeyConstraint(["repo_id", "digest"], ["manifest.repo_id", "manifest.digest"], ondelete="RESTRICT"),
    Index("ix_tag_repo_id_digest_name", "repo_id", "digest", "name"),
    Index("ix_tag_repo_id_natural_key_name", "repo_id", "natural_key", "name"),
    Index("ix_tag_repo_id_moved_at", "repo_id", "moved_at"),
)

tag_history: Final = Table(
    "tag_history",
    METADATA,
    Column("repo_id", BigInteger, ForeignKey("repo.id"), primary_key=True),
    Column("name", bytewise(128), primary_key=True),
    Column("rev", Integer, primary_key=True),
    Column("digest", DIGEST),
    Column("actor", String(255), nullable=False),
    Column("at", Instant, nullable=False),
    Column("op", String(26)),
    Index("ix_tag_history_op", "op"),
)

operation: Final = Table(
    "operation",
    METADATA,
    Column("id", String(26), primary_key=True),
    Column("kind", String(32), nullable=False),
    Column("project", String(128), nullable=False),
    Column("repository", String(255), nullable=False),
    Column("reference", String(255), nullable=False),
    Column("actor", String(255), nullable=False),
    Column("at", Instant, nullable=False),
    Column("undo_until", Instant, nullable=False),
    Column("undone_at", Instant),
    Column("undone_by", String(255)),
    Column("purged_at", Instant),
    Index("ix_operation_project_id", "project", "id"),
    Index("ix_operation_undo_until", "undo_until"),
)

gc_review: Final = Table(
    "gc_review",
    METADATA,
    Column("kind", String(16), primary_key=True),
    Column("repo_id", BigInteger, primary_key=True),
    Column("key", String(255), primary_key=True),
    Column("review_after", Instant, nullable=False),
    Column("cause", String(64), nullable=False),
    Column("attempts", Integer, nullable=False, server_default=text("0")),
    CheckConstraint("kind IN ('link', 'blob', 'manifest')", name="kind"),
    Index("ix_gc_review_review_after", "review_after"),
)
