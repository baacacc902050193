"""SQLite connections whose statements run on the event loop; only what may wait goes to the connection's thread.

A statement of ours takes 10-20 us, a hop to a thread and back 190 us, and the toolkit makes four hops a statement. What
may wait: BEGIN IMMEDIATE while another process writes, COMMIT for the disk, and statements with very many rows.
"""

import sqlite3
import time
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any, Final

import aiosqlite

from entrepot.runtime.uninterrupted import uninterrupted

BEGIN: Final = "BEGIN IMMEDIATE"
MANY_ROWS: Final = 500
PATIENCE_SECONDS: Final = 10.0
"""How long a BEGIN waits for writers of other processes."""

FIRST_PAUSE_SECONDS: Final = 0.0002
LAST_PAUSE_SECONDS: Final = 0.002
"""Writers hold the lock for about a millisecond; SQLite's own waiting sleeps up to 100 ms at a time."""

FETCHED: Final = 64
PRIMARY: Final = 0xFF


class InlineConnection(aiosqlite.Connection):
    """A connection for short transactions, used by one task at a time."""

    @property
    def is_in_transaction(self) -> bool:
        """False also after the database has rolled it back by itself, as it does on a full disk."""
        return self._conn.in_transaction

    def now(self, statement: str) -> None:
        """Runs *statement*, one about the transaction itself. Raises sqlite3.Error."""
        self._conn.execute(statement)

    async def _execute(self, fn: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        if self._connection is None:
            raise ValueError("no active connection")  # the text by which the toolkit knows a lost connection
        if fn.__name__ == "execute" and args[0] == BEGIN:
            try:
                return fn(*args, **kwargs)
            except sqlite3.OperationalError as error:
                if not _is_busy(error):
                    raise
            return await self._in_thread(partial(_begin, fn, *args, **kwargs))
        if fn.__name__ in {"commit", "close"} or (fn.__name__ == "executemany" and _is_long(args[1])):
            return await self._in_thread(partial(fn, *args, **kwargs))
        return fn(*args, **kwargs)

    async def _in_thread(self, action: Callable[[], Any]) -> Any:
        """What *action* gives. Whoever is cancelled waits for it: the next statement must not overtake it."""
        return await uninterrupted(super()._execute(action))  # type: ignore[no-untyped-call]  # it has no types


def open_inline(path: Path) -> InlineConnection:
    """A connection to *path*, open when it is awaited."""

    def connector() -> sqlite3.Connection:
        return sqlite3.connect(path, timeout=0, isolation_level=None, check_same_thread=False)

    connection = InlineConnection(connector, FETCHED)
    connection._thread.daemon = True  # noqa: SLF001  as the toolkit does: a process must be able to end
    return connection


def _begin(execute: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    deadline, pause = time.monotonic() + PATIENCE_SECONDS, FIRST_PAUSE_SECONDS
    while True:
        try:
            return execute(*args, **kwargs)
        except sqlite3.OperationalError as error:
            if not _is_busy(error) or time.monotonic() > deadline:
                raise
        time.sleep(pause)
        pause = min(pause * 1.5, LAST_PAUSE_SECONDS)


def _is_busy(error: sqlite3.OperationalError) -> bool:
    return error.sqlite_errorcode & PRIMARY == sqlite3.SQLITE_BUSY


def _is_long(rows: Iterable[Any]) -> bool:
    return not isinstance(rows, list | tuple) or len(rows) > MANY_ROWS
