"""The contract of the job queue, on SQLite: what is enqueued, taken, tried again, given back, and kept."""

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import ClassVar, Final

import pytest
from sqlalchemy import select, update

from entrepot.errors import ConflictError, InvalidError, NotFoundError
from entrepot.runtime.database import Database, open_database
from entrepot.runtime.errors import JobUnknownError
from entrepot.runtime.events.model import SYSTEM
from entrepot.runtime.hot import HotReader
from entrepot.runtime.jobs.model import Handler, Job, Task
from entrepot.runtime.jobs.queue import MAX_ATTEMPTS, JobRow, Queue, Taken
from entrepot.runtime.jobs.runner import Runner
from entrepot.runtime.tables import job as table
from entrepot.runtime.unit_of_work import Work
from entrepot.schema import SCHEMA

SECONDS: Final = 10
LEASE: Final = timedelta(seconds=30)


@dataclass(frozen=True, slots=True)
class Paint(Job):
    """Ordinary work."""

    NAME: ClassVar = "test.paint"
    QUEUE: ClassVar = "layer"

    color: str


@dataclass(frozen=True, slots=True)
class Urgent(Job):
    """Work that comes before ordinary work of the same queue."""

    NAME: ClassVar = "test.urgent"
    QUEUE: ClassVar = "layer"
    PRIORITY: ClassVar = 1

    color: str


@dataclass(slots=True)
class HandClock:
    """A clock moved by hand."""

    at: datetime = datetime(2030, 1, 1, tzinfo=UTC)

    def now(self) -> datetime:
        return self.at


@dataclass(slots=True)
class Bench:
    """A queue on a database of its own."""

    database: Database
    clock: HandClock
    work: Work
    queue: Queue

    async def enqueue(self, *jobs: Job) -> None:
        """Put *jobs* into the queue, each in a unit of its own."""
        for each in jobs:
            async with self.work(SYSTEM) as unit:
                unit.enqueue(each)

    async def take(self) -> Taken:
        """The next job, which must be there."""
        taken = await self.queue.take("layer")
        assert taken is not None
        return taken

    async def rows(self) -> list[JobRow]:
        """Every job, oldest first."""
        return (await self.queue.page(None, None, None, 1000))[::-1]

    async def states(self) -> list[tuple[str, int]]:
        """State and attempts of every job, oldest first."""
        return [(row.state, row.attempts) for row in await self.rows()]

    def later(self, **of_timedelta: float) -> None:
        """Let time pass."""
        self.clock.at += timedelta(**of_timedelta)


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    database, clock = open_database(f"sqlite:///{tmp_path / 'jobs.db'}"), HandClock()
    async with database.writer.begin() as connection:
        await connection.run_sync(SCHEMA.create_all)
    yield Bench(database, clock, Work(database, clock), Queue(database, clock, LEASE))
    await database.close()


async def test_a_job_is_enqueued_with_its_cause_or_not_at_all(bench: Bench) -> None:
    with contextlib.suppress(NotFoundError):
        async with bench.work(SYSTEM) as unit:
            unit.enqueue(Paint("red"))
            raise NotFoundError("nothing")
    async with bench.work(SYSTEM) as unit:
        unit.enqueue(Paint("blue"))

    assert [row.args for row in await bench.rows()] == ['{"color":"blue"}']


async def test_equal_jobs_wait_once(bench: Bench) -> None:
    await bench.enqueue(Paint("red"), Paint("blue"), Paint("red"))
    async with bench.work(SYSTEM) as unit:
        unit.enqueue(Paint("red"))
        unit.enqueue(Paint("red"))

    assert [row.args for row in await bench.rows()] == ['{"color":"red"}', '{"color":"blue"}']


async def test_a_job_equal_to_a_running_one_waits_until_that_has_ended(bench: Bench) -> None:
    await bench.enqueue(Paint("red"))
    first = await bench.take()
    await bench.enqueue(Paint("red"))

    assert await bench.states() == [("running", 1), ("waiting", 0)]
    assert await bench.queue.take("layer") is None
    await bench.queue.done(first.id)
    assert (await bench.take()).args == '{"color":"red"}'


async def test_a_job_behind_an_equal_running_one_does_not_hold_up_others(bench: Bench) -> None:
    await bench.enqueue(Paint("red"))
    await bench.take()
    await bench.enqueue(Paint("red"), Paint("blue"))

    assert (await bench.take()).args == '{"color":"blue"}'


