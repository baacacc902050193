"""One transaction per use case, with its events and jobs inside.

Invariant: an event is recorded, and its jobs are queued, if and only if the change it tells of is committed.
It holds because listeners and reactions run on the unit's own connection before its commit. Example: a manifest
PUT emits `ManifestPushed`; the audit row and the job `scan.image` stand in the same commit as the manifest's row;
a crash before the commit leaves none of the three. Broken, `tests/contract/test_unit_of_work.py` fails.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Final, Protocol, TypeVar

from sqlalchemy import Executable, Insert, Row, func, select
from sqlalchemy.engine import CursorResult
from sqlalchemy.exc import DataError, DBAPIError

from entrepot.clock import Clock
from entrepot.errors import InvalidError
from entrepot.runtime.compiled import compiled
from entrepot.runtime.database import NO_VALUE, SILENT, Database
from entrepot.runtime.database_url import Kind
from entrepot.runtime.errors import DatabaseUnavailableError
from entrepot.runtime.events.model import Actor, Event
from entrepot.runtime.hot import Value
from entrepot.runtime.jobs.model import Job
from entrepot.runtime.jobs.queue import announce, enqueue
from entrepot.runtime.ports import Connection, Transaction
from entrepot.runtime.uninterrupted import uninterrupted

T = TypeVar("T")
RETRIES: Final = 3
BACK_OFF_SECONDS: Final = 0.05
ROLLED_BACK: Final = frozenset({"40001", "40P01"})
"""SQLSTATEs after which nothing was done and the same may succeed: a serialization failure, a deadlock."""

Reaction = tuple[type[Event], Callable[[Any], Iterable[Job]]]


@dataclass(slots=True)
class Unit:
    """An open transaction: SQL goes through it, events and jobs are gathered in it."""

    connection: Connection
    by: Actor
    events: list[Event] = field(default_factory=list)
    jobs: list[Job] = field(default_factory=list)

    async def execute(self, statement: Executable, values: Any = None) -> CursorResult[Any]:
        """Runs *statement*, once or for each of a list of *values*."""
        return await self.connection.execute(statement, values)

    async def pour(self, statement: Insert, rows: Sequence[tuple[Value, ...]]) -> None:
        """Runs *statement* for each of *rows*: all columns in the order of its table, values as the database has them.

        Of thousands of rows a second the toolkit's look at each value would be more work than the rows themselves.
        """
        text = compiled(statement, Kind(self.connection.dialect.name))
        await self.connection.exec_driver_sql(text.sql, list(rows))

    async def fetch_one(self, statement: Executable, values: Mapping[str, Any] | None = None) -> Row[Any] | None:
        """The one row *statement* gives, or None."""
        return (await self.connection.execute(statement, values)).one_or_none()

    async def fetch_all(self, statement: Executable, values: Mapping[str, Any] | None = None) -> Sequence[Row[Any]]:
        """All rows *statement* gives."""
        return (await self.connection.execute(statement, values)).all()

    async def serialize(self, *key: str | int) -> None:
        """Waits until no other unit holds *key*, and holds it to the end of this one.

        For what is read and then written where there is no row to lock yet. Take keys in sorted order. On SQLite each
        writer is alone anyway.
        """
        if self.connection.dialect.name == Kind.POSTGRESQL:
            text = "/".join(str(part) for part in key)
            await self.connection.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(text, 0))))

    def emit(self, event: Event) -> None:
        """Says that *event* happened, if this unit is committed."""
        self.events.append(event)

    def enqueue(self, job: Job) -> None:
        """Asks for *job*, if this unit is committed."""
        self.jobs.append(job)


class Listener(Protocol):
    """Hears each event inside its transaction. Does no I/O of its own; if it fails, the change fails."""

    async def __call__(self, unit: Unit, event: Event) -> None:
        """*event* is about to be committed by *unit*."""
        ...


class _RehearsedError(Exception):
    """Rolls a rehearsal back."""


@dataclass(frozen=True, slots=True)
class Work:
    """Opens units: `async with work(by) as unit: …` commits at the end, or rolls everything back."""

    database: Database
    clock: Clock
    listeners: tuple[Listener, ...] = ()
    reactions: tuple[Reaction, ...] = ()

    @asynccontextmanager
    async def __call__(self, by: Actor) -> AsyncIterator[Unit]:
        """A unit done on behalf of *by*. Raises DatabaseUnavailableError, InvalidError (a value that can't be kept)."""
        try:
            async with self.database.writers.transaction() as transaction:
                unit = Unit(transaction.connection, by)
                yield unit
                # From here on a client that leaves no longer cancels: the outcome must be one or the other.
                await uninterrupted(self._finish(unit, transaction))
        except DataError as error:
            raise InvalidError(NO_VALUE) from error
        except SILENT as error:
            raise DatabaseUnavailableError("the database does not answer; try again") from error

    async def run(self, by: Actor, change: Callable[[Unit], Awaitable[T]]) -> T:
        """What *change* gives, in a unit of its own; all of it again, up to three times, where a deadlock undid it.

        Raises DatabaseUnavailableError, and what *change* raises.
        """
        for attempt in range(RETRIES):
            try:
                async with self(by) as unit:
                    result = await change(unit)
            except DatabaseUnavailableError as error:
                if not _was_rolled_back(error.__cause__):
                    raise
                await asyncio.sleep(random.uniform(0, BACK_OFF_SECONDS * 2**attempt))  # noqa: S311  no secret
            else:
                return result
        async with self(by) as unit:
            return await change(unit)

    async def rehearse(self, by: Actor, change: Callable[[Unit], Awaitable[T]]) -> T:
        """What *change* gives, in a unit that is rolled back: nothing is changed, and nothing is recorded.

        Raises as `run`.
        """
        found: list[T] = []
        with suppress(_RehearsedError):
            async with self(by) as unit:
                found.append(await change(unit))
                raise _RehearsedError
        return found[0]

    async def _finish(self, unit: Unit, transaction: Transaction) -> None:
        for event in unit.events:
            for listener in self.listeners:
                await listener(unit, event)
            for kind, react in self.reactions:
                if isinstance(event, kind):
                    unit.jobs.extend(react(event))
        # Last: equal jobs of others are locked from here on.
        await enqueue(unit.connection, unit.jobs, self.clock.now())
        await transaction.commit()
        await announce(transaction, unit.jobs)


def _was_rolled_back(cause: BaseException | None) -> bool:
    return isinstance(cause, DBAPIError) and getattr(cause.orig, "sqlstate", None) in ROLLED_BACK
