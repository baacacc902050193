"""The job queue on PostgreSQL: procrastinate's table, written and read in plain SQL, for web processes do not load it.

Its `lock` and `queueing_lock` are both our dedup: one equal job waits at most, and one runs at most. So a job in its
back-off holds up no other. args is an envelope of ours: `{"args": <the arguments' exact text>, "error": <last one>}`.
"""

import hashlib
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final

import msgspec
from sqlalchemy import BigInteger, Integer, Row, String, select, text
from sqlalchemy.exc import DBAPIError

from entrepot.runtime.database import Database
from entrepot.runtime.errors import JobUnknownError
from entrepot.runtime.jobs.model import GONE, JOBS, MAX_PAGE, Job, JobRow
from entrepot.runtime.lists import Cursor, Part, Wanted
from entrepot.runtime.pages import Columns
from entrepot.runtime.ports import Connection, Transaction
from entrepot.runtime.tables import Instant

MAX_LOCK: Final = 255  # an index takes no entry over 2.7 KB
MAX_ID: Final = 2**63 - 1
STATES: Final = {
    "waiting": ["todo"],
    "running": ["doing"],
    "done": ["succeeded"],
    "failed": ["failed", "cancelled", "aborted"],
}

# An equal job that waits is locked by its empty update until our commit, so no worker takes it before the cause is
# there to be seen; one that a worker takes at this moment is waited for, and then this is a new job.
ENQUEUE: Final = text("""
    INSERT INTO procrastinate_jobs (queue_name, task_name, priority, lock, queueing_lock, args)
    VALUES (:queue, :name, :priority, :lock, :lock, CAST(:args AS jsonb))
    ON CONFLICT (queueing_lock) WHERE status = 'todo' DO UPDATE SET priority = procrastinate_jobs.priority
""")
SELECT: Final = """
    SELECT job.id, task_name, args ->> 'args', CAST(status AS text), queue_name,
           attempts + CASE WHEN status = 'doing' THEN 1 ELSE 0 END,
           times.created, times.started,
           CASE WHEN status NOT IN ('todo', 'doing') THEN times.finished END,
           CASE WHEN status = 'succeeded' THEN '' ELSE COALESCE(args ->> 'error', '') END
    FROM ({chosen}) AS job
    CROSS JOIN LATERAL (
        SELECT MIN(at) FILTER (WHERE type = 'deferred') AS created, MAX(at) FILTER (WHERE type = 'started') AS started,
               MAX(at) FILTER (WHERE type NOT IN ('deferred', 'started', 'scheduled')) AS finished
        FROM procrastinate_events WHERE job_id = job.id
    ) AS times
    ORDER BY job.id DESC
"""
PAGE: Final = text(
    SELECT.format(
        chosen="""
        SELECT * FROM procrastinate_jobs
        WHERE (CAST(:name AS text) IS NULL OR task_name = :name) AND id < :after
          AND (CAST(:statuses AS text[]) IS NULL OR CAST(status AS text) = ANY (CAST(:statuses AS text[])))
        ORDER BY id DESC LIMIT :limit
        """
    )
)
GET: Final = text(SELECT.format(chosen="SELECT * FROM procrastinate_jobs WHERE id = :id"))
# The same in our words, to be filtered: a job's times are its events', in microseconds since 1970 as everywhere. Each
# is a question of its own, so that those of jobs that are counted, or not on the page, are not asked.
EVENT: Final = """
    SELECT CAST(EXTRACT(epoch FROM {first}(at)) * 1000000 AS bigint)
    FROM procrastinate_events WHERE job_id = job.id AND type {types}
"""
LISTED: Final = (
    text(f"""
    SELECT lpad(CAST(job.id AS text), 26, '0') AS id, task_name AS name, args ->> 'args' AS args,
           CASE CAST(status AS text) WHEN 'todo' THEN 'waiting' WHEN 'doing' THEN 'running'
                                     WHEN 'succeeded' THEN 'done' ELSE 'failed' END AS state,
           queue_name AS queue, attempts + CASE WHEN status = 'doing' THEN 1 ELSE 0 END AS attempts,
           ({EVENT.format(first="MIN", types="= 'deferred'")}) AS created_at,
           ({EVENT.format(first="MAX", types="= 'started'")}) AS started_at,
           CASE WHEN status NOT IN ('todo', 'doing') THEN
               ({EVENT.format(first="MAX", types="NOT IN ('deferred', 'started', 'scheduled')")})
           END AS finished_at,
           CASE WHEN status = 'succeeded' THEN '' ELSE COALESCE(args ->> 'error', '') END AS error,
           job.id AS number
    FROM procrastinate_jobs AS job
    """)  # noqa: S608  of nothing but the constants above
    .columns(
        id=String,
        name=String,
        args=String,
        state=String,
        queue=String,
        attempts=Integer,
        created_at=Instant,
        started_at=Instant,
        finished_at=Instant,
        error=String,
        number=BigInteger,
    )
    .subquery()
)
COLUMNS: Final = Columns(JOBS, {name: LISTED.c[name] for name in JOBS.fields})
# Ids sort as their numbers do, of which there is an index.
NUMBERED: Final = Columns(JOBS, {**COLUMNS.of, "id": LISTED.c.number})
ANNOUNCE: Final = text("""
    SELECT pg_notify('procrastinate_any_queue_v1', '{"type": "job_inserted", "job_id": 0}')
""")
COUNTS: Final = text("""
    SELECT queue_name, CAST(status AS text), COUNT(*) FROM procrastinate_jobs GROUP BY queue_name, status
""")

