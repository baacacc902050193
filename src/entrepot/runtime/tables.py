"""The MetaData all tables hang on, the types they share, and the machinery's own."""

from datetime import UTC, datetime, timedelta
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Dialect,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    text,
)
from sqlalchemy.types import TypeEngine

METADATA: Final = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class Instant(TypeDecorator[datetime]):
    """An aware UTC datetime, kept as integer microseconds since 1970 on SQLite: exact, sortable, one word long."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:
        """Microseconds since 1970 of *value*."""
        del dialect
        return None if value is None else (value - EPOCH) // timedelta(microseconds=1)

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        """The instant of *value* microseconds."""
        del dialect
        return None if value is None else EPOCH + timedelta(microseconds=int(value))


def bytewise(length: int) -> TypeEngine[str]:
    """Text of up to *length* characters that compares and sorts by its bytes, whatever the database's language."""
    return String(length).with_variant(String(length, collation="C"), "postgresql")


def index_where(condition: str, name: str, *columns: str) -> Index:
    """An index of the rows alone for which *condition* holds; it is used by who asks in the same words."""
    return Index(name, *columns, sqlite_where=text(condition), postgresql_where=text(condition))


# Row ids: SQLite gives out numbers by itself only to a column declared exactly INTEGER.
RowId: Final = BigInteger().with_variant(Integer(), "sqlite")

job: Final = Table(
    "job",
    METADATA,
    Column("id", String(26), primary_key=True),
    Column("name", String(64), nullable=False),
    Column("queue", String(32), nullable=False),
    Column("priority", Integer, nullable=False),
    Column("args", Text, nullable=False),
    Column("dedup", String(255), nullable=False),
    Column("state", String(16), nullable=False),
    Column("run_at", Instant, nullable=False),
    Column("attempts", Integer, nullable=False, server_default=text("0")),
    Column("created_at", Instant, nullable=False),
    Column("started_at", Instant),
    Column("finished_at", Instant),
    Column("lease_until", Instant),
    Column("error", Text, nullable=False, server_default=text("''")),
    CheckConstraint("state IN ('waiting', 'running', 'done', 'failed')", name="state"),
    Index("ix_job_state_queue_priority_id", "state", "queue", "priority", "id"),
    Index(
        "uq_job_waiting",
        "dedup",
        unique=True,
        sqlite_where=text("state = 'waiting'"),
        postgresql_where=text("state = 'waiting'"),
    ),
    Index("ix_job_name_state", "name", "state"),
)

lease: Final = Table(
    "lease",
    METADATA,
    Column("name", String(64), primary_key=True),
    Column("holder", String(26), nullable=False),
    Column("token", BigInteger, nullable=False),
    Column("until", Instant, nullable=False),
)

idempotency_key: Final = Table(
    "idempotency_key",
    METADATA,
    Column("owner", BigInteger, primary_key=True, autoincrement=False),
    Column("key", String(255), primary_key=True),
    Column("fingerprint", String(64), nullable=False),
    Column("holder", String(26), nullable=False, unique=True),
    Column("started_at", Instant, nullable=False),
    Column("until", Instant, nullable=False),
    Column("done_at", Instant),
    Column("status", Integer),
    Column("headers", Text),
    Column("body", LargeBinary),
    Column("withheld", Text),
    Index("ix_idempotency_key_started_at", "started_at"),
)
