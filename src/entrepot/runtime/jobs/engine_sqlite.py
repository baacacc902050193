"""A worker's hold on the table `job`: one worker at a time, woken by any process's commit within 50 ms."""

import asyncio
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import BindParameter, ColumnElement, bindparam, delete, exists, select, true, update

from entrepot.clock import Clock
from entrepot.runtime.database import Database
from entrepot.runtime.hot import Statement
from entrepot.runtime.hot_sqlite import SqliteReader
from entrepot.runtime.jobs.model import (
    GIVEN_UP,
    KEEP_DONE,
    KEEP_FAILED,
    MAX_ATTEMPTS,
    MAX_ERROR,
    Taken,
    back_off,
)
from entrepot.runtime.ports import Connection
from entrepot.runtime.tables import job

WAITING: Final = Statement("SELECT 1 FROM job WHERE state = 'waiting' AND queue = ? LIMIT 1", ("queue",))
OTHER: Final = job.alias()
RUNS: Final = exists().where(OTHER.c.state == "running", OTHER.c.name == job.c.name, OTHER.c.dedup == job.c.dedup)
READY: Final = (
    select(job.c.id)
    .where(job.c.state == "waiting", job.c.queue == bindparam("wanted"), job.c.run_at <= bindparam("now"), ~RUNS)
    .order_by(job.c.priority, job.c.id)
    .limit(1)
)
CHOSEN: Final = update(job).where(job.c.id == bindparam("chosen"))
TAKE: Final = CHOSEN.values(
    state="running",
    attempts=job.c.attempts + 1,
    started_at=bindparam("now"),
    finished_at=None,
    lease_until=bindparam("until"),
).returning(job.c.id, job.c.name, job.c.args, job.c.attempts)
DONE: Final = CHOSEN.values(state="done", finished_at=bindparam("now"), error="")


@dataclass(frozen=True, slots=True)
class SqliteEngine:
    """The only worker on a database file. Implements Engine.

    lease: how long a taken job is its own without a sign of life; poll_seconds: how often it looks for commits.
    """

    database: Database
    hot: SqliteReader
    clock: Clock
    lease: timedelta
    poll_seconds: float

    async def start(self) -> None:
        """See Engine. No other worker lives, so every running job was left by one that ended."""
        async with self.database.writing() as connection:
            await _wait_again(connection, true(), self.clock.now(), counted=True)

    async def take(self, queue: str) -> Taken | None:
        """See Engine."""
        # A read costs microseconds, a write transaction a millisecond.
        if await self.hot.one(WAITING, {"queue": queue}) is None:
            return None
        now = self.clock.now()
        async with self.database.writing() as connection:
            chosen = (await connection.execute(READY, {"wanted": queue, "now": now})).scalar_one_or_none()
            if chosen is None:
                return None
            values = {"chosen": chosen, "now": now, "until": now + self.lease}
            return Taken(*(await connection.execute(TAKE, values)).one())

    async def done(self, id_: str) -> None:
        """See Engine."""
        async with self.database.writing() as connection:
            await connection.execute(DONE, {"chosen": id_, "now": self.clock.now()})

    async def failed(self, taken: Taken, error: str, *, final: bool) -> bool:
        """See Engine."""
        now = self.clock.now()
        final = final or taken.attempts >= MAX_ATTEMPTS
        values: dict[str, Any] = {"state": "failed", "finished_at": now, "error": error[:MAX_ERROR]}
        async with self.database.writing() as connection:
            row = select(job.c.dedup).where(job.c.id == taken.id).scalar_subquery()
            waiting = select(job.c.id).where(job.c.dedup == row, job.c.state == "waiting")
            if not final and (await connection.execute(waiting)).scalar_one_or_none() is None:
                values |= {"state": "waiting", "run_at": now + back_off(taken.attempts)}
            await connection.execute(update(job).where(job.c.id == taken.id).values(values))
        return final

    async def give_back(self, ids: Collection[str]) -> None:
        """See Engine."""
        async with self.database.writing() as connection:
            await _wait_again(connection, job.c.id.in_(ids), self.clock.now(), counted=False)

    async def beat(self, ids: Collection[str]) -> int:
        """See Engine."""
        now = self.clock.now()
        change = update(job).where(job.c.id.in_(ids), job.c.state == "running").values(lease_until=now + self.lease)
        async with self.database.writing() as connection:
            await connection.execute(change)
            return await _wait_again(connection, job.c.lease_until < now, now, counted=True)

    async def tidy(self) -> None:
        """See Engine."""
        now = self.clock.now()
        async with self.database.writing() as connection:
            await connection.execute(delete(job).where(job.c.state == "done", job.c.finished_at < now - KEEP_DONE))
            await connection.execute(delete(job).where(job.c.state == "failed", job.c.finished_at < now - KEEP_FAILED))

    async def watch(self, woken: Callable[[], None]) -> None:
        """See Engine."""
        seen = -1
        while True:
            version = self.hot.data_version()
            if version != seen:
                seen = version
                woken()
            await asyncio.sleep(self.poll_seconds)

    async def close(self) -> None:
        """See Engine."""
        await self.hot.close()


async def _wait_again(connection: Connection, which: ColumnElement[bool], now: datetime, *, counted: bool) -> int:
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
            values = {"state": "failed", "finished_at": now, "error": GIVEN_UP}
        await connection.execute(update(job).where(job.c.id == row.id).values(values))
    return len(rows)