async def test_jobs_are_taken_by_priority_and_then_in_order(bench: Bench) -> None:
    await bench.enqueue(Paint("1"), Paint("2"), Urgent("3"), Urgent("4"))

    taken = [(await bench.take()).args for _ in range(4)]
    assert taken == [f'{{"color":"{number}"}}' for number in (3, 4, 1, 2)]


async def test_a_queue_gives_nothing_of_another_one(bench: Bench) -> None:
    await bench.enqueue(Paint("red"))

    assert await bench.queue.take("verdict") is None


async def test_many_takers_never_get_the_same_job(bench: Bench) -> None:
    await bench.enqueue(*(Paint(str(number)) for number in range(30)))

    taken = await asyncio.gather(*(bench.queue.take("layer") for _ in range(40)))
    ids = [each.id for each in taken if each is not None]
    assert len(ids) == len(set(ids)) == 30


async def test_a_job_that_fails_is_tried_again_after_1_4_16_and_64_seconds_and_then_no_more(bench: Bench) -> None:
    await bench.enqueue(Paint("red"))
    for attempt, pause in enumerate((1, 4, 16, 64), start=1):
        taken = await bench.take()
        assert taken.attempts == attempt
        assert not await bench.queue.failed(taken, "no paint", final=False)
        bench.later(seconds=pause - 0.001)
        assert await bench.queue.take("layer") is None
        bench.later(seconds=0.001)

    assert await bench.queue.failed(await bench.take(), "no paint", final=False)
    bench.later(days=1)
    assert await bench.queue.take("layer") is None
    assert [(row.state, row.attempts, row.error) for row in await bench.rows()] == [("failed", 5, "no paint")]


async def test_a_final_failure_is_not_tried_again(bench: Bench) -> None:
    await bench.enqueue(Paint("red"))

    assert await bench.queue.failed(await bench.take(), "never", final=True)
    assert [(row.state, row.error) for row in await bench.rows()] == [("failed", "never")]


async def test_a_failed_job_gives_way_to_an_equal_one_that_waits(bench: Bench) -> None:
    await bench.enqueue(Paint("red"))
    taken = await bench.take()
    await bench.enqueue(Paint("red"))
    await bench.queue.failed(taken, "no paint", final=False)

    assert await bench.states() == [("failed", 1), ("waiting", 0)]


async def test_a_job_given_back_waits_as_if_never_begun(bench: Bench) -> None:
    await bench.enqueue(Paint("red"))
    for _ in range(MAX_ATTEMPTS):
        await bench.queue.give_back([(await bench.take()).id])

    assert await bench.states() == [("waiting", 0)]
    assert not await bench.queue.failed(await bench.take(), "no paint", final=False)


async def test_a_job_given_back_beside_an_equal_one_that_waits_is_done_with(bench: Bench) -> None:
    await bench.enqueue(Paint("red"))
    taken = await bench.take()
    await bench.enqueue(Paint("red"))
    await bench.queue.give_back([taken.id])
    bench.later(days=2)
    await bench.queue.tidy()

    assert await bench.states() == [("waiting", 0)]


async def test_a_job_whose_worker_gives_no_sign_of_life_is_recovered(bench: Bench) -> None:
    await bench.enqueue(Paint("red"), Paint("blue"))
    lost, kept = await bench.take(), await bench.take()
    bench.later(seconds=20)
    await bench.queue.renew([kept.id])
    bench.later(seconds=20)

    assert await bench.queue.recover(everything=False) == 1
    again = await bench.take()
    assert (again.id, again.attempts) == (lost.id, 2)


async def test_a_worker_that_starts_alone_recovers_every_running_job(bench: Bench) -> None:
    await bench.enqueue(Paint("red"), Paint("blue"))
    await bench.take()
    await bench.take()

    assert await bench.queue.recover(everything=True) == 2
    assert {state for state, _ in await bench.states()} == {"waiting"}


async def test_a_job_that_ends_its_worker_each_time_is_given_up(bench: Bench) -> None:
    await bench.enqueue(Paint("red"))
    for _ in range(MAX_ATTEMPTS):
        await bench.take()
        await bench.queue.recover(everything=True)
    (row,) = await bench.queue.page(None, None, None, 10)

    assert (row.state, row.attempts) == ("failed", MAX_ATTEMPTS)
    assert row.error == "each time its worker ended before it did"


async def test_a_renewal_does_not_bring_back_a_job_that_has_ended(bench: Bench) -> None:
    await bench.enqueue(Paint("red"))
    taken = await bench.take()
    await bench.queue.done(taken.id)
    await bench.queue.renew([taken.id])

    assert await bench.states() == [("done", 1)]


