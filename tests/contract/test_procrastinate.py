"""What is special to the job queue on PostgreSQL: the traps of procrastinate, and many workers at once."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from time import monotonic
from typing import Any, ClassVar, Final, cast

import psycopg
import pytest
import structlog
from sqlalchemy import create_engine, select, text
from sqlalchemy.engine import make_url
from sqlalchemy.pool import NullPool

from entrepot.clock import SystemClock
from entrepot.runtime.database import Database, open_database
from entrepot.runtime.events.model import SYSTEM
from entrepot.runtime.jobs.engine import engine_for
from entrepot.runtime.jobs.model import Job, JobRow, Taken, Task
from entrepot.runtime.jobs.ports import Engine
from entrepot.runtime.jobs.procrastinate_schema import _sql_folder, apply_schema
from entrepot.runtime.jobs.queue import enqueue, job_reader
from entrepot.runtime.jobs.runner import Runner
from entrepot.runtime.migrations.run import migrate
from entrepot.runtime.tables import lease as other_table
from entrepot.runtime.unit_of_work import Work
from tests.real.postgres import Postgres, cluster

TRIED_WITH: Final = "03.04.00_50_post_add_retry_failed_job_procedure"
SECONDS: Final = 20
LEASE: Final = timedelta(seconds=30)
AGE: Final = text("UPDATE procrastinate_workers SET last_heartbeat = last_heartbeat - INTERVAL '1 minute'")
CAUSE: Final = other_table.insert().values(name="cause", holder="x", token=1, until=SystemClock().now())


@dataclass(frozen=True, slots=True)
class Paint(Job):
    """Ordinary work."""

    NAME: ClassVar = "test.paint"
    QUEUE: ClassVar = "layer"

    color: str


@dataclass(slots=True)
class Bench:
    """A database of the test's own, and workers on it."""

    database: Database
    work: Work
    engines: list[Engine] = field(default_factory=list)

    async def worker(self) -> Engine:
        """One more worker's hold on the queue."""
        self.engines.append(engine_for(self.database, SystemClock(), LEASE, timedelta()))
        await self.engines[-1].start()
        return self.engines[-1]

    async def enqueue(self, *jobs: Job) -> None:
        """Put *jobs* into the queue, in one unit."""
        async with self.work(SYSTEM) as unit:
            for each in jobs:
                unit.enqueue(each)

    async def rows(self) -> list[JobRow]:
        """Every job, oldest first."""
        return (await job_reader(self.database).page(None, None, None, 1000))[::-1]

    async def states(self) -> list[str]:
        """The state of every job, oldest first."""
        return [row.state for row in await self.rows()]

    async def silence(self) -> None:
        """All workers gave their last sign of life a minute ago."""
        async with self.database.writing() as connection:
            await connection.execute(AGE)

    async def until(self, states: list[str]) -> None:
        """Wait until the jobs are in *states*."""
        async with asyncio.timeout(SECONDS):
            while await self.states() != states:  # noqa: ASYNC110  the table is what is watched
                await asyncio.sleep(0.005)


@pytest.fixture(autouse=True)
def _without_pretty_tracebacks() -> Iterator[None]:
    with structlog.testing.capture_logs():
        yield


@pytest.fixture
async def bench(postgres: Postgres) -> AsyncIterator[Bench]:
    database = open_database(postgres.url)
    made = Bench(database, Work(database, SystemClock()))
    yield made
    for engine in made.engines:
        await engine.close()
    await database.close()


async def take(engine: Engine) -> Taken:
    taken = await engine.take("layer")
    assert taken is not None
    return taken


@contextlib.asynccontextmanager
async def running(engine: Engine, run: Callable[[Paint], Any]) -> AsyncIterator[None]:
    """A worker at work on *engine*."""
    stop = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        group.create_task(Runner(engine, {Paint.NAME: Task(Paint, run)}, {"layer": 2}, LEASE).run(stop))
        try:
            yield
        finally:
            stop.set()


async def nothing(job: Paint) -> None:
    """Is done."""


# The traps of architecture.md 7, in its order.


async def test_an_equal_job_that_waits_does_not_end_the_transaction_of_a_cause(bench: Bench) -> None:
    await bench.enqueue(Paint("red"))
    async with bench.work(SYSTEM) as unit:
        await unit.execute(CAUSE)
        unit.enqueue(Paint("red"))
    async with bench.database.reading() as connection:
        causes = (await connection.execute(select(other_table.c.name))).scalars().all()

    assert (causes, await bench.states()) == (["cause"], ["waiting"])


