"""The contract of the job queue, on both databases: what is enqueued, taken, tried again, given back, and kept."""

import asyncio
import contextlib
import signal
import subprocess
import sys
import textwrap
import threading
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import monotonic
from typing import Any, ClassVar, Final, cast

import pytest
import structlog
from sqlalchemy import select, text, update

from entrepot.clock import SystemClock
from entrepot.errors import ConflictError, InvalidError, NotFoundError
from entrepot.runtime.database import Database, open_database
from entrepot.runtime.database_url import Kind
from entrepot.runtime.errors import DatabaseUnavailableError, JobUnknownError
from entrepot.runtime.events.model import SYSTEM
from entrepot.runtime.jobs.engine import engine_for
from entrepot.runtime.jobs.model import JOBS, MAX_ATTEMPTS, Handler, Job, JobRow, Taken, Task
from entrepot.runtime.jobs.ports import Engine, JobReader
from entrepot.runtime.jobs.queue import job_reader
from entrepot.runtime.jobs.runner import Runner
from entrepot.runtime.tables import job as table
from entrepot.runtime.unit_of_work import Work
from tests.real.postgres import Postgres
from tests.real.sqlite import new_database

SECONDS: Final = 10
LEASE: Final = timedelta(seconds=30)
POLL: Final = timedelta(milliseconds=5)
SPOIL: Final = text("""UPDATE procrastinate_jobs SET args = '{"args": "{}"}' WHERE id = :id""")


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
    """A queue on a database of its own, and a worker's hold on it."""

    database: Database
    clock: HandClock
    work: Work
    jobs: JobReader
    engine: Engine

    @property
    def is_sqlite(self) -> bool:
        return self.database.kind is Kind.SQLITE

    @property
    def slack(self) -> float:
        """How many seconds a step may take before a test of times is wrong: PostgreSQL's clock is the real one."""
        return 0.001 if self.is_sqlite else 0.9

    def another(self) -> Engine:
        """One more worker's hold, to be started."""
        return engine_for(self.database, self.clock, LEASE, POLL)

    async def enqueue(self, *jobs: Job) -> None:
        """Put *jobs* into the queue, each in a unit of its own."""
        for each in jobs:
            async with self.work(SYSTEM) as unit:
                unit.enqueue(each)

    async def take(self) -> Taken:
        """The next job, which must be there."""
        taken = await self.engine.take("layer")
        assert taken is not None
        return taken

    async def rows(self) -> list[JobRow]:
        """Every job, oldest first."""
        return (await self.jobs.page(None, None, None, 1000))[::-1]

    async def states(self) -> list[tuple[str, int]]:
        """State and attempts of every job, oldest first."""
        return [(row.state, row.attempts) for row in await self.rows()]

    async def later(self, **of_timedelta: float) -> None:
        """Let time pass, by clock or, where the database has its own, by making all there is so much older."""
        passed = timedelta(**of_timedelta)
        self.clock.at += passed
        if not self.is_sqlite:
            async with self.database.writing() as connection:
                await connection.execute(text("SET LOCAL session_replication_role = replica"))  # no triggers
                for name in ("jobs SET scheduled_at", "events SET at", "workers SET last_heartbeat"):
                    change = f"UPDATE procrastinate_{name} = {name.split()[-1]} - :passed"
                    await connection.execute(text(change), {"passed": passed})

    async def spoil(self, id_: str) -> None:
        """The arguments of the job *id_* are no longer those of its kind."""
        async with self.database.writing() as connection:
            if self.is_sqlite:
                await connection.execute(update(table).where(table.c.id == id_).values(args="{}"))
            else:
                await connection.execute(SPOIL, {"id": int(id_)})


@pytest.fixture(autouse=True)
def _without_pretty_tracebacks() -> Iterator[None]:
    """They take longer to print than a job waits for its second try."""
    with structlog.testing.capture_logs():
        yield


@contextlib.asynccontextmanager
async def opened(url: str) -> AsyncIterator[Bench]:
    database, clock = open_database(url), HandClock()
    engine = engine_for(database, clock, LEASE, POLL)
    await engine.start()
    try:
        yield Bench(database, clock, Work(database, clock), job_reader(database), engine)
    finally:
        await engine.close()
        await database.close()


