"""Rows are remembered only as long as the database holds them."""

import asyncio
import contextlib
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import uvloop

from entrepot.runtime.errors import DatabaseUnavailableError
from entrepot.runtime.hot import REMEMBERED, REMEMBERED_BYTES, Statement
from entrepot.runtime.hot_sqlite import SqliteReader

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
        await asyncio.sleep(0)
        assert await reader.one(ASK, {"key": "a"}) == (number,)
        assert await reader.one(ASK, {"key": "a"}) == (number,)
    other.execute("DELETE FROM pair")
    await asyncio.sleep(0)
    assert await reader.one(ASK, {"key": "a"}) is None


@pytest.mark.parametrize("loop_factory", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_a_question_that_comes_after_a_commit_never_gets_an_older_row(
    reader: SqliteReader, tmp_path: Path, loop_factory: Callable[[], asyncio.AbstractEventLoop]
) -> None:
    """As the server does it: another thread puts each request into the loop, which is busy with others."""
    with asyncio.Runner(loop_factory=loop_factory) as runner:
        assert runner.run(asked_while_another_commits(reader, tmp_path / "pairs.db")) == []


async def asked_while_another_commits(reader: SqliteReader, file: Path) -> list[object]:
    """What was answered and is older than the question."""
    loop = asyncio.get_running_loop()
    old: list[object] = []

    def commit_and_ask() -> None:
        with contextlib.closing(sqlite3.connect(file, isolation_level=None)) as connection:
            for number in range(1, 2_000):
                connection.execute("INSERT OR REPLACE INTO pair VALUES ('a', ?)", (number,))
                row = asyncio.run_coroutine_threadsafe(reader.one(ASK, {"key": "a"}), loop).result(10)
                if row != (number,):
                    old.append((number, row))

    async def others(stop: asyncio.Event) -> None:
        while not stop.is_set():
            await reader.one(ASK, {"key": "a"})
            await asyncio.sleep(0)

    stop = asyncio.Event()
    busy = [asyncio.ensure_future(others(stop)) for _ in range(8)]
    await asyncio.to_thread(commit_and_ask)
    stop.set()
    await asyncio.gather(*busy)
    return old


async def test_what_is_not_there_is_remembered_no_longer_than_that(
    reader: SqliteReader, other: sqlite3.Connection
) -> None:
    assert await reader.one(ASK, {"key": "a"}) is None
    assert await reader.one(ASK, {"key": "a"}) is None
    other.execute("INSERT INTO pair VALUES ('a', 1)")
    await asyncio.sleep(0)
    assert await reader.one(ASK, {"key": "a"}) == (1,)


async def test_what_is_not_committed_is_not_seen(reader: SqliteReader, other: sqlite3.Connection) -> None:
    other.execute("BEGIN")
    other.execute("INSERT INTO pair VALUES ('a', 1)")
    assert await reader.one(ASK, {"key": "a"}) is None
    other.execute("COMMIT")
    await asyncio.sleep(0)
    assert await reader.one(ASK, {"key": "a"}) == (1,)


async def test_nothing_is_remembered_past_a_question_for_commits_that_failed(
    reader: SqliteReader, other: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    def silent() -> int:
        raise sqlite3.OperationalError("disk I/O error")

    assert await reader.one(ASK, {"key": "a"}) is None
    other.execute("INSERT INTO pair VALUES ('a', 1)")
    await asyncio.sleep(0)
    with monkeypatch.context() as broken:
        broken.setattr(reader, "data_version", silent)
        with pytest.raises(DatabaseUnavailableError):
            await reader.one(ASK, {"key": "a"})
        with pytest.raises(DatabaseUnavailableError):
            await reader.one(ASK, {"key": "a"})  # in the same turn

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