async def test_a_waiting_job_is_not_taken_before_the_cause_of_its_equal_is_committed(bench: Bench) -> None:
    await bench.enqueue(Paint("red"))
    worker = await bench.worker()
    async with bench.database.writing() as connection:
        await connection.execute(CAUSE)
        await enqueue(connection, [Paint("red")], SystemClock().now())
        early = await worker.take("layer")

    assert early is None
    assert (await take(worker)).args == '{"color":"red"}'
    assert await bench.states() == ["running"]


async def test_a_job_equal_to_one_that_is_being_taken_is_a_new_one(bench: Bench) -> None:
    await bench.enqueue(Paint("red"))
    async with await psycopg.AsyncConnection.connect(bench.database.url) as taking:
        await taking.execute("SELECT procrastinate_fetch_job_v2('{layer}', NULL)")
        late = asyncio.create_task(bench.enqueue(Paint("red")))
        await until_one_waits_for_a_lock(bench.database)
        await taking.commit()
        await late

    assert await bench.states() == ["running", "waiting"]


async def until_one_waits_for_a_lock(database: Database) -> None:
    question = text("SELECT COUNT(*) FROM pg_locks WHERE NOT granted")
    async with asyncio.timeout(SECONDS):
        while True:
            async with database.reading() as connection:
                if (await connection.execute(question)).scalar_one():
                    return
            await asyncio.sleep(0.005)


async def test_units_that_enqueue_the_same_jobs_in_another_order_never_wait_for_each_other(bench: Bench) -> None:
    colors = [Paint(str(number)) for number in range(20)]
    for _ in range(10):
        await asyncio.gather(bench.enqueue(*colors), bench.enqueue(*colors[::-1]), bench.enqueue(*colors))

    assert await bench.states() == ["waiting"] * 20


async def test_a_job_in_its_back_off_holds_up_no_other_and_is_not_doubled(bench: Bench) -> None:
    worker = await bench.worker()
    await bench.enqueue(Paint("red"))
    taken = await take(worker)
    await worker.failed(Taken(taken.id, taken.name, taken.args, 4), "no paint", final=False)  # now it waits for 64 s
    await bench.enqueue(Paint("red"))
    await bench.enqueue(Paint("blue"))

    assert (await take(worker)).args == '{"color":"blue"}'
    assert await worker.take("layer") is None
    assert [(row.state, row.error) for row in await bench.rows()] == [("waiting", "no paint"), ("running", "")]


async def test_workers_are_woken_after_the_commit_and_not_by_it(bench: Bench) -> None:
    """A commit with NOTIFY in it would wait for every other such commit of the database."""
    async with await psycopg.AsyncConnection.connect(bench.database.url, autocommit=True) as listening:
        await listening.execute("LISTEN procrastinate_any_queue_v1")
        async with bench.database.writing() as connection:
            await enqueue(connection, [Paint("red")], SystemClock().now())
        unheard = [note.payload async for note in listening.notifies(timeout=0.2)]
        await bench.enqueue(Paint("blue"))
        heard = [note.payload async for note in listening.notifies(timeout=SECONDS, stop_after=1)]

    assert (unheard, len(heard)) == ([], 1)


@dataclass(slots=True)
class Deaf:
    """An engine that hears of no commit, as behind a proxy that pools transactions."""

    inner: Engine

    async def watch(self, woken: Callable[[], None]) -> None:
        del woken
        await asyncio.Event().wait()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)


async def test_a_worker_that_hears_nothing_looks_every_second(bench: Bench) -> None:
    deaf = cast("Engine", Deaf(engine_for(bench.database, SystemClock(), LEASE, timedelta())))
    async with running(deaf, nothing):
        for number in range(3):
            at = monotonic()
            await bench.enqueue(Paint(str(number)))
            await bench.until(["done"] * (number + 1))
            assert monotonic() - at < 3


async def test_a_worker_that_hears_begins_well_within_a_second(bench: Bench) -> None:
    times = []
    async with running(engine_for(bench.database, SystemClock(), LEASE, timedelta()), nothing):
        for number in range(5):
            at = monotonic()
            await bench.enqueue(Paint(str(number)))
            await bench.until(["done"] * (number + 1))
            times.append(monotonic() - at)

    assert sorted(times)[2] < 0.3


# Many workers.