@pytest.fixture
async def sqlite_bench(tmp_path: Path) -> AsyncIterator[Bench]:
    async with opened(new_database(tmp_path / "jobs.db")) as bench:
        yield bench


@pytest.fixture
async def postgres_bench(postgres: Postgres) -> AsyncIterator[Bench]:
    async with opened(postgres.url) as bench:
        yield bench


@pytest.fixture(params=["sqlite", "postgresql"])
async def bench(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Bench]:
    is_sqlite = request.param == "sqlite"
    url = new_database(tmp_path / "jobs.db") if is_sqlite else request.getfixturevalue("postgres").url
    async with opened(url) as made:
        yield made


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
    assert await bench.engine.take("layer") is None
    await bench.engine.done(first.id)
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

    assert await bench.engine.take("verdict") is None


async def test_many_takers_never_get_the_same_job(bench: Bench) -> None:
    await bench.enqueue(*(Paint(str(number)) for number in range(30)))

    taken = await asyncio.gather(*(bench.engine.take("layer") for _ in range(40)))
    ids = [each.id for each in taken if each is not None]
    assert len(ids) == len(set(ids)) == 30


async def test_a_job_that_fails_is_tried_again_after_1_4_16_and_64_seconds_and_then_no_more(bench: Bench) -> None:
    await bench.enqueue(Paint("red"))
    for attempt, pause in enumerate((1, 4, 16, 64), start=1):
        taken = await bench.take()
        assert taken.attempts == attempt
        assert not await bench.engine.failed(taken, "no paint", final=False)
        await bench.later(seconds=pause - bench.slack)
        assert await bench.engine.take("layer") is None
        await bench.later(seconds=bench.slack)

    assert await bench.engine.failed(await bench.take(), "no paint", final=False)
    await bench.later(days=1)
    assert await bench.engine.take("layer") is None
    assert [(row.state, row.attempts, row.error) for row in await bench.rows()] == [("failed", 5, "no paint")]


async def test_a_final_failure_is_not_tried_again(bench: Bench) -> None:
    await bench.enqueue(Paint("red"))

    assert await bench.engine.failed(await bench.take(), "never", final=True)
    assert [(row.state, row.error) for row in await bench.rows()] == [("failed", "never")]


async def test_a_failed_job_gives_way_to_an_equal_one_that_waits(bench: Bench) -> None:
    await bench.enqueue(Paint("red"))
    taken = await bench.take()
    await bench.enqueue(Paint("red"))
    await bench.engine.failed(taken, "no paint", final=False)

    assert await bench.states() == [("failed", 1), ("waiting", 0)]


async def test_a_job_given_back_waits_as_if_never_begun(bench: Bench) -> None:
    await bench.enqueue(Paint("red"))
    for _ in range(MAX_ATTEMPTS):
        await bench.engine.give_back([(await bench.take()).id])

    assert await bench.states() == [("waiting", 0)]
    assert not await bench.engine.failed(await bench.take(), "no paint", final=False)


async def test_a_job_given_back_beside_an_equal_one_that_waits_is_done_with(bench: Bench) -> None:
    await bench.enqueue(Paint("red"))
    taken = await bench.take()
    await bench.enqueue(Paint("red"))
    await bench.engine.give_back([taken.id])
    await bench.later(days=2)
    await bench.engine.tidy()

    assert await bench.states() == [("waiting", 0)]


async def test_a_job_whose_worker_gives_no_sign_of_life_is_recovered(bench: Bench) -> None:
    await bench.enqueue(Paint("red"), Paint("blue"))
    other = bench.another()
    await other.start()
    lost, kept = await bench.take(), await other.take("layer")
    assert kept is not None
    await bench.later(seconds=20)
    await other.beat([kept.id])
    await bench.later(seconds=20)

    assert await other.beat([kept.id]) == 1
    again = await other.take("layer")
    assert again is not None
    assert (again.id, again.attempts) == (lost.id, 2)
    assert [state for state, _ in await bench.states()] == ["running", "running"]
    await other.close()


