"""The contract of the unit of work, on SQLite: a change, its events and its jobs are one commit or nothing."""

import asyncio
import contextlib
import subprocess
import sys
import textwrap
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Final

import pytest
from sqlalchemy import func, insert, select
from sqlalchemy.exc import IntegrityError

from entrepot.audit.recorder import Recorder
from entrepot.audit.tables import audit_event
from entrepot.catalog.tables import project
from entrepot.clock import FixedClock
from entrepot.errors import ConflictError
from entrepot.runtime import inline
from entrepot.runtime.database import Database, open_database
from entrepot.runtime.errors import DatabaseUnavailableError
from entrepot.runtime.events.model import Actor, Event
from entrepot.runtime.jobs.model import Job
from entrepot.runtime.tables import job
from entrepot.runtime.unit_of_work import Listener, Unit, Work
from tests.real.sqlite import new_database

ALICE: Final = Actor("alice", "person", 7, "C1", "192.0.2.1", "docker/27", "R1")
CLOCK: Final = FixedClock()
SECONDS: Final = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Painted(Event):
    """Something was painted."""

    ACTION: ClassVar = "test.painted"

    color: str


@dataclass(frozen=True, slots=True)
class Dry(Job):
    """Let it dry."""

    NAME: ClassVar = "test.dry"
    QUEUE: ClassVar = "layer"

    color: str


def dry(event: Painted) -> Iterable[Job]:
    return (Dry(event.color),)


def work_on(database: Database, *listeners: Listener) -> Work:
    return Work(database, CLOCK, (Recorder(CLOCK), *listeners), ((Painted, dry),))


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    opened = open_database(new_database(tmp_path / "unit.db"))
    yield opened
    await opened.close()


async def paint(unit: Unit, name: str = "red") -> None:
    """A change: a row, and the event that tells of it."""
    await unit.execute(insert(project).values(uid=name, name=name, created_at=CLOCK.now()))
    unit.emit(Painted(color=name, repository="shop/web"))


async def counts(database: Database) -> tuple[int, int, int]:
    """How many rows, audit events and jobs there are."""
    async with database.reading() as connection:
        found = [
            int((await connection.execute(select(func.count()).select_from(table))).scalar_one())
            for table in (project, audit_event, job)
        ]
    return (found[0], found[1], found[2])


async def test_a_change_its_audit_row_and_its_job_are_in_the_same_commit(database: Database) -> None:
    seen: list[tuple[int, int, int]] = []
    async with work_on(database)(ALICE) as unit:
        await paint(unit)
        seen.append(await counts(database))
    seen.append(await counts(database))

    assert seen == [(0, 0, 0), (1, 1, 1)]


async def test_an_audit_row_says_who_from_where_and_when(database: Database) -> None:
    async with work_on(database)(ALICE) as unit:
        await paint(unit)
    async with database.reading() as connection:
        row = (await connection.execute(select(audit_event))).one()

    assert (row.actor, row.actor_kind, row.credential, row.source_ip, row.user_agent, row.request_id) == (
        "alice",
        "person",
        "C1",
        "192.0.2.1",
        "docker/27",
        "R1",
    )
    assert (row.action, row.repository, row.at, row.detail) == (
        "test.painted",
        "shop/web",
        CLOCK.now(),
        '{"color":"red"}',
    )


async def test_an_error_in_the_unit_leaves_nothing(database: Database) -> None:
    with contextlib.suppress(ConflictError):
        async with work_on(database)(ALICE) as unit:
            await paint(unit)
            unit.enqueue(Dry("blue"))
            raise ConflictError("no")

    assert await counts(database) == (0, 0, 0)


async def test_a_broken_rule_of_the_database_leaves_nothing(database: Database) -> None:
    async with work_on(database)(ALICE) as unit:
        await paint(unit)
    with contextlib.suppress(IntegrityError):
        async with work_on(database)(ALICE) as unit:
            await paint(unit, "blue")
            await paint(unit, "red")

    assert await counts(database) == (1, 1, 1)


@dataclass(slots=True)
class Failing:
    """A listener that fails."""

    async def __call__(self, unit: Unit, event: Event) -> None:
        del unit, event
        raise ConflictError("not recorded")


async def test_a_listener_that_fails_fails_the_change(database: Database) -> None:
    with pytest.raises(ConflictError, match="not recorded"):
        async with work_on(database, Failing())(ALICE) as unit:
            await paint(unit)

    assert await counts(database) == (0, 0, 0)


async def test_a_reaction_that_fails_fails_the_change(database: Database) -> None:
    def broken(event: Painted) -> Iterable[Job]:
        raise ConflictError(event.color)

    work = Work(database, CLOCK, (Recorder(CLOCK),), ((Painted, broken),))
    with pytest.raises(ConflictError):
        async with work(ALICE) as unit:
            await paint(unit)

    assert await counts(database) == (0, 0, 0)


