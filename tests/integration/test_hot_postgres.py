"""Rows are remembered only as long as the database holds them: on a real PostgreSQL."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest

from entrepot.runtime import hot_postgres
from entrepot.runtime.errors import DatabaseUnavailableError
from entrepot.runtime.hot import REMEMBERED, REMEMBERED_BYTES, Statement
from entrepot.runtime.hot_postgres import PostgresReader
from tests.real.postgres import Postgres, cluster

ASK = Statement("SELECT value FROM pair WHERE key = %s", ("key",))
Other = psycopg.Connection[Any]


@pytest.fixture
def other(postgres: Postgres) -> Iterator[Other]:
    """A connection of somebody else, as good as another replica."""
    with psycopg.connect(postgres.url, autocommit=True) as connection:
        connection.execute("CREATE TABLE pair (key TEXT PRIMARY KEY, value TEXT)")
        yield connection


@pytest.fixture
async def reader(postgres: Postgres, other: Other) -> AsyncIterator[PostgresReader]:
    del other
    made = PostgresReader(postgres.url, 4)
    await made.open()
    yield made
    await made.close()


def put(other: Other, key: str, value: str) -> None:
    other.execute(
        "INSERT INTO pair VALUES (%s, %s) ON CONFLICT (key) DO UPDATE SET value = excluded.value", (key, value)
    )


async def test_what_another_connection_commits_is_seen_by_the_next_question(
    reader: PostgresReader, other: Other
) -> None:
    for number in range(200):
        put(other, "a", str(number))
        assert await reader.one(ASK, {"key": "a"}) == (str(number),)
        assert await reader.one(ASK, {"key": "a"}) == (str(number),)
    other.execute("DELETE FROM pair")
    assert await reader.one(ASK, {"key": "a"}) is None
    put(other, "a", "back")
    assert await reader.one(ASK, {"key": "a"}) == ("back",)


async def test_a_question_that_comes_after_a_commit_never_gets_an_older_row(
    reader: PostgresReader, other: Other
) -> None:
    """While the loop is busy with the same question of others."""
    old: list[object] = []
    loop = asyncio.get_running_loop()

    def commit_and_ask() -> None:
        for number in range(1, 1_000):
            put(other, "a", str(number))
            row = asyncio.run_coroutine_threadsafe(reader.one(ASK, {"key": "a"}), loop).result(10)
            if row != (str(number),):
                old.append((number, row))

    async def others(stop: asyncio.Event) -> None:
        while not stop.is_set():
            await reader.one(ASK, {"key": "a"})

    stop = asyncio.Event()
    busy = [asyncio.ensure_future(others(stop)) for _ in range(6)]
    await asyncio.to_thread(commit_and_ask)
    stop.set()
    await asyncio.gather(*busy)

    assert old == []


class Wire:
    """Passes bytes on between reader and database, until what goes over the connections there are is lost."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._open: list[asyncio.Event] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._writers: list[asyncio.StreamWriter] = []

    def lose(self) -> None:
        """Nothing goes over the connections of now any more, and nobody is told."""
        for passing in self._open:
            passing.clear()

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """A connection."""
        passing = asyncio.Event()
        passing.set()
        self._open.append(passing)
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._port)
        self._writers += (writer, far_writer)
        for source, target in ((reader, far_writer), (far_reader, writer)):
            self._tasks.append(asyncio.create_task(self._pass(source, target, passing)))

    async def cut(self) -> None:
        """Every connection ends."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for writer in self._writers:
            writer.transport.abort()

    async def _pass(self, source: asyncio.StreamReader, target: asyncio.StreamWriter, passing: asyncio.Event) -> None:
        while data := await source.read(65_536):
            await passing.wait()
            target.write(data)
            await target.drain()


async def test_a_connection_that_is_lost_in_silence_keeps_nobody_waiting_for_long(
    postgres: Postgres, other: Other, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hot_postgres, "WAIT_SECONDS", 0.3)
    put(other, "a", "1")
    wire = Wire(urlsplit(postgres.url).port or 5432)
    async with await asyncio.start_server(wire, "127.0.0.1", 0) as server:
        address = urlsplit(postgres.url)
        port = server.sockets[0].getsockname()[1]
        reader = PostgresReader(address._replace(netloc=f"{address.username}@127.0.0.1:{port}").geturl(), 3)
        await reader.open()
        await reader._pool.wait(5)  # or one that is being made would be lost too
        try:
            assert await reader.one(ASK, {"key": "a"}) == ("1",)
            wire.lose()
            async with asyncio.timeout(5):
                lost = await asyncio.gather(*(reader.one(ASK, {"key": "a"}) for _ in range(3)), return_exceptions=True)
                put(other, "a", "2")
                found = await _patiently(reader)
        finally:
            await wire.cut()
            await reader.close()

    assert {type(each) for each in lost} == {DatabaseUnavailableError}
    assert found == ("2",)


async def test_who_gives_up_a_question_takes_nobody_with_him(reader: PostgresReader, other: Other) -> None:
    put(other, "a", "1")
    await reader.one(ASK, {"key": "a"})
    asked = [asyncio.ensure_future(reader.one(ASK, {"key": "a"})) for _ in range(6)]
    await asyncio.sleep(0)
    asked[0].cancel()
    asked[3].cancel()

    answers = await asyncio.gather(*asked, return_exceptions=True)

    assert answers.count(("1",)) == 4
    assert await reader.one(ASK, {"key": "a"}) == ("1",)


async def test_what_is_not_committed_is_not_seen_and_a_commit_of_long_ago_begun_is(
    reader: PostgresReader, other: Other
) -> None:
    put(other, "a", "old")
    with other.transaction():
        put(other, "a", "new")
        assert await reader.one(ASK, {"key": "a"}) == ("old",)
        assert await reader.one(ASK, {"key": "a"}) == ("old",)
    assert await reader.one(ASK, {"key": "a"}) == ("new",)


async def test_a_row_that_nobody_changed_is_made_once(reader: PostgresReader, other: Other) -> None:
    put(other, "a", "1")
    made: list[str] = []

    def make(row: tuple[Any, ...]) -> str:
        made.append(row[0])
        return str(row[0])

    answers = [await reader.found(ASK, {"key": "a"}, make) for _ in range(50)]

    assert answers == ["1"] * 50
    assert made == ["1"]


async def test_nothing_is_given_past_a_database_that_does_not_answer() -> None:
    with cluster(durable=True) as own:
        with psycopg.connect(own.url, autocommit=True) as connection:
            connection.execute("CREATE TABLE pair (key TEXT PRIMARY KEY, value TEXT)")
            put(connection, "a", "1")
        reader = PostgresReader(own.url, 2)
        await reader.open()
        try:
            assert await reader.one(ASK, {"key": "a"}) == ("1",)
            own.stop()
            asked = (reader.one(ASK, {"key": "a"}) for _ in range(4))
            refused = await asyncio.gather(*asked, return_exceptions=True)
            assert {type(each) for each in refused} == {DatabaseUnavailableError}
            own.start()
            with psycopg.connect(own.url, autocommit=True) as connection:
                put(connection, "a", "2")
            assert await _patiently(reader) == ("2",)
        finally:
            await reader.close()


async def _patiently(reader: PostgresReader) -> object:
    """The row as soon as the pool has found the server again."""
    async with asyncio.timeout(30):
        while True:
            try:
                return await reader.one(ASK, {"key": "a"})
            except DatabaseUnavailableError:
                await asyncio.sleep(0.1)


async def test_the_memory_is_bounded_in_rows_and_in_their_length(reader: PostgresReader, other: Other) -> None:
    put(other, "long", "x" * (REMEMBERED_BYTES + 1))
    assert await reader.one(ASK, {"key": "long"})
    assert not reader._rows
    other.execute("INSERT INTO pair SELECT n::text, 'x' FROM generate_series(1, %s) AS n", (REMEMBERED + 10,))
    for number in range(1, REMEMBERED + 11):
        await reader.one(ASK, {"key": str(number)})
    assert 0 < len(reader._rows) <= REMEMBERED