async def test_ended_jobs_are_listed_by_state_and_name_newest_first(bench: Bench) -> None:
    await bench.enqueue(Paint("1"), Paint("2"), Paint("3"), Urgent("4"))
    urgent = await bench.take()
    await bench.queue.failed(urgent, "broken", final=True)
    for _ in range(2):
        await bench.queue.done((await bench.take()).id)

    async def listed(state: str | None, name: str | None) -> list[str]:
        return [row.args[-3] for row in await bench.queue.page(state, name, None, 10)]

    assert await listed("done", None) == ["2", "1"]
    assert await listed("failed", None) == ["4"]
    assert await listed("waiting", "test.paint") == ["3"]
    assert await listed(None, "test.urgent") == ["4"]
    assert await bench.queue.counts() == {("layer", "done"): 2, ("layer", "failed"): 1, ("layer", "waiting"): 1}


async def test_pages_follow_one_another_without_gap(bench: Bench) -> None:
    await bench.enqueue(*(Paint(str(number)) for number in range(7)))
    pages: list[Sequence[str]] = []
    after = None
    while rows := await bench.queue.page(None, None, after, 3):
        pages.append([row.args[-3] for row in rows])
        after = rows[-1].id

    assert pages == [["6", "5", "4"], ["3", "2", "1"], ["0"]]


async def test_ended_jobs_are_kept_a_day_and_failed_ones_thirty(bench: Bench) -> None:
    await bench.enqueue(Paint("done"), Paint("failed"), Paint("waiting"))
    await bench.queue.done((await bench.take()).id)
    await bench.queue.failed(await bench.take(), "broken", final=True)
    bench.later(hours=23)
    await bench.queue.tidy()
    assert len(await bench.rows()) == 3
    bench.later(hours=2)
    await bench.queue.tidy()
    assert [row.state for row in await bench.rows()] == ["failed", "waiting"]
    bench.later(days=30)
    await bench.queue.tidy()

    assert [row.state for row in await bench.rows()] == ["waiting"]


async def test_an_unknown_job_is_not_found(bench: Bench) -> None:
    with pytest.raises(JobUnknownError):
        await bench.queue.get("01J00000000000000000000000")


@dataclass(slots=True)
class Painter:
    """Runs jobs, each with what is planned for its color, and notes who is at work."""

    plan: dict[str, list[Exception]] = field(default_factory=dict)
    begun: list[str] = field(default_factory=list)
    together: int = 0
    hold: asyncio.Event | None = None

    async def __call__(self, job: Paint) -> None:
        self.begun.append(job.color)
        self.together += 1
        try:
            if self.hold is not None:
                await self.hold.wait()
            planned = self.plan.get(job.color, [])
            if planned:
                raise planned.pop(0)
        finally:
            self.together -= 1


def runner(bench: Bench, run: Handler) -> Runner:
    reader = HotReader(bench.database.path)
    return Runner(bench.queue, reader, {Paint.NAME: Task(Paint, run)}, {"layer": 2}, 0.005)


async def run_until(bench: Bench, run: Handler, states: list[tuple[str, int]]) -> None:
    """Runs jobs until they are in *states*."""
    stop, worker = asyncio.Event(), runner(bench, run)
    async with asyncio.timeout(SECONDS), asyncio.TaskGroup() as group:
        group.create_task(worker.run(stop))
        while await bench.states() != states:  # noqa: ASYNC110  the table is what is watched
            await asyncio.sleep(0.005)
        stop.set()
    worker.hot.close()


async def test_a_runner_runs_jobs_side_by_side_up_to_the_queues_limit_and_never_more(bench: Bench) -> None:
    await bench.enqueue(*(Paint(str(number)) for number in range(40)))
    painter, pair, most = Painter(), asyncio.Barrier(2), 0

    async def paint_in_pairs(job: Paint) -> None:
        nonlocal most
        painter.together += 1
        await pair.wait()
        most = max(most, painter.together)
        painter.together -= 1
        await painter(job)

    await run_until(bench, paint_in_pairs, [("done", 1)] * 40)

    assert (len(painter.begun), most) == (40, 2)


