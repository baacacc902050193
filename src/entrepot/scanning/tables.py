"""What was found: facts of layers, packages of images, advisories, and the findings between them.

A finding stands once per package version, however many images hold that version: `set_pv` says which
package sets do, `image_scan` which images have that set.
"""

from typing import Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    String,
    Table,
    Text,
)

from entrepot.runtime.tables import METADATA, Instant, RowId

DIGEST: Final = String(135)

layer_facts: Final = Table(
    "layer_facts",
    METADATA,
    Column("digest", DIGEST, primary_key=True),
    Column("analyser_set", String(64), primary_key=True),
    Column("state", String(16), nullable=False),
    Column("object_key", Text, nullable=False),
    Column("at", Instant, nullable=False),
    CheckConstraint("state IN ('complete', 'partial')", name="state"),
)

package_set: Final = Table(
    "package_set",
    METADATA,
    Column("id", RowId, primary_key=True),
    Column("hash", String(64), nullable=False, unique=True),
)

pv: Final = Table(
    "pv",
    METADATA,
    Column("id", RowId, primary_key=True),
    Column("namespace", String(64), nullable=False),
    Column("name", String(255), nullable=False),
    Column("version", String(255), nullable=False),
    Index("uq_pv_namespace_name_version", "namespace", "name", "version", unique=True),
)

set_pv: Final = Table(
    "set_pv",
    METADATA,
    Column("set_id", BigInteger, ForeignKey("package_set.id"), primary_key=True),
    Column("pv_id", BigInteger, ForeignKey("pv.id"), primary_key=True),
    Index("ix_set_pv_pv_id", "pv_id"),
)

image_scan: Final = Table(
    "image_scan",
    METADATA,
    Column("digest", DIGEST, primary_key=True),
    Column("status", String(16), nullable=False),
    Column("reasons", Text, nullable=False),
    Column("os", String(128), nullable=False),
    Column("platform", String(128), nullable=False),
    Column("waiting", Integer, nullable=False),
    Column("set_id", BigInteger, ForeignKey("package_set.id")),
    Column("facts_key", Text, nullable=False),
    Column("analyser_set", String(64), nullable=False),
    Column("queued_at", Instant, nullable=False),
    Column("finished_at", Instant),
    CheckConstraint(
        "status IN ('queued', 'analysing', 'complete', 'partial', 'failed', 'not_applicable')", name="status"
    ),
    Index("ix_image_scan_set_id", "set_id"),
    Index("ix_image_scan_status", "status"),
)

feed: Final = Table(
    "feed",
    METADATA,
    Column("source", String(255), primary_key=True),
    Column("form", String(16), nullable=False),
    Column("records", Integer, nullable=False),
    Column("attribution", Text, nullable=False),
    Column("built_at", String(40), nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("imported_at", Instant, nullable=False),
)

feed_coverage: Final = Table(
    "feed_coverage",
    METADATA,
    Column("source", String(255), ForeignKey("feed.source"), primary_key=True),
    Column("namespace", String(64), primary_key=True),
    Column("part", String(64), nullable=False),
    Column("packages", Text),
    Index("ix_feed_coverage_namespace", "namespace"),
)

advisory: Final = Table(
    "advisory",
    METADATA,
    Column("source", String(255), ForeignKey("feed.source"), primary_key=True),
    Column("namespace", String(64), primary_key=True),
    Column("package", String(255), primary_key=True),
    Column("id", String(255), primary_key=True),
    Column("hash", String(80), nullable=False),
    Column("document", LargeBinary, nullable=False),
    Index("ix_advisory_namespace_package", "namespace", "package"),
)

pv_finding: Final = Table(
    "pv_finding",
    METADATA,
    Column("pv_id", BigInteger, ForeignKey("pv.id"), primary_key=True),
    Column("id", String(255), primary_key=True),
    Column("severity", String(16), nullable=False),
    Column("fixed_version", String(255), nullable=False),
    Column("counted", Boolean, nullable=False),
    Column("document", LargeBinary, nullable=False),
    Column("first_seen", Instant, nullable=False),
    Column("closed_at", Instant),
    Index("ix_pv_finding_id", "id"),
)

# Names whose advisories changed and whose package versions are still to be matched again: a crash forgets none.
rematch: Final = Table(
    "rematch",
    METADATA,
    Column("namespace", String(64), primary_key=True),
    Column("package", String(255), primary_key=True),
)
