"""Reads of the pull path: one SQL statement on the raw driver, inline on the event loop.

A statement on SQLite takes 7-14 us, a hop to a thread 190 us: so nothing is handed over. The statements are
compiled once from the tables by `hot_sql` modules; nothing here knows SQLAlchemy. The connection can't write.
"""

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from entrepot.runtime.errors import DatabaseUnavailableError

Value = str | bytes | int | None


@dataclass(frozen=True, slots=True)
class Statement:
    """SQL in the driver's own style, and the names of its parameters in the order they stand in it.

    constants: values of those that are the same each time.
    """

    sql: str
    names: tuple[str, ...] = ()
    constants: Mapping[str, Value] = field(default_factory=dict)

    def values(self, given: Mapping[str, Value]) -> list[Value]:
        """What to hand the driver for *given*."""
        known = {**self.constants, **given} if self.constants else given
        return [known[name] for name in self.names]


class HotReader:
    """A read-only connection that sees every commit at once, of whichever process."""

    def __init__(self, path: Path) -> None:
        # Opened for writing, then forbidden to: a WAL database that nobody has open can't be opened read-only.
        self._connection = sqlite3.connect(
            f"file:{path}?mode=rw", uri=True, isolation_level=None, check_same_thread=False, cached_statements=64
        )
        self._connection.execute("PRAGMA query_only = ON")
        self._connection.execute("PRAGMA busy_timeout = 250")
        self._connection.execute("PRAGMA mmap_size = 268435456")

    def one(self, statement: Statement, values: Mapping[str, Value]) -> tuple[Any, ...] | None:
        """The first row *statement* gives for *values*, or None. Raises DatabaseUnavailableError."""
        try:
            cursor = self._connection.execute(statement.sql, statement.values(values))
            row: tuple[Any, ...] | None = cursor.fetchone()
            cursor.close()  # a cursor left open would hold its snapshot
        except sqlite3.OperationalError as error:
            raise DatabaseUnavailableError("the database does not answer; try again") from error
        return row

    def all(self, statement: Statement, values: Mapping[str, Value]) -> list[tuple[Any, ...]]:
        """Every row *statement* gives for *values*. Raises DatabaseUnavailableError."""
        try:
            cursor = self._connection.execute(statement.sql, statement.values(values))
            return cursor.fetchall()
        except sqlite3.OperationalError as error:
            raise DatabaseUnavailableError("the database does not answer; try again") from error

    def data_version(self) -> int:
        """A number that changes when another connection commits (4 us). For this connection's eyes only."""
        return int(self._connection.execute("PRAGMA data_version").fetchone()[0])

    def close(self) -> None:
        """The connection is closed."""
        self._connection.close()
