"""Rows are remembered only as long as the database holds them."""

import asyncio
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from entrepot.runtime.hot import Statement
from entrepot.runtime.hot_sqlite import REMEMBERED, REMEMBERED_BYTES, SqliteReader

ASK = Statement("SELECT value FROM pair WHERE key = ?", ("key",))


@pytest.fixture
def other(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    """A connection of somebody else, as good as another process."""
    connection = sqlite3.connect(tmp_path / "pairs.db", isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("CREATE TABLE pair (key TEXT PRIMARY KEY, value)")
    yield connection
    connection.close()


@pytest.fixture
def reader(tmp_path: Path, other: sqlite3.Connection) -> Iterator[SqliteReader]:
    del other
    made = SqliteReader(tmp_path / "pairs.db")
    yield made
    asyncio.run(made.close())


async def test_what_another_connection_commits_is_seen_by_the_next_question(
    reader: SqliteReader, other: sqlite3.Connection
) -> None:
    for number in range(1_000):
        other.execute("INSERT OR REPLACE INTO pair VALUES ('a', ?)", (number,))
        assert await reader.one(ASK, {"key": "a"}) == (number,)
        assert await reader.one(ASK, {"key": "a"}) == (number,)
    other.execute("DELETE FROM pair")
    assert await reader.one(ASK, {"key": "a"}) is None


async def test_what_is_not_there_is_remembered_no_longer_than_that(
    reader: SqliteReader, other: sqlite3.Connection
) -> None:
    assert await reader.one(ASK, {"key": "a"}) is None
    assert await reader.one(ASK, {"key": "a"}) is None
    other.execute("INSERT INTO pair VALUES ('a', 1)")
    assert await reader.one(ASK, {"key": "a"}) == (1,)


async def test_what_is_not_committed_is_not_seen(reader: SqliteReader, other: sqlite3.Connection) -> None:
    other.execute("BEGIN")
    other.execute("INSERT INTO pair VALUES ('a', 1)")
    assert await reader.one(ASK, {"key": "a"}) is None
    other.execute("COMMIT")
    assert await reader.one(ASK, {"key": "a"}) == (1,)


async def test_the_memory_is_bounded_in_rows_and_in_their_length(
    reader: SqliteReader, other: sqlite3.Connection
) -> None:
    other.execute("INSERT INTO pair VALUES ('long', ?)", (b"x" * (REMEMBERED_BYTES + 1),))
    assert await reader.one(ASK, {"key": "long"})
    assert not reader._rows
    for number in range(REMEMBERED + 10):
        await reader.one(ASK, {"key": str(number)})
    assert len(reader._rows) == REMEMBERED
