"""The job queue on SQLite: the table `job`, written in the transaction of a job's cause, and questions about it."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import func, select

from entrepot.ids import ulid
from entrepot.runtime.database import Database
from entrepot.runtime.errors import JobUnknownError
from entrepot.runtime.jobs.model import GONE, JOBS, MAX_PAGE, Job, JobRow
from entrepot.runtime.lists import Part, Wanted
from entrepot.runtime.pages import Columns
from entrepot.runtime.ports import Connection
from entrepot.runtime.tables import job
from entrepot.runtime.upsert import insert_or

ENQUEUE: Final = insert_or(job).on_conflict_do_nothing()
COLUMNS: Final = Columns(JOBS, {name: job.c[name] for name in JOBS.fields})


async def enqueue(connection: Connection, jobs: Iterable[Job], now: datetime) -> None:
    """Puts *jobs* into the queue, in the transaction of *connection*; one that equals a waiting one is that one."""
    rows = [
        {
            "id": ulid(),
            "name": work.NAME,
            "queue": work.QUEUE,
            "priority": work.PRIORITY,
            "args": work.args(),
            "dedup": work.dedup(),
            "state": "waiting",
            "run_at": now,
            "created_at": now,
        }
        for work in jobs
    ]
    if rows:
        await connection.execute(ENQUEUE, rows)


@dataclass(frozen=True, slots=True)
class SqliteJobs:
    """Answers questions about jobs. Implements JobReader."""

    database: Database

    async def page(self, state: str | None, name: str | None, after: str | None, limit: int) -> list[JobRow]:
        """See JobReader."""
        question = select(*ROW).order_by(job.c.id.desc()).limit(min(limit, MAX_PAGE))
        for column, value in ((job.c.state, state), (job.c.name, name)):
            question = question.where(column == value) if value else question
        question = question.where(job.c.id < after) if after else question
        async with self.database.reading() as connection:
            return [JobRow(**row._mapping) for row in await connection.execute(question)]  # noqa: SLF001  its public name

    async def listed(self, state: str, name: str, wanted: Wanted) -> Part[JobRow]:
        """See JobReader."""
        question = select(*ROW)
        for column, value in ((job.c.state, state), (job.c.name, name)):
            question = question.where(column == value) if value else question
        async with self.database.reading() as connection:
            part = await COLUMNS.page(connection, question, wanted)
        return Part([JobRow(*row[: len(ROW)]) for row in part.items], part.next, part.total)

    async def get(self, id_: str) -> JobRow:
        """See JobReader."""
        async with self.database.reading() as connection:
            row = (await connection.execute(select(*ROW).where(job.c.id == id_))).one_or_none()
        if row is None:
            raise JobUnknownError(GONE)
        return JobRow(**row._mapping)  # noqa: SLF001  its public name

    async def counts(self) -> dict[tuple[str, str], int]:
        """See JobReader."""
        question = select(job.c.queue, job.c.state, func.count()).group_by(job.c.queue, job.c.state)
        async with self.database.reading() as connection:
            return {(row[0], row[1]): row[2] for row in await connection.execute(question)}

    async def oldest(self) -> dict[str, datetime]:
        """See JobReader."""
        first = func.min(job.c.created_at, type_=job.c.created_at.type)
        question = select(job.c.queue, first).where(job.c.state == "waiting").group_by(job.c.queue)
        async with self.database.reading() as connection:
            return {row[0]: row[1] for row in await connection.execute(question)}


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
