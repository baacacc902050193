"""The database as the machinery sees it: writers and readers, on SQLite or on PostgreSQL.

SQLite: WAL with every commit synced, one writer per process. PostgreSQL: READ COMMITTED, so what must not change
between two statements is locked by the first (`Unit.serialize`, `with_for_update`).
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from sqlalchemy import Engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DataError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import QueuePool

from entrepot.errors import InvalidError
from entrepot.runtime.database_url import Kind, database_path, kind_of
from entrepot.runtime.errors import DatabaseUnavailableError
from entrepot.runtime.groups import Groups
from entrepot.runtime.inline import inline_engine
from entrepot.runtime.ports import Connection, Writers

BUSY_TIMEOUT_MS: Final = 10_000
READERS: Final = 4
LOCK_TIMEOUT_MS: Final = 4_000
PATIENCE: Final = timedelta(seconds=5)
"""How long one statement of a web process may take on PostgreSQL."""

# Asserted on each connection: SQLite forgets foreign_keys and synchronous between connections.
PRAGMAS: Final = (
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",
    "PRAGMA foreign_keys = ON",
    "PRAGMA cache_size = -16000",
    "PRAGMA temp_store = MEMORY",
)
NO_VALUE: Final = "a value holds what the database can't keep, such as a NUL in a text"
SILENT: Final = (OperationalError, InterfaceError, PoolTimeoutError)
"""What the toolkit raises when the database does not answer, or gave up on a lock."""


@dataclass(frozen=True, slots=True)
class Alone:
    """A transaction on a connection of its own. Implements Transaction."""

    connection: AsyncConnection

    async def commit(self) -> None:
        """See Transaction."""
        await self.connection.commit()


@dataclass(frozen=True, slots=True)
class Pool:
    """Write transactions beside each other, each on a connection of *engine*. Implements Writers."""

    engine: AsyncEngine

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Alone]:
        """See Writers."""
        async with self.engine.connect() as connection:
            await connection.begin()
            yield Alone(connection)

    def in_use(self) -> int:
        """See Writers."""
        return _in_use(self.engine)

    async def close(self) -> None:
        """See Writers."""
        await self.engine.dispose()


@dataclass(frozen=True, slots=True)
class Database:
    """Writers and readers of one database.

    writers: on SQLite one connection, so writers of this process queue here and not in SQLite; its transactions begin
    IMMEDIATE, so one that began can commit. reader: for questions that may take long; never for pulls (hot.py).
    """

    kind: Kind
    url: str
    writers: Writers
    reader: AsyncEngine

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[Connection]:
        """A connection in a write transaction: committed at the end, rolled back on any error."""
        try:
            async with self.writers.transaction() as transaction:
                yield transaction.connection
                await transaction.commit()
        except SILENT as error:
            raise DatabaseUnavailableError("the database does not answer; try again") from error

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncConnection]:
        """A connection that sees one committed state and writes nothing. Raises InvalidError."""
        try:
            async with self.reader.connect() as connection:
                yield connection
        except DataError as error:
            raise InvalidError(NO_VALUE) from error
        except SILENT as error:
            raise DatabaseUnavailableError("the database does not answer; try again") from error

    def in_use(self) -> dict[str, int]:
        """How many connections are in use to `read` and to `write`."""
        return {"read": _in_use(self.reader), "write": self.writers.in_use()}

    async def close(self) -> None:
        """Every connection is closed."""
        await self.writers.close()
        await self.reader.dispose()


def open_database(url: str, pool: int = 10, patience: timedelta = PATIENCE) -> Database:
    """The database at *url*, with at most *pool* writers where there may be several. Nothing is connected yet.

    patience: how long one statement may take on PostgreSQL. Raises InvalidError.
    """
    kind = kind_of(url)
    if kind is Kind.SQLITE:
        path = database_path(url)
        writer = inline_engine(path)
        reader = create_async_engine(f"sqlite+aiosqlite:///{path}", pool_size=READERS, max_overflow=0, pool_timeout=30)
        _prepare(writer, "PRAGMA busy_timeout = 0")  # whoever would wait must not do so on the event loop
        _prepare(reader.sync_engine, f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}")

        @event.listens_for(reader.sync_engine, "begin")
        def on_begin(connection: Any) -> None:
            # Our own instead of the driver's, which comes late.
            connection.exec_driver_sql("BEGIN")

        return Database(kind, url, Groups(writer), reader)
    target = make_url(url).set(drivername="postgresql+psycopg")
    limits = f"-c lock_timeout={LOCK_TIMEOUT_MS} -c statement_timeout={patience // timedelta(milliseconds=1)}"
    options = {"options": limits, "prepare_threshold": 2}
    shared: dict[str, Any] = {"max_overflow": 0, "pool_timeout": 10, "pool_pre_ping": True, "connect_args": options}
    writers = Pool(create_async_engine(target, pool_size=pool, **shared))
    reader = create_async_engine(target, pool_size=READERS, isolation_level="REPEATABLE READ", **shared)
    return Database(kind, url, writers, reader)


def _in_use(engine: AsyncEngine) -> int:
    pool = engine.pool
    return pool.checkedout() if isinstance(pool, QueuePool) else 0


def _prepare(engine: Engine, *more: str) -> None:
    """Pragmas on each connection, and no BEGIN by the driver."""

    @event.listens_for(engine, "connect")
    def on_connect(connection: Any, record: object) -> None:
        del record
        connection.isolation_level = None
        cursor = connection.cursor()
        for pragma in (*PRAGMAS, *more):
            cursor.execute(pragma)
        cursor.close()