async def test_a_job_that_ends_its_worker_each_time_is_given_up(bench: Bench) -> None:
    await bench.enqueue(Paint("red"))
    other = bench.another()
    await other.start()
    for _ in range(MAX_ATTEMPTS):
        await bench.take()
        await bench.later(minutes=1)
        await other.beat([])
    (row,) = await bench.rows()
    await other.close()

    assert (row.state, row.attempts) == ("failed", MAX_ATTEMPTS)
    assert row.error == "each time its worker ended before it did"


async def test_a_job_recovered_beside_an_equal_one_that_waits_is_done_with(bench: Bench) -> None:
    await bench.enqueue(Paint("red"))
    other = bench.another()
    await other.start()
    await bench.take()
    await bench.enqueue(Paint("red"))
    await bench.later(minutes=1)

    assert await other.beat([]) == 1
    assert [state for state, _ in await bench.states()] == ["done", "waiting"]
    await other.close()


async def test_a_sign_of_life_does_not_bring_back_a_job_that_has_ended(bench: Bench) -> None:
    await bench.enqueue(Paint("red"))
    taken = await bench.take()
    await bench.engine.done(taken.id)
    await bench.engine.beat([taken.id])

    assert await bench.states() == [("done", 1)]


async def test_ended_jobs_are_listed_by_state_and_name_newest_first(bench: Bench) -> None:
    await bench.enqueue(Paint("1"), Paint("2"), Paint("3"), Urgent("4"))
    urgent = await bench.take()
    await bench.engine.failed(urgent, "broken", final=True)
    for _ in range(2):
        await bench.engine.done((await bench.take()).id)

    async def listed(state: str | None, name: str | None) -> list[str]:
        return [row.args[-3] for row in await bench.jobs.page(state, name, None, 10)]

    assert await listed("done", None) == ["2", "1"]
    assert await listed("failed", None) == ["4"]
    assert await listed("waiting", "test.paint") == ["3"]
    assert await listed(None, "test.urgent") == ["4"]
    assert await filtered(bench, "state=done") == ["2", "1"]
    assert await filtered(bench, "name=test.paint and not state=done") == ["3"]
    assert await filtered(bench, "attempts>=1 and created_at>0001-01-02 and finished_at!=none", "id") == ["1", "2", "4"]
    assert await filtered(bench, 'error~"BROK"') == ["4"]
    assert await bench.jobs.counts() == {("layer", "done"): 2, ("layer", "failed"): 1, ("layer", "waiting"): 1}


async def test_the_oldest_waiting_job_of_a_queue_is_the_one_that_waits_longest(bench: Bench) -> None:
    assert await bench.jobs.oldest() == {}
    await bench.enqueue(Paint("1"))
    first = (await bench.jobs.page(None, None, None, 1))[0].created_at
    await bench.enqueue(Paint("2"))

    waits = await bench.jobs.oldest()
    await bench.engine.done((await bench.take()).id)
    later = await bench.jobs.oldest()
    await bench.take()

    assert waits == {"layer": first}
    assert later.keys() == {"layer"}
    assert later["layer"] >= first
    assert await bench.jobs.oldest() == {}  # it runs


async def filtered(bench: Bench, where: str, sort: str = "") -> list[str]:
    """What the jobs that match are about, in pages of two."""
    found, after = list[str](), ""
    while True:
        wanted = JOBS.wanted(datetime.now(UTC), where=where, sort=sort, after=after, limit=2, total=True)
        part = await bench.jobs.listed("", "", wanted)
        found += [row.args[-3] for row in part.items]
        if part.next is None:
            assert part.total == len(found)
            return found
        after = part.next


async def test_pages_follow_one_another_without_gap(bench: Bench) -> None:
    await bench.enqueue(*(Paint(str(number)) for number in range(7)))
    pages: list[Sequence[str]] = []
    after = None
    while rows := await bench.jobs.page(None, None, after, 3):
        pages.append([row.args[-3] for row in rows])
        after = rows[-1].id

    assert pages == [["6", "5", "4"], ["3", "2", "1"], ["0"]]


