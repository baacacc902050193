"""The job queue, on whichever database: jobs are put in here and asked about, but not run."""

from collections.abc import Sequence
from datetime import datetime

from entrepot.runtime.database import Database
from entrepot.runtime.database_url import Kind
from entrepot.runtime.jobs import queue_postgres, queue_sqlite
from entrepot.runtime.jobs.model import Job
from entrepot.runtime.jobs.ports import JobReader
from entrepot.runtime.ports import Connection, Transaction


async def enqueue(connection: Connection, jobs: Sequence[Job], now: datetime) -> None:
    """Puts *jobs* into the queue, in the transaction of *connection* and as the last of it.

    One that equals a waiting one is that one, and that one is not taken before this commits.
    """
    if connection.dialect.name == Kind.SQLITE:
        await queue_sqlite.enqueue(connection, jobs, now)
    else:
        await queue_postgres.enqueue(connection, jobs)


async def announce(ended: Transaction, jobs: Sequence[Job]) -> None:
    """Wakes the workers, once the transaction that enqueued *jobs* is committed. Raises nothing.

    On SQLite they see the commit itself.
    """
    if jobs and ended.connection.dialect.name != Kind.SQLITE:
        await queue_postgres.announce(ended)


def job_reader(database: Database) -> JobReader:
    """Answers questions about the jobs of *database*."""
    if database.kind is Kind.SQLITE:
        return queue_sqlite.SqliteJobs(database)
    return queue_postgres.PostgresJobs(database)
