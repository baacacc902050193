"""The engine for a worker: the one of its database."""

from datetime import timedelta

from entrepot.clock import Clock
from entrepot.runtime.database import Database
from entrepot.runtime.database_url import Kind, database_path
from entrepot.runtime.hot_sqlite import SqliteReader
from entrepot.runtime.jobs.engine_sqlite import SqliteEngine
from entrepot.runtime.jobs.ports import Engine


def engine_for(database: Database, clock: Clock, lease: timedelta, poll: timedelta) -> Engine:
    """A worker's hold on the jobs of *database*, made in the event loop that works with it.

    lease: how long a job is a worker's own without a sign of life; poll: how often to look for commits on SQLite.
    """
    if database.kind is Kind.SQLITE:
        hot = SqliteReader(database_path(database.url))
        return SqliteEngine(database, hot, clock, lease, poll.total_seconds())
    from entrepot.runtime.jobs.engine_procrastinate import ProcrastinateEngine  # noqa: PLC0415  as SQLite has no use for it

    return ProcrastinateEngine(database, lease)
