"""Group commit on SQLite: units that wait for each other share a COMMIT, and each still lives or dies by itself."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

import pytest
from sqlalchemy import event, insert, select, text

from entrepot.catalog.tables import project
from entrepot.clock import FixedClock
from entrepot.runtime.database import Database, open_database
from entrepot.runtime.errors import DatabaseUnavailableError
from entrepot.runtime.events.model import SYSTEM
from entrepot.runtime.groups import MOST, Groups
from entrepot.runtime.unit_of_work import Unit, Work
from tests.real.sqlite import new_database

CLOCK: Final = FixedClock()
SECONDS: Final = 20


class RefusedError(Exception):
    """What a unit ends with that is to be taken back."""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "group.db"


@pytest.fixture
async def database(file: Path) -> AsyncIterator[Database]:
    opened = open_database(new_database(file))
    async with opened.writing() as connection:
        await connection.execute(text("SELECT 1"))  # its connection is made, and in the mode it stays in
    yield opened
    await opened.close()


@pytest.fixture
def commits(database: Database) -> list[int]:
    """One entry per COMMIT of the writer."""
    seen: list[int] = []
    assert isinstance(database.writers, Groups)
    event.listen(database.writers.engine, "commit", lambda _connection: seen.append(1))
    return seen


async def add(work: Work, name: str) -> None:
    async with work(SYSTEM) as unit:
        await _insert(unit, name)


async def add_and_refuse(work: Work, name: str) -> None:
    async with work(SYSTEM) as unit:
        await _insert(unit, name)
        raise RefusedError


async def _insert(unit: Unit, name: str) -> None:
    await unit.execute(insert(project).values(uid=name, name=name, created_at=CLOCK.now()))


async def names(database: Database) -> set[str]:
    async with database.reading() as connection:
        return {row.name for row in await connection.execute(select(project.c.name))}


async def test_units_that_come_together_share_one_commit(database: Database, commits: list[int]) -> None:
    work = Work(database, CLOCK)

    await asyncio.gather(*(add(work, f"p{number}") for number in range(10)))

    assert await names(database) == {f"p{number}" for number in range(10)}
    assert len(commits) == 1


async def test_a_unit_alone_is_committed_when_it_returns(database: Database, commits: list[int], file: Path) -> None:
    await add(Work(database, CLOCK), "alone")

    with sqlite3.connect(file) as other:
        assert other.execute("SELECT name FROM project").fetchall() == [("alone",)]
    other.close()
    assert len(commits) == 1


async def test_no_more_units_share_a_commit_than_the_others_can_wait_for(
    database: Database, commits: list[int]
) -> None:
    work, count = Work(database, CLOCK), 2 * MOST + 1

    await asyncio.gather(*(add(work, f"p{number}") for number in range(count)))

    assert len(await names(database)) == count
    assert len(commits) == 3


@pytest.mark.parametrize("position", [0, 1, 4])
async def test_a_unit_that_fails_takes_back_its_own_changes_alone(database: Database, position: int) -> None:
    work = Work(database, CLOCK)
    units = [add_and_refuse(work, f"p{n}") if n == position else add(work, f"p{n}") for n in range(5)]

    outcomes = await asyncio.gather(*units, return_exceptions=True)

    assert [type(outcome) for outcome in outcomes] == [RefusedError if n == position else type(None) for n in range(5)]
    assert await names(database) == {f"p{number}" for number in range(5) if number != position}


async def test_a_unit_that_is_cancelled_takes_back_its_own_changes_alone(database: Database) -> None:
    work, reached, never = Work(database, CLOCK), asyncio.Event(), asyncio.Event()

    async def hang() -> None:
        async with work(SYSTEM) as unit:
            await _insert(unit, "hanging")
            reached.set()
            await never.wait()

    first = asyncio.create_task(add(work, "first"))
    hanging = asyncio.create_task(hang())
    last = asyncio.create_task(add(work, "last"))
    await reached.wait()
    hanging.cancel()
    await asyncio.wait_for(asyncio.gather(first, last), SECONDS)

    with pytest.raises(asyncio.CancelledError):
        await hanging
    assert await names(database) == {"first", "last"}


async def test_no_unit_is_acknowledged_when_the_database_rolled_their_transaction_back(database: Database) -> None:
    """SQLite does that by itself on a full disk, and then takes a COMMIT for no error."""
    work = Work(database, CLOCK)

    async def lose() -> None:
        async with work(SYSTEM) as unit:
            await _insert(unit, "losing")
            await unit.connection.execute(text("ROLLBACK"))
            raise RefusedError

    outcomes = await asyncio.gather(add(work, "before"), lose(), add(work, "after"), return_exceptions=True)

    assert [type(outcome) for outcome in outcomes] == [DatabaseUnavailableError, RefusedError, type(None)]
    assert await names(database) == {"after"}


async def test_a_unit_waits_for_another_process_and_the_loop_goes_on(database: Database, file: Path) -> None:
    other = sqlite3.connect(file, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    waiting = asyncio.create_task(add(Work(database, CLOCK), "patient"))
    turns = 0
    while turns < 50:
        await asyncio.sleep(0.001)
        turns += 1
    assert not waiting.done()

    other.execute("COMMIT")
    other.close()
    await asyncio.wait_for(waiting, SECONDS)

    assert await names(database) == {"patient"}


async def test_whoever_is_cancelled_before_his_transaction_began_leaves_no_lock(database: Database, file: Path) -> None:
    other = sqlite3.connect(file, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    work = Work(database, CLOCK)
    waiting = asyncio.create_task(add(work, "impatient"))
    await asyncio.sleep(0.05)
    waiting.cancel()
    await asyncio.sleep(0.05)

    other.execute("COMMIT")
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(waiting, SECONDS)
    other.execute("BEGIN IMMEDIATE")
    other.execute("ROLLBACK")
    other.close()
    await add(work, "next")
    assert await names(database) == {"next"}