async def test_a_unit_that_failed_does_not_hold_up_the_next(database: Database) -> None:
    for _ in range(3):
        with pytest.raises(ConflictError):
            async with work_on(database, Failing())(ALICE) as unit:
                await paint(unit)
    async with work_on(database)(ALICE) as unit:
        await paint(unit)

    assert await counts(database) == (1, 1, 1)


async def test_events_are_heard_in_their_order(database: Database) -> None:
    heard: list[Event] = []

    async def hear(unit: Unit, event: Event) -> None:
        del unit
        heard.append(event)

    async with work_on(database, hear)(ALICE) as unit:
        await paint(unit, "red")
        await paint(unit, "blue")

    assert [event.color for event in heard if isinstance(event, Painted)] == ["red", "blue"]


async def test_units_of_one_process_follow_one_another(database: Database) -> None:
    work = work_on(database)

    async def one(number: int) -> None:
        async with work(ALICE) as unit:
            before = (await unit.execute(select(func.count()).select_from(project))).scalar_one()
            await paint(unit, f"color{number}")
            assert (await unit.execute(select(func.count()).select_from(project))).scalar_one() == before + 1

    await asyncio.gather(*(one(number) for number in range(20)))

    assert await counts(database) == (20, 20, 20)


@dataclass(slots=True)
class Slow:
    """A listener that lets others go on in the middle of a commit."""

    reached: asyncio.Event = field(default_factory=asyncio.Event)
    go: asyncio.Event = field(default_factory=asyncio.Event)

    async def __call__(self, unit: Unit, event: Event) -> None:
        del unit, event
        self.reached.set()
        await self.go.wait()


async def change(work: Work, name: str) -> None:
    async with work(ALICE) as unit:
        await paint(unit, name)


async def test_who_leaves_before_the_commit_leaves_nothing(database: Database) -> None:
    inside = asyncio.Event()

    async def leave() -> None:
        async with work_on(database)(ALICE) as unit:
            await paint(unit)
            inside.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(leave())
    await inside.wait()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)

    assert await counts(database) == (0, 0, 0)


async def test_who_leaves_during_the_commit_finds_it_done(database: Database) -> None:
    slow = Slow()
    task = asyncio.create_task(change(work_on(database, slow), "red"))
    async with asyncio.timeout(SECONDS):
        await slow.reached.wait()
        task.cancel()
        await asyncio.sleep(0)
        slow.go.set()
        await asyncio.gather(task, return_exceptions=True)

    assert task.cancelled()
    assert await counts(database) == (1, 1, 1)


async def test_who_leaves_twice_during_the_commit_finds_all_of_it_or_nothing(database: Database) -> None:
    work = work_on(database)
    for number in range(40):
        before = await counts(database)
        task = asyncio.create_task(change(work, f"color{number}"))
        for _ in range(number):
            await asyncio.sleep(0)
        task.cancel()
        for _ in range(number % 7):
            await asyncio.sleep(0)
        task.cancel()
        async with asyncio.timeout(SECONDS):
            await asyncio.gather(task, return_exceptions=True)
            await change(work, f"next{number}")  # the one writer is free again

        after = await counts(database)
        assert len(set(after)) == 1
        assert after[0] - before[0] in {1, 2}


async def test_a_database_that_stays_locked_is_unavailable(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inline, "PATIENCE_SECONDS", 0.2)
    impatient = open_database(database.url)
    async with database.writing() as connection:
        with pytest.raises(DatabaseUnavailableError):
            await change(work_on(impatient), "red")
        await connection.execute(insert(project).values(uid="x", name="x", created_at=CLOCK.now()))
    await change(work_on(impatient), "red")
    await impatient.close()

    assert await counts(database) == (2, 1, 1)


CRASH: Final = """
import asyncio, os, sys
from entrepot.runtime.database import open_database
from tests.contract.test_unit_of_work import ALICE, paint, work_on

database, when = open_database(sys.argv[1]), sys.argv[2]

async def crash(unit, event):
    if when == "listener":
        os._exit(9)

async def main():
    async with work_on(database, crash)(ALICE) as unit:
        await paint(unit)
        if when == "before":
            os._exit(9)
    os._exit(9)

asyncio.run(main())
"""


@pytest.mark.parametrize(("when", "expected"), [("before", (0, 0, 0)), ("listener", (0, 0, 0)), ("after", (1, 1, 1))])
async def test_a_crash_leaves_nothing_before_the_commit_and_everything_after_it(
    database: Database, when: str, expected: tuple[int, int, int]
) -> None:
    command = [sys.executable, "-c", textwrap.dedent(CRASH), database.url, when]
    root = Path(__file__).parents[2]
    ended = await asyncio.to_thread(subprocess.run, command, cwd=root, capture_output=True, check=False)

    assert ended.returncode == 9, ended.stderr
    assert await counts(database) == expected