async def test_ended_jobs_are_kept_a_day_and_failed_ones_thirty(bench: Bench) -> None:
    await bench.enqueue(Paint("done"), Paint("failed"), Paint("waiting"))
    await bench.engine.done((await bench.take()).id)
    await bench.engine.failed(await bench.take(), "broken", final=True)
    await bench.later(hours=23)
    await bench.engine.tidy()
    assert len(await bench.rows()) == 3
    await bench.later(hours=2)
    await bench.engine.tidy()
    assert [row.state for row in await bench.rows()] == ["failed", "waiting"]
    await bench.later(days=30)
    await bench.engine.tidy()

    assert [row.state for row in await bench.rows()] == ["waiting"]


async def test_an_unknown_job_is_not_found(bench: Bench) -> None:
    with pytest.raises(JobUnknownError):
        await bench.jobs.get("01J00000000000000000000000")


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


@dataclass(slots=True)
class Forgetful:
    """An engine whose database is silent when the first job ends."""

    inner: Engine
    forgot: bool = False

    async def done(self, id_: str) -> None:
        if not self.forgot:
            self.forgot = True
            raise DatabaseUnavailableError("silent")
        await self.inner.done(id_)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)


def runner(bench: Bench, run: Handler) -> Runner:
    return Runner(bench.another(), {Paint.NAME: Task(Paint, run)}, {"layer": 2}, LEASE)


async def run_until(bench: Bench, run: Handler, states: list[tuple[str, int]]) -> None:
    """Runs jobs until they are in *states*."""
    stop, worker = asyncio.Event(), runner(bench, run)
    async with asyncio.timeout(SECONDS), asyncio.TaskGroup() as group:
        group.create_task(worker.run(stop))
        while await bench.states() != states:  # noqa: ASYNC110  the table is what is watched
            await asyncio.sleep(0.005)
        stop.set()


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
    await worker.engine.start()
    async with asyncio.timeout(SECONDS):
        await asyncio.gather(*(worker._start_what_fits() for _ in range(3)))
        running = dict(worker._running)
        states = [state for state, _ in await bench.states()]
        for task in running.values():
            task.cancel()
        await asyncio.gather(*running.values(), return_exceptions=True)
    await worker.engine.close()

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
    await bench.later(seconds=1)
    await run_until(bench, Painter(), [("done", 2)])

    assert [row.error for row in await bench.rows()] == [""]


async def test_a_job_this_runner_does_not_know_fails_and_stops_nothing(bench: Bench) -> None:
    await bench.enqueue(Urgent("red"), Paint("blue"))

    await run_until(bench, Painter(), [("waiting", 1), ("done", 1)])


async def test_arguments_that_cannot_be_read_fail_and_stop_nothing(bench: Bench) -> None:
    await bench.enqueue(Paint("red"), Paint("blue"))
    await bench.spoil((await bench.rows())[0].id)

    await run_until(bench, Painter(), [("waiting", 1), ("done", 1)])


async def test_a_runner_that_starts_takes_up_what_a_killed_one_left_running(bench: Bench) -> None:
    await bench.enqueue(Paint("red"))
    await bench.take()
    await bench.later(minutes=1)

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

    assert await bench.states() == [("done", 1), ("waiting", 0)]


async def test_a_commit_of_another_process_wakes_a_runner(bench: Bench) -> None:
    """The other process is a thread with a database of its own: neither database knows a difference."""
    elsewhere = open_database(bench.database.url)

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
    await bench.later(seconds=30)
    taken = await bench.take()
    await bench.later(seconds=40)
    await bench.engine.done(taken.id)
    row = await bench.jobs.get(taken.id)
    assert row.started_at is not None
    assert row.finished_at is not None

    assert 30 <= (row.started_at - row.created_at).total_seconds() < 35
    assert 40 <= (row.finished_at - row.started_at).total_seconds() < 45


