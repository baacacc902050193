"""Hot reads on SQLite, inline on the event loop: a statement takes 7-14 us, a hop to a thread 190 us.

Rows are remembered for as long as nobody commits anything, which SQLite tells for 3 us. So a tag that is pulled by many
costs a join once per commit, not once per pull. What is given is never older than the question: it is asked for commits
once in each turn of the event loop, and whoever comes after that is served in a later turn, for the loop takes its
callbacks in the order in which they came, and the end of the turn is put there before the question is asked.
"""

import asyncio
import sqlite3
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from entrepot.runtime.errors import DatabaseUnavailableError
from entrepot.runtime.hot import REMEMBERED, Row, Statement, T, Value, is_long


class SqliteReader:
    """A read-only connection to the database file. Implements HotReader; asks without ever waiting for the loop."""

    def __init__(self, path: Path) -> None:
        # Opened for writing, then forbidden to: a WAL database that nobody has open can't be opened read-only.
        self._connection = sqlite3.connect(
            f"file:{path}?mode=rw", uri=True, isolation_level=None, check_same_thread=False, cached_statements=64
        )
        self._connection.execute("PRAGMA query_only = ON")
        self._connection.execute("PRAGMA busy_timeout = 250")
        self._connection.execute("PRAGMA mmap_size = 268435456")
        self._rows: dict[tuple[str, tuple[Value, ...]], Any] = {}
        self._rows_of = -1
        self._looked = False

    async def open(self) -> None:
        """Connected already."""

    async def one(self, statement: Statement, values: Mapping[str, Value]) -> tuple[Any, ...] | None:
        """See HotReader."""
        return await self.found(statement, values, _itself)

    async def found(self, statement: Statement, values: Mapping[str, Value], make: Callable[[Row], T]) -> T | None:
        """See HotReader."""
        given = tuple(statement.values(values))
        key = (statement.sql, given)
        try:
            if not self._looked:
                self._look()
            if key in self._rows:
                known: T | None = self._rows[key]
                return known
            # A commit between the two questions makes the row newer than its version: then it is asked for again.
            cursor = self._connection.execute(statement.sql, given)
            row: tuple[Any, ...] | None = cursor.fetchone()
            cursor.close()  # a cursor left open would hold its snapshot
        except sqlite3.OperationalError as error:
            raise DatabaseUnavailableError("the database does not answer; try again") from error
        made = None if row is None else make(row)
        if len(self._rows) < REMEMBERED and not (row and any(map(is_long, row))):
            self._rows[key] = made
        return made

    def _look(self) -> None:
        """Forgets the rows if anybody has committed since they were read."""
        asyncio.get_running_loop().call_soon(self._turn_ends)
        version = self.data_version()
        self._looked = True
        if version != self._rows_of:
            self._rows.clear()
            self._rows_of = version

    def _turn_ends(self) -> None:
        self._looked = False

    async def all(self, statement: Statement, values: Mapping[str, Value]) -> list[tuple[Any, ...]]:
        """See HotReader."""
        try:
            cursor = self._connection.execute(statement.sql, statement.values(values))
            return cursor.fetchall()
        except sqlite3.OperationalError as error:
            raise DatabaseUnavailableError("the database does not answer; try again") from error

    def data_version(self) -> int:
        """A number that changes when another connection commits (4 us). For this connection's eyes only."""
        return int(self._connection.execute("PRAGMA data_version").fetchone()[0])

    async def close(self) -> None:
        """See HotReader."""
        self._connection.close()


def _itself(row: Row) -> Row:
    return row
