"""The job queue as a table: enqueued in the transaction of its cause, taken by one worker, given back if that dies."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import BindParameter, bindparam, delete, exists, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from entrepot.clock import Clock
from entrepot.ids import ulid
from entrepot.runtime.database import Database
from entrepot.runtime.errors import JobUnknownError
from entrepot.runtime.jobs.model import Job
from entrepot.runtime.tables import job
from entrepot.runtime.upsert import insert_or

MAX_ATTEMPTS: Final = 5
KEEP_DONE: Final = timedelta(days=1)
KEEP_FAILED: Final = timedelta(days=30)
PAGE: Final = 1_000


@dataclass(frozen=True, slots=True)
class Taken:
    """A job a worker has taken: its row's id, kind, arguments and how often it was begun, this time included."""

    id: str
    name: str
    args: str
    attempts: int


@dataclass(frozen=True, slots=True)
class JobRow:
    """A job as people see it."""

    id: str
    name: str
    args: str
    state: str
    queue: str
    attempts: int
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    error: str


async def enqueue(connection: AsyncConnection, work: Job, now: datetime) -> str:
    """Puts *work* into the queue, in the transaction of *connection*; its id, or that of an equal one waiting."""
    new = ulid()
    row = {
        "id": new,
        "name": work.NAME,
        "queue": work.QUEUE,
        "priority": work.PRIORITY,
        "args": work.args(),
        "dedup": work.dedup(),
        "state": "waiting",
        "run_at": now,
        "created_at": now,
    }
    result = await connection.execute(insert_or(job).values(row).on_conflict_do_nothing())
    if result.rowcount:
        return new
    waiting = select(job.c.id).where(job.c.dedup == work.dedup(), job.c.state == "waiting")
    return str((await connection.execute(waiting)).scalar_one())