async def test_a_job_whose_end_could_not_be_noted_is_run_again(bench: Bench) -> None:
    """The database may be silent at that very moment; the worker lives on, and nobody would recover the job."""
    bench.work = Work(bench.database, SystemClock())
    await bench.enqueue(Paint("red"))
    painter, lease = Painter(), timedelta(seconds=1)
    forgetful = cast(
        "Engine", Forgetful(engine_for(bench.database, SystemClock(), lease, POLL))
    )  # all else is handed on
    stop = asyncio.Event()
    async with asyncio.timeout(SECONDS), asyncio.TaskGroup() as group:
        group.create_task(Runner(forgetful, {Paint.NAME: Task(Paint, painter)}, {"layer": 1}, lease).run(stop))
        while await bench.states() != [("done", 2)]:  # noqa: ASYNC110  the table is what is watched
            await asyncio.sleep(0.005)
        stop.set()

    assert painter.begun == ["red", "red"]


KILLED: Final = """
    import asyncio, os, signal, sys
    from datetime import timedelta
    from sqlalchemy import text
    from entrepot.clock import SystemClock
    from entrepot.runtime.database import open_database
    from entrepot.runtime.jobs.engine import engine_for
    from entrepot.runtime.jobs.model import Task
    from entrepot.runtime.jobs.runner import Runner
    from tests.contract.test_jobs import EFFECT, Paint

    async def main(url):
        database = open_database(url)

        async def paint(job):
            async with database.writing() as connection:
                await connection.execute(text(EFFECT), {"color": job.color})
            os.kill(os.getpid(), signal.SIGKILL)  # its effect is there, its end is not

        lease = timedelta(seconds=3)
        engine = engine_for(database, SystemClock(), lease, timedelta(milliseconds=5))
        await Runner(engine, {Paint.NAME: Task(Paint, paint)}, {"layer": 1}, lease).run(asyncio.Event())

    asyncio.run(main(sys.argv[1]))
"""
EFFECT: Final = "INSERT INTO effect (color) VALUES (:color) ON CONFLICT DO NOTHING"


async def test_a_job_whose_worker_is_killed_between_its_effect_and_its_end_runs_again_and_does_nothing_twice(
    bench: Bench,
) -> None:
    """kill -9, with a lease of 3 s: four thirds of it later at most, so within 40 s with the default one."""
    async with bench.database.writing() as connection:
        await connection.execute(text("CREATE TABLE effect (color VARCHAR(16) PRIMARY KEY)"))
    bench.work = Work(bench.database, SystemClock())
    await bench.enqueue(Paint("red"))
    command = [sys.executable, "-c", textwrap.dedent(KILLED), bench.database.url]
    killed = await asyncio.to_thread(subprocess.run, command, timeout=60, check=False, cwd=Path(__file__).parents[2])
    at = monotonic()
    effects: list[int] = []

    async def paint(job: Paint) -> None:
        async with bench.database.writing() as connection:
            effects.append((await connection.execute(text(EFFECT), {"color": job.color})).rowcount)

    lease, stop = timedelta(seconds=3), asyncio.Event()
    again = engine_for(bench.database, SystemClock(), lease, POLL)
    async with asyncio.timeout(SECONDS), asyncio.TaskGroup() as group:
        group.create_task(Runner(again, {Paint.NAME: Task(Paint, paint)}, {"layer": 1}, lease).run(stop))
        while await bench.states() != [("done", 2)]:  # noqa: ASYNC110  the table is what is watched
            await asyncio.sleep(0.005)
        stop.set()

    assert killed.returncode == -signal.SIGKILL
    assert effects == [0]
    assert monotonic() - at < 4 / 3 * lease.total_seconds() + 2


async def test_a_worker_that_starts_alone_recovers_every_running_job(sqlite_bench: Bench) -> None:
    bench = sqlite_bench
    await bench.enqueue(Paint("red"), Paint("blue"))
    await bench.take()
    await bench.take()
    await bench.another().start()

    assert {state for state, _ in await bench.states()} == {"waiting"}


async def test_a_waiting_job_has_no_lease(sqlite_bench: Bench) -> None:
    await sqlite_bench.enqueue(Paint("red"))
    await sqlite_bench.engine.give_back([(await sqlite_bench.take()).id])
    async with sqlite_bench.database.reading() as connection:
        lease = (await connection.execute(select(table.c.lease_until))).scalar_one()

    assert lease is None
