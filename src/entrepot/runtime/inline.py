"""A SQLite connection whose statements run on the event loop; only what may wait goes to its thread.

A statement of ours takes 14 us this way; handed from task to thread and back, as asynchronous drivers do, 190 us. What
may wait: BEGIN IMMEDIATE while another process writes, COMMIT for the disk, and statements with very many rows.
"""

import asyncio
import sqlite3
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar, cast

from sqlalchemy import Connection, CursorResult, Dialect, Engine, Executable, create_engine
from sqlalchemy.exc import OperationalError

from entrepot.runtime.uninterrupted import uninterrupted

T = TypeVar("T")
BEGIN: Final = "BEGIN IMMEDIATE"
MANY_ROWS: Final = 500
PATIENCE_SECONDS: Final = 10.0
"""How long a BEGIN waits for writers of other processes."""

FIRST_PAUSE_SECONDS: Final = 0.0002
LAST_PAUSE_SECONDS: Final = 0.002
"""Writers hold the lock for about a millisecond; SQLite's own waiting sleeps up to 100 ms at a time."""

PRIMARY: Final = 0xFF


@dataclass(frozen=True, slots=True)
class InlineConnection:
    """A connection for short transactions, used by one task at a time. Implements ports.Connection.

    thread: one, for what may wait.
    """

    connection: Connection
    thread: ThreadPoolExecutor

    @property
    def dialect(self) -> Dialect:
        """See ports.Connection."""
        return self.connection.dialect

    @property
    def is_in_transaction(self) -> bool:
        """False also after the database has rolled it back by itself, as it does on a full disk."""
        return self._driver.in_transaction

    async def execute(self, statement: Executable, values: Any = None, /) -> CursorResult[*tuple[Any, ...]]:
        """See ports.Connection."""
        if isinstance(values, list) and len(values) > MANY_ROWS:
            return await self._in_thread(partial(self.connection.execute, statement, values))
        return self.connection.execute(statement, values)

    async def exec_driver_sql(self, statement: str, parameters: Any = None, /) -> CursorResult[Any]:
        """See ports.Connection."""
        if isinstance(parameters, list) and len(parameters) > MANY_ROWS:
            return await self._in_thread(partial(self.connection.exec_driver_sql, statement, parameters))
        return self.connection.exec_driver_sql(statement, parameters)

    async def begin(self) -> None:
        """A transaction has begun, and nobody else writes. Raises OperationalError."""
        try:
            try:
                self._driver.execute(BEGIN)
            except sqlite3.OperationalError as error:
                if not _is_busy(error):
                    raise
                await self._in_thread(partial(_begin, self._driver))
        except sqlite3.Error as error:
            raise OperationalError(BEGIN, None, error) from error
        self.connection.begin()

    async def commit(self) -> None:
        """The transaction is on the disk. Raises OperationalError."""
        await self._in_thread(self.connection.commit)

    def now(self, statement: str) -> None:
        """Runs *statement*, one about the transaction itself. Raises sqlite3.Error."""
        self._driver.execute(statement)

    def close(self) -> None:
        """What was not committed is taken back."""
        self.connection.close()

    @property
    def _driver(self) -> sqlite3.Connection:
        return cast("sqlite3.Connection", self.connection.connection.dbapi_connection)

    async def _in_thread(self, action: Callable[[], T]) -> T:
        """What *action* gives. Whoever is cancelled waits for it: the next statement must not overtake it."""
        return await uninterrupted(asyncio.get_running_loop().run_in_executor(self.thread, action))


def inline_engine(path: Path) -> Engine:
    """An engine of one connection to *path*, for whichever thread; BEGIN and COMMIT are not the driver's."""

    def connect() -> sqlite3.Connection:
        return sqlite3.connect(path, timeout=PATIENCE_SECONDS, isolation_level=None, check_same_thread=False)

    return create_engine(f"sqlite:///{path}", creator=connect, pool_size=1, max_overflow=0)


def _begin(driver: sqlite3.Connection) -> None:
    deadline, pause = time.monotonic() + PATIENCE_SECONDS, FIRST_PAUSE_SECONDS
    while True:
        try:
            driver.execute(BEGIN)
        except sqlite3.OperationalError as error:
            if not _is_busy(error) or time.monotonic() > deadline:
                raise
        else:
            return
        time.sleep(pause)
        pause = min(pause * 1.5, LAST_PAUSE_SECONDS)


def _is_busy(error: sqlite3.OperationalError) -> bool:
    return error.sqlite_errorcode & PRIMARY == sqlite3.SQLITE_BUSY