# Ids rise with time: the first of a queue was asked for first.
OLDEST: Final = text("""
    SELECT first.queue_name, MIN(events.at)
    FROM (SELECT queue_name, MIN(id) AS id FROM procrastinate_jobs WHERE status = 'todo' GROUP BY queue_name) AS first
    JOIN procrastinate_events AS events ON events.job_id = first.id AND events.type = 'deferred'
    GROUP BY first.queue_name
""")


async def enqueue(connection: Connection, jobs: Iterable[Job]) -> None:
    """Puts *jobs* into the queue, in the transaction of *connection*; one that equals a waiting one is that one."""
    rows = {
        lock_of(work): {
            "queue": work.QUEUE,
            "name": work.NAME,
            "priority": -work.PRIORITY,  # there, higher runs first
            "lock": lock_of(work),
            "args": msgspec.json.encode({"args": work.args()}).decode(),
        }
        for work in jobs
    }
    if rows:
        # In one order everywhere: two units that enqueue the same jobs then wait for each other, but never both.
        await connection.execute(ENQUEUE, [rows[lock] for lock in sorted(rows)])


async def announce(ended: Transaction) -> None:
    """Wakes the workers, by another transaction where *ended* was; if that fails, they look anyway."""
    with suppress(DBAPIError):
        await ended.connection.execute(ANNOUNCE)
        await ended.commit()


def lock_of(work: Job) -> str:
    """Equal for equal jobs, and short enough for an index."""
    dedup = work.dedup()
    return dedup if len(dedup) <= MAX_LOCK else f"{work.NAME} {hashlib.sha256(dedup.encode()).hexdigest()}"


def id_of(number: int) -> str:
    """A job's id as people see it: as wide as an id on SQLite, and like that it sorts by age."""
    return f"{number:026d}"


@dataclass(frozen=True, slots=True)
class PostgresJobs:
    """Answers questions about jobs. Implements JobReader."""

    database: Database

    async def page(self, state: str | None, name: str | None, after: str | None, limit: int) -> list[JobRow]:
        """See JobReader."""
        values = {
            "statuses": STATES.get(state, []) if state else None,
            "name": name or None,
            "after": _number(after) if after else MAX_ID,
            "limit": min(limit, MAX_PAGE),
        }
        async with self.database.reading() as connection:
            return [_job(row) for row in await connection.execute(PAGE, values)]

    async def listed(self, state: str, name: str, wanted: Wanted) -> Part[JobRow]:
        """See JobReader."""
        question = select(LISTED)
        for column, value in ((LISTED.c.state, state), (LISTED.c.name, name)):
            question = question.where(column == value) if value else question
        if wanted.where is not None:
            question = question.where(COLUMNS.condition(wanted.where))
        after = Cursor(None, str(_number(wanted.after.key))) if wanted.after is not None else None
        async with self.database.reading() as connection:
            part = await NUMBERED.page(connection, question, replace(wanted, where=None, after=after))
        rows = [JobRow(*row[: len(LISTED.c) - 1]) for row in part.items]
        return Part(rows, JOBS.cursor(wanted.sort, rows[-1].id, rows[-1].id) if part.next else None, part.total)

    async def get(self, id_: str) -> JobRow:
        """See JobReader."""
        async with self.database.reading() as connection:
            row = (await connection.execute(GET, {"id": _number(id_)})).one_or_none()
        if row is None:
            raise JobUnknownError(GONE)
        return _job(row)

    async def counts(self) -> dict[tuple[str, str], int]:
        """See JobReader."""
        async with self.database.reading() as connection:
            rows = (await connection.execute(COUNTS)).all()
        counts: dict[tuple[str, str], int] = {}
        for queue, status, number in rows:
            key = (queue, _state(status))
            counts[key] = counts.get(key, 0) + number
        return counts

    async def oldest(self) -> dict[str, datetime]:
        """See JobReader."""
        async with self.database.reading() as connection:
            return {row[0]: row[1].astimezone(UTC) for row in await connection.execute(OLDEST)}


def _number(id_: str) -> int:
    """The row's number in an id; that of no row if it is none of ours."""
    return min(int(id_), MAX_ID) if id_.isascii() and id_.isdecimal() else -1


def _state(status: str) -> str:
    return next(state for state, statuses in STATES.items() if status in statuses)


def _job(row: Row[Any]) -> JobRow:
    number, name, args, status, queue, attempts, created, started, finished, error = tuple(row)
    times = (created.astimezone(UTC), _utc(started), _utc(finished))
    return JobRow(id_of(number), name, args, _state(status), queue, attempts, *times, error)


def _utc(at: datetime | None) -> datetime | None:
    return None if at is None else at.astimezone(UTC)