@dataclass(frozen=True, slots=True)
class Queue:
    """What a worker does with the queue. lease: how long a taken job is his without a sign of life."""

    database: Database
    clock: Clock
    lease: timedelta = timedelta(seconds=30)

    async def take(self, queue: str) -> Taken | None:
        """The next job of *queue*, marked as running; None if there is none. Equal jobs never run side by side."""
        now = self.clock.now()
        other = job.alias()
        ready = (
            select(job.c.id)
            .where(
                job.c.state == "waiting",
                job.c.queue == queue,
                job.c.run_at <= now,
                ~exists().where(other.c.state == "running", other.c.name == job.c.name, other.c.dedup == job.c.dedup),
            )
            .order_by(job.c.priority, job.c.id)
            .limit(1)
        )
        async with self.database.writing() as connection:
            chosen = (await connection.execute(ready)).scalar_one_or_none()
            if chosen is None:
                return None
            row = (
                await connection.execute(
                    update(job)
                    .where(job.c.id == chosen)
                    .values(
                        state="running",
                        attempts=job.c.attempts + 1,
                        started_at=now,
                        finished_at=None,
                        lease_until=now + self.lease,
                    )
                    .returning(job.c.id, job.c.name, job.c.args, job.c.attempts)
                )
            ).one()
            return Taken(*row)

    async def renew(self, ids: list[str]) -> None:
        """Signs of life for the jobs *ids*."""
        change = update(job).where(job.c.id.in_(ids), job.c.state == "running")
        async with self.database.writing() as connection:
            await connection.execute(change.values(lease_until=self.clock.now() + self.lease))

    async def done(self, id_: str) -> None:
        """The job ended well."""
        change = update(job).where(job.c.id == id_).values(state="done", finished_at=self.clock.now(), error="")
        async with self.database.writing() as connection:
            await connection.execute(change)

    async def failed(self, taken: Taken, error: str, *, final: bool) -> bool:
        """The job ended badly: again after 1, 4, 16, 64 s, or for good if *final* or at the fifth time; which."""
        now = self.clock.now()
        final = final or taken.attempts >= MAX_ATTEMPTS
        values: dict[str, Any] = {"state": "failed", "finished_at": now, "error": error[:1000]}
        async with self.database.writing() as connection:
            row = select(job.c.dedup).where(job.c.id == taken.id).scalar_subquery()
            waiting = select(job.c.id).where(job.c.dedup == row, job.c.state == "waiting")
            if not final and (await connection.execute(waiting)).scalar_one_or_none() is None:
                values |= {"state": "waiting", "run_at": now + timedelta(seconds=4 ** (taken.attempts - 1))}
            await connection.execute(update(job).where(job.c.id == taken.id).values(values))
        return final

    async def give_back(self, ids: list[str]) -> None:
        """Running jobs that this worker will not end wait again, as if never begun."""
        async with self.database.writing() as connection:
            await _wait_again(connection, job.c.id.in_(ids), self.clock.now(), counted=False)

    async def recover(self, *, everything: bool) -> int:
        """Running jobs without an owner wait again; how many. everything: no other worker lives, so all of them."""
        orphan = job.c.lease_until < self.clock.now()
        async with self.database.writing() as connection:
            which = job.c.id.is_not(None) if everything else orphan
            return await _wait_again(connection, which, self.clock.now(), counted=True)

    async def tidy(self) -> None:
        """Old rows of ended jobs go."""
        now = self.clock.now()
        async with self.database.writing() as connection:
            await connection.execute(delete(job).where(job.c.state == "done", job.c.finished_at < now - KEEP_DONE))
            await connection.execute(delete(job).where(job.c.state == "failed", job.c.finished_at < now - KEEP_FAILED))

    async def counts(self) -> dict[tuple[str, str], int]:
        """How many jobs there are by (queue, state)."""
        question = select(job.c.queue, job.c.state, func.count()).group_by(job.c.queue, job.c.state)
        async with self.database.reading() as connection:
            return {(row[0], row[1]): row[2] for row in await connection.execute(question)}

    async def page(self, state: str | None, name: str | None, after: str | None, limit: int) -> list[JobRow]:
        """Jobs, newest first, older than the id *after*; at most *limit*."""
        question = select(*ROW).order_by(job.c.id.desc()).limit(min(limit, PAGE))
        for column, value in ((job.c.state, state), (job.c.name, name)):
            question = question.where(column == value) if value else question
        question = question.where(job.c.id < after) if after else question
        async with self.database.reading() as connection:
            return [JobRow(**row._mapping) for row in await connection.execute(question)]  # noqa: SLF001  its public name

    async def get(self, id_: str) -> JobRow:
        """The job *id_*. Raises JobUnknownError."""
        async with self.database.reading() as connection:
            row = (await connection.execute(select(*ROW).where(job.c.id == id_))).one_or_none()
        if row is None:
            raise JobUnknownError("no such job; ended ones are kept for a day, failed ones for 30")
        return JobRow(**row._mapping)  # noqa: SLF001  its public name


ROW: Final = (
    job.c.id,
    job.c.name,
    job.c.args,
    job.c.state,
    job.c.queue,
    job.c.attempts,
    job.c.created_at,
    job.c.started_at,
    job.c.finished_at,
    job.c.error,
)


async def _wait_again(connection: AsyncConnection, which: Any, now: datetime, *, counted: bool) -> int:
    """Running jobs that match wait again; one that has an equal waiting already is done with.

    counted: whether this attempt counts, because it may be the job that ended its worker; the fifth is its last.
    """
    columns = (job.c.id, job.c.dedup, job.c.attempts)
    rows = (await connection.execute(select(*columns).where(job.c.state == "running", which))).all()
    taken: BindParameter[str] = bindparam("taken")
    waiting = select(job.c.id).where(job.c.dedup == taken, job.c.state == "waiting")
    for row in rows:
        equal = (await connection.execute(waiting, {"taken": row.dedup})).scalar_one_or_none()
        values: dict[str, Any] = {"state": "waiting", "lease_until": None}
        if equal:
            values = {"state": "done", "finished_at": now}
        elif not counted:
            values["attempts"] = job.c.attempts - 1
        elif row.attempts >= MAX_ATTEMPTS:
            values = {"state": "failed", "finished_at": now, "error": "each time its worker ended before it did"}
        await connection.execute(update(job).where(job.c.id == row.id).values(values))
    return len(rows)
