"""The database as the machinery sees it: one writer, some readers. SQLite in WAL mode with every commit synced."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from sqlalchemy import event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from entrepot.errors import InvalidError
from entrepot.runtime.errors import DatabaseUnavailableError

BUSY_TIMEOUT_MS: Final = 10_000
READERS: Final = 4
# Asserted on each connection: SQLite forgets foreign_keys and synchronous between connections.
PRAGMAS: Final = (
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",
    "PRAGMA foreign_keys = ON",
    f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}",
    "PRAGMA cache_size = -16000",
    "PRAGMA temp_store = MEMORY",
)


@dataclass(frozen=True, slots=True)
class Database:
    """Two pools on one database.

    writer: one connection, so writers of this process queue here and not in SQLite; its transactions begin
    IMMEDIATE, so one that began can commit. reader: for questions that may take long; never for pulls (hot.py).
    """

    writer: AsyncEngine
    reader: AsyncEngine
    path: Path

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[AsyncConnection]:
        """A connection in a write transaction: committed at the end, rolled back on any error."""
        try:
            async with self.writer.begin() as connection:
                yield connection
        except OperationalError as error:
            raise DatabaseUnavailableError("the database does not answer; try again") from error

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncConnection]:
        """A connection that sees one committed state and writes nothing."""
        try:
            async with self.reader.connect() as connection:
                yield connection
        except OperationalError as error:
            raise DatabaseUnavailableError("the database does not answer; try again") from error

    async def close(self) -> None:
        """Every connection is closed."""
        await self.writer.dispose()
        await self.reader.dispose()


def database_path(url: str) -> Path:
    """The file of a `sqlite:///…` URL. Raises InvalidError for any other URL."""
    parsed = make_url(url)
    if parsed.get_backend_name() != "sqlite" or not parsed.database:
        raise InvalidError("database.url must be sqlite:///<path>", "database.url")
    return Path(parsed.database)


def open_database(url: str) -> Database:
    """The database at *url*. Nothing is connected before the first use."""
    path = database_path(url)
    address = f"sqlite+aiosqlite:///{path}"
    writer = create_async_engine(address, pool_size=1, max_overflow=0, pool_timeout=30)
    reader = create_async_engine(address, pool_size=READERS, max_overflow=0, pool_timeout=30)
    _prepare(writer, "BEGIN IMMEDIATE")
    _prepare(reader, "BEGIN")
    return Database(writer, reader, path)


def _prepare(engine: AsyncEngine, begin: str) -> None:
    """Our own BEGIN instead of the driver's, which comes late and is never IMMEDIATE; pragmas on each connection."""

    @event.listens_for(engine.sync_engine, "connect")
    def on_connect(connection: Any, record: object) -> None:
        del record
        connection.isolation_level = None
        cursor = connection.cursor()
        for pragma in PRAGMAS:
            cursor.execute(pragma)
        cursor.close()

    @event.listens_for(engine.sync_engine, "begin")
    def on_begin(connection: Any) -> None:
        connection.exec_driver_sql(begin)
