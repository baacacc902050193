"""Bytes by digest: which blobs there are, where their copies lie, which uploads are open."""

from typing import Final

from sqlalchemy import BigInteger, CheckConstraint, Column, ForeignKey, Index, Integer, String, Table, Text, text

from entrepot.runtime.tables import METADATA, Instant

DIGEST: Final = String(135)

blob: Final = Table(
    "blob",
    METADATA,
    Column("digest", DIGEST, primary_key=True),
    Column("size", BigInteger, nullable=False),
)

blob_copy: Final = Table(
    "blob_copy",
    METADATA,
    Column("id", String(26), primary_key=True),
    Column("digest", DIGEST, nullable=False),
    Column("key", Text, nullable=False, unique=True),
    Column("size", BigInteger, nullable=False),
    Column("state", String(16), nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("verified_at", Instant),
    Column("purge_after", Instant),
    CheckConstraint("state IN ('ready', 'suspect', 'trashed')", name="state"),
    Index("ix_blob_copy_digest_state", "digest", "state"),
    Index("ix_blob_copy_purge_after", "purge_after"),
    Index("ix_blob_copy_verified_at", "verified_at"),
)

upload: Final = Table(
    "upload",
    METADATA,
    Column("id", String(26), primary_key=True),
    Column("repo_id", BigInteger, ForeignKey("repo.id"), nullable=False),
    Column("account_id", BigInteger, ForeignKey("account.id"), nullable=False),
    Column("offset", BigInteger, nullable=False, server_default=text("0")),
    Column("epoch", Integer, nullable=False, server_default=text("0")),
    Column("lease", String(26), nullable=False, server_default=text("''")),
    Column("lease_until", Instant),
    Column("touched_at", Instant, nullable=False),
    Column("algorithm", String(16), nullable=False, server_default=text("'sha256'")),
    Column("reserved", BigInteger, nullable=False, server_default=text("0")),
    Index("ix_upload_repo_id", "repo_id"),
    Index("ix_upload_account_id", "account_id"),
    Index("ix_upload_touched_at", "touched_at"),
)

upload_part: Final = Table(
    "upload_part",
    METADATA,
    Column("upload_id", String(26), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("key", Text, nullable=False),
    Column("size", BigInteger, nullable=False),
)