async def test_a_queues_limit_holds_also_when_two_look_for_work_at_once(bench: Bench) -> None:
    await bench.enqueue(*(Paint(str(number)) for number in range(6)))
    painter = Painter(hold=asyncio.Event())
    worker = runner(bench, painter)
    async with asyncio.timeout(SECONDS):
        await asyncio.gather(*(worker._start_what_fits() for _ in range(3)))
        running = dict(worker._running)
        states = [state for state, _ in await bench.states()]
        for task in running.values():
            task.cancel()
        await asyncio.gather(*running.values(), return_exceptions=True)
    worker.hot.close()

    assert (len(running), states.count("running")) == (2, 2)


@pytest.mark.parametrize("error", [InvalidError("bad bytes"), ConflictError("locked")])
async def test_bad_input_and_a_state_that_refuses_fail_for_good_at_once(bench: Bench, error: Exception) -> None:
    await bench.enqueue(Paint("red"))
    await run_until(bench, Painter({"red": [error]}), [("failed", 1)])

    assert [row.error for row in await bench.rows()] == [str(error)]


@pytest.mark.parametrize("error", [NotFoundError("not yet"), RuntimeError("odd"), TimeoutError("slow")])
async def test_any_other_error_is_tried_again(bench: Bench, error: Exception) -> None:
    await bench.enqueue(Paint("red"))
    await run_until(bench, Painter({"red": [error]}), [("waiting", 1)])
    bench.later(seconds=1)
    await run_until(bench, Painter(), [("done", 2)])

    assert [row.error for row in await bench.rows()] == [""]


async def test_a_job_this_runner_does_not_know_fails_and_stops_nothing(bench: Bench) -> None:
    await bench.enqueue(Urgent("red"), Paint("blue"))

    await run_until(bench, Painter(), [("waiting", 1), ("done", 1)])


async def test_arguments_that_cannot_be_read_fail_and_stop_nothing(bench: Bench) -> None:
    await bench.enqueue(Paint("red"), Paint("blue"))
    first = (await bench.rows())[0].id
    async with bench.database.writing() as connection:
        await connection.execute(update(table).where(table.c.id == first).values(args='{"size":1}'))

    await run_until(bench, Painter(), [("waiting", 1), ("done", 1)])


async def test_a_runner_that_starts_takes_up_what_a_killed_one_left_running(bench: Bench) -> None:
    await bench.enqueue(Paint("red"))
    await bench.take()

    await run_until(bench, Painter(), [("done", 2)])


async def test_a_runner_told_to_stop_finishes_what_it_began(bench: Bench) -> None:
    await bench.enqueue(Paint("red"))
    stop, painter = asyncio.Event(), Painter(hold=asyncio.Event())
    worker = runner(bench, painter)
    async with asyncio.timeout(SECONDS), asyncio.TaskGroup() as group:
        group.create_task(worker.run(stop))
        while not painter.together:  # noqa: ASYNC110  as above
            await asyncio.sleep(0.005)
        stop.set()
        while not worker._stopping:  # noqa: ASYNC110  as above
            await asyncio.sleep(0.005)
        await bench.enqueue(Paint("blue"))
        assert painter.hold is not None
        painter.hold.set()
    worker.hot.close()

    assert await bench.states() == [("done", 1), ("waiting", 0)]


async def test_a_commit_of_another_process_wakes_a_runner(bench: Bench) -> None:
    """The other process is a thread with a database of its own: SQLite knows no difference."""
    elsewhere = open_database(f"sqlite:///{bench.database.path}")

    def commit() -> None:
        async def one() -> None:
            async with Work(elsewhere, bench.clock)(SYSTEM) as unit:
                unit.enqueue(Paint("red"))
            await elsewhere.close()

        asyncio.run(one())

    thread = threading.Thread(target=commit)
    thread.start()
    await run_until(bench, Painter(), [("done", 1)])
    await asyncio.to_thread(thread.join)


async def test_what_a_job_did_is_kept_with_its_times(bench: Bench) -> None:
    await bench.enqueue(Paint("red"))
    created = bench.clock.now()
    bench.later(seconds=3)
    taken = await bench.take()
    bench.later(seconds=4)
    await bench.queue.done(taken.id)

    row = await bench.queue.get(taken.id)
    assert (row.created_at, row.started_at, row.finished_at) == (
        created,
        created + timedelta(seconds=3),
        created + timedelta(seconds=7),
    )


async def test_a_waiting_job_has_no_lease(bench: Bench) -> None:
    await bench.enqueue(Paint("red"))
    await bench.queue.give_back([(await bench.take()).id])
    async with bench.database.reading() as connection:
        lease = (await connection.execute(select(table.c.lease_until))).scalar_one()

    assert lease is None