async def test_a_worker_that_starts_leaves_alone_what_another_one_runs(bench: Bench) -> None:
    await bench.enqueue(Paint("red"))
    await take(await bench.worker())
    await bench.worker()

    assert await bench.states() == ["running"]


async def test_a_dead_workers_jobs_are_recovered_once_however_many_look(bench: Bench) -> None:
    await bench.enqueue(*(Paint(str(number)) for number in range(10)))
    dead = await bench.worker()
    for _ in range(10):
        await take(dead)
    living = [await bench.worker() for _ in range(4)]
    await bench.silence()

    assert sum(await asyncio.gather(*(worker.beat(()) for worker in living))) == 10
    assert [(row.state, row.attempts) for row in await bench.rows()] == [("waiting", 1)] * 10


async def test_what_a_worker_leaves_when_it_ends_is_anybodys_at_once(bench: Bench) -> None:
    await bench.enqueue(Paint("red"))
    leaving, staying = engine_for(bench.database, SystemClock(), LEASE, timedelta()), await bench.worker()
    await leaving.start()
    await take(leaving)
    await leaving.close()

    assert await staying.beat(()) == 1


async def test_a_worker_that_was_taken_for_dead_ends_nobody_elses_job(bench: Bench) -> None:
    await bench.enqueue(Paint("red"))
    frozen, other = await bench.worker(), await bench.worker()
    taken = await take(frozen)
    await bench.silence()
    await other.beat(())
    again = await take(other)
    await frozen.done(taken.id)
    await frozen.failed(taken, "late", final=True)
    await frozen.give_back([taken.id])

    assert again.id == taken.id
    assert [(row.state, row.attempts, row.error) for row in await bench.rows()] == [("running", 2, "")]


async def test_a_worker_whose_row_is_gone_signs_on_again(bench: Bench) -> None:
    worker = await bench.worker()
    async with bench.database.writing() as connection:
        await connection.execute(text("DELETE FROM procrastinate_workers"))
    await worker.beat(())
    await bench.enqueue(Paint("red"))

    assert (await take(worker)).attempts == 1


async def test_a_worker_outlives_a_crash_of_its_database() -> None:
    with cluster(durable=True) as server:
        migrate(server.url)
        database = open_database(server.url)
        bench = Bench(database, Work(database, SystemClock()))
        async with running(engine_for(database, SystemClock(), LEASE, timedelta()), nothing):
            await bench.enqueue(Paint("red"))
            await bench.until(["done"])
            await asyncio.to_thread(server.kill)
            await asyncio.to_thread(server.start)
            await bench.enqueue(Paint("blue"))
            await bench.until(["done", "done"])
        await database.close()


# What is kept.


async def test_arguments_and_errors_of_any_kind_and_length_are_kept(bench: Bench) -> None:
    worker = await bench.worker()
    color = "r\0d\u2713" * 1_000
    await bench.enqueue(Paint(color), Paint(color), Paint(color + "!"))
    taken = await take(worker)
    await worker.failed(taken, "no\0paint" * 1_000, final=True)

    assert [row.args for row in await bench.rows()] == [Paint(color).args(), Paint(color + "!").args()]
    assert taken.args == Paint(color).args()
    assert (await job_reader(bench.database).get(taken.id)).error == ("nopaint" * 1_000)[:1_000]


# The schema.


def test_procrastinate_is_the_one_this_was_tried_with() -> None:
    """A later migration needs a revision of ours: only then does `entrepot migrate` run, and apply it."""
    assert max(file.stem for file in (_sql_folder() / "migrations").glob("*.sql")) == TRIED_WITH


def test_an_older_schema_is_brought_up_and_the_newest_is_left_alone(postgres: Postgres) -> None:
    """The older one lacks what the last file brings: the trigger that keeps the times of a job."""
    target = make_url(postgres.url).set(drivername="postgresql+psycopg")
    before = sorted(file.stem for file in (_sql_folder() / "migrations").glob("*.sql"))[-2]
    question = text("SELECT oid FROM pg_trigger WHERE tgname = 'procrastinate_trigger_status_events_update_v1'")
    with create_engine(target, poolclass=NullPool).connect() as connection:
        connection.exec_driver_sql("DROP TRIGGER procrastinate_trigger_status_events_update_v1 ON procrastinate_jobs")
        connection.exec_driver_sql(f"COMMENT ON TABLE procrastinate_jobs IS '{before}'")
        connection.commit()
        apply_schema(connection)
        first = connection.execute(question).scalar_one()
        apply_schema(connection)
        second = connection.execute(question).scalar_one()

    assert first == second
