"""A worker's hold on procrastinate's queue: many workers, each with a row that its jobs name and that it keeps fresh.

procrastinate's JobManager takes jobs, hears of new ones and keeps the workers' rows. What must change a job and look at
others in one transaction (a retry beside an equal job, the recovery of a dead worker's jobs while others do the same)
calls its SQL functions from one. Time is the database's.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from datetime import timedelta
from typing import Any, Final

from procrastinate import PsycopgConnector
from procrastinate.exceptions import ConnectorException
from procrastinate.jobs import Notification
from procrastinate.manager import JobManager
from sqlalchemy import TextClause, text
from sqlalchemy.exc import IntegrityError

from entrepot.runtime.database import Database
from entrepot.runtime.database_url import libpq_url
from entrepot.runtime.errors import DatabaseUnavailableError
from entrepot.runtime.jobs.model import (
    GIVEN_UP,
    KEEP_DONE,
    KEEP_FAILED,
    MAX_ATTEMPTS,
    MAX_ERROR,
    Taken,
    back_off,
)
from entrepot.runtime.jobs.queue_postgres import id_of
from entrepot.runtime.ports import Connection

AGAIN_SECONDS: Final = 1.0
POOL: Final = 2
CONNECT_SECONDS: Final = 10
FORGET_WORKERS: Final = timedelta(days=1)
HOUR: Final = timedelta(hours=1)

MINE: Final = text(
    "SELECT id FROM procrastinate_jobs WHERE id = :id AND worker_id = :me AND status = 'doing' FOR UPDATE"
)
SUCCEED: Final = text("SELECT procrastinate_finish_job_v1(:id, 'succeeded', false)")
FAIL: Final = text("SELECT procrastinate_finish_job_v1(:id, 'failed', false)")
RETRY: Final = text("SELECT procrastinate_retry_job_v2(:id, now() + :pause, NULL, NULL, NULL)")
# procrastinate's own retry counts the attempt; this one did not take place.
UNTAKE: Final = text("UPDATE procrastinate_jobs SET status = 'todo', scheduled_at = NULL WHERE id = :id")
NOTE: Final = text("""
    UPDATE procrastinate_jobs SET args = jsonb_set(args, '{error}', to_jsonb(CAST(:error AS text))) WHERE id = :id
""")
ALIVE: Final = text("UPDATE procrastinate_workers SET last_heartbeat = now() WHERE id = :me RETURNING id")
# Passed over: what another worker recovers at this moment.
ORPHANS: Final = text("""
    SELECT id, attempts FROM procrastinate_jobs AS job
    WHERE status = 'doing' AND (
        (worker_id = :me AND NOT id = ANY (CAST(:running AS bigint[])))
        OR worker_id IS NULL
        OR EXISTS (
            SELECT 1 FROM procrastinate_workers AS worker
            WHERE worker.id = job.worker_id AND worker.last_heartbeat < now() - :lease
        )
    )
    FOR UPDATE OF job SKIP LOCKED
""")


class ProcrastinateEngine:
    """One of any number of workers on a PostgreSQL database. Implements Engine.

    lease: how long its jobs are its own without a sign of life.
    """

    def __init__(self, database: Database, lease: timedelta) -> None:
        self._database = database
        self._lease = lease
        self._connector = PsycopgConnector(
            conninfo=libpq_url(database.url), min_size=1, max_size=POOL, timeout=CONNECT_SECONDS
        )
        self._manager = JobManager(self._connector)
        self._me = 0

    async def start(self) -> None:
        """See Engine. Of other workers' jobs those are left whose signs of life stopped a lease ago."""
        with _answering():
            await self._connector.open_async()
            self._me = await self._manager.register_worker()
            await self._manager.prune_stalled_workers(FORGET_WORKERS.total_seconds())
        await self.beat(())

    async def take(self, queue: str) -> Taken | None:
        """See Engine."""
        with _answering():
            job = await self._manager.fetch_job([queue], self._me)
        if job is None or job.id is None:
            return None
        return Taken(id_of(job.id), job.task_name, str(job.task_kwargs["args"]), job.attempts + 1)

    async def done(self, id_: str) -> None:
        """See Engine."""
        async with self._mine(id_) as connection:
            if connection is not None:
                await connection.execute(SUCCEED, {"id": int(id_)})

    async def failed(self, taken: Taken, error: str, *, final: bool) -> bool:
        """See Engine."""
        final = final or taken.attempts >= MAX_ATTEMPTS
        async with self._mine(taken.id) as connection:
            if connection is not None:
                id_ = int(taken.id)
                await _note(connection, id_, error)
                again = {"id": id_, "pause": back_off(taken.attempts)}
                if final or not await _safely(connection, RETRY, again):
                    await connection.execute(FAIL, {"id": id_})
        return final

    async def give_back(self, ids: Collection[str]) -> None:
        """See Engine."""
        for id_ in ids:
            async with self._mine(id_) as connection:
                if connection is not None and not await _safely(connection, UNTAKE, {"id": int(id_)}):
                    await connection.execute(SUCCEED, {"id": int(id_)})

    async def beat(self, ids: Collection[str]) -> int:
        """See Engine. A job of this worker's that is not among *ids* ended, but could not be noted as such."""
        async with self._database.writing() as connection:
            if (await connection.execute(ALIVE, {"me": self._me})).one_or_none() is None:
                with _answering():  # silent for so long that others took it for gone
                    self._me = await self._manager.register_worker()
            values = {"me": self._me, "running": [int(id_) for id_ in ids], "lease": self._lease}
            orphans = (await connection.execute(ORPHANS, values)).all()
            for id_, attempts in orphans:
                if attempts + 1 >= MAX_ATTEMPTS:
                    await _note(connection, id_, GIVEN_UP)
                    await connection.execute(FAIL, {"id": id_})
                elif not await _safely(connection, RETRY, {"id": id_, "pause": timedelta()}):
                    await connection.execute(SUCCEED, {"id": id_})
            return len(orphans)

    async def tidy(self) -> None:
        """See Engine."""
        with _answering():
            await self._manager.delete_old_jobs(KEEP_DONE // HOUR)
            await self._manager.delete_old_jobs(
                KEEP_FAILED // HOUR, include_failed=True, include_cancelled=True, include_aborted=True
            )
            await self._manager.prune_stalled_workers(FORGET_WORKERS.total_seconds())

    async def watch(self, woken: Callable[[], None]) -> None:
        """See Engine."""

        async def heard(*, channel: str, notification: Notification) -> None:
            del channel, notification
            woken()

        while True:
            with suppress(ConnectorException):  # no connection, or none that hears: the worker looks anyway
                await self._manager.listen_for_jobs(on_notification=heard)
            await asyncio.sleep(AGAIN_SECONDS)

    async def close(self) -> None:
        """See Engine."""
        with _answering():
            await self._manager.unregister_worker(self._me)
            await self._connector.close_async()

    @asynccontextmanager
    async def _mine(self, id_: str) -> AsyncIterator[Connection | None]:
        """A transaction that holds the row of the running job *id_*; None if it is another worker's by now."""
        async with self._database.writing() as connection:
            row = (await connection.execute(MINE, {"id": int(id_), "me": self._me})).one_or_none()
            yield None if row is None else connection


async def _note(connection: Connection, id_: int, error: str) -> None:
    """Keeps the *error* of the job *id_*; JSON in PostgreSQL knows no NUL."""
    await connection.execute(NOTE, {"id": id_, "error": error.replace("\0", "")[:MAX_ERROR]})


async def _safely(connection: Connection, statement: TextClause, values: Mapping[str, Any]) -> bool:
    """Makes a job wait by *statement*, but not beside an equal one; whether it does."""
    await connection.execute(text("SAVEPOINT safely"))
    try:
        await connection.execute(statement, values)
    except IntegrityError:
        await connection.execute(text("ROLLBACK TO SAVEPOINT safely"))
        return False
    await connection.execute(text("RELEASE SAVEPOINT safely"))
    return True


@contextmanager
def _answering() -> Iterator[None]:
    """What procrastinate raises, in our terms."""
    try:
        yield
    except ConnectorException as error:
        raise DatabaseUnavailableError("the database does not answer; try again") from error
