"""One transaction per use case, with its events and jobs inside.

Invariant: an event is recorded, and its jobs are queued, if and only if the change it tells of is committed.
It holds because listeners and reactions run on the unit's own connection before its commit. Example: a manifest
PUT emits `ManifestPushed`; the audit row and the job `scan.image` stand in the same commit as the manifest's row;
a crash before the commit leaves none of the three. Broken, `tests/contract/test_unit_of_work.py` fails.
"""

from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

from sqlalchemy import Executable, Row
from sqlalchemy.engine import CursorResult
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import AsyncConnection

from entrepot.clock import Clock
from entrepot.runtime.database import Database
from entrepot.runtime.errors import DatabaseUnavailableError
from entrepot.runtime.events.model import Actor, Event
from entrepot.runtime.jobs.model import Job
from entrepot.runtime.jobs.queue import enqueue
from entrepot.runtime.uninterrupted import uninterrupted

Reaction = tuple[type[Event], Callable[[Any], Iterable[Job]]]


@dataclass(slots=True)
class Unit:
    """An open transaction: SQL goes through it, events and jobs are gathered in it."""

    connection: AsyncConnection
    by: Actor
    events: list[Event] = field(default_factory=list)
    jobs: list[Job] = field(default_factory=list)

    async def execute(self, statement: Executable, values: Any = None) -> CursorResult[Any]:
        """Runs *statement*, once or for each of a list of *values*."""
        result: CursorResult[Any] = await self.connection.execute(statement, values)
        return result

    async def fetch_one(self, statement: Executable, values: Mapping[str, Any] | None = None) -> Row[Any] | None:
        """The one row *statement* gives, or None."""
        return (await self.connection.execute(statement, values)).one_or_none()

    async def fetch_all(self, statement: Executable, values: Mapping[str, Any] | None = None) -> Sequence[Row[Any]]:
        """All rows *statement* gives."""
        return (await self.connection.execute(statement, values)).all()

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


@dataclass(frozen=True, slots=True)
class Work:
    """Opens units: `async with work(by) as unit: …` commits at the end, or rolls everything back."""

    database: Database
    clock: Clock
    listeners: tuple[Listener, ...] = ()
    reactions: tuple[Reaction, ...] = ()

    @asynccontextmanager
    async def __call__(self, by: Actor) -> AsyncIterator[Unit]:
        """A unit done on behalf of *by*. Raises DatabaseUnavailableError."""
        try:
            async with self.database.writer.connect() as connection:
                await connection.begin()
                unit = Unit(connection, by)
                yield unit
                # From here on a client that leaves no longer cancels: the outcome must be one or the other.
                await uninterrupted(self._finish(unit))
        except OperationalError as error:
            raise DatabaseUnavailableError("the database does not answer; try again") from error

    async def _finish(self, unit: Unit) -> None:
        for event in unit.events:
            for listener in self.listeners:
                await listener(unit, event)
            for kind, react in self.reactions:
                if isinstance(event, kind):
                    unit.jobs.extend(react(event))
        now = self.clock.now()
        for job in unit.jobs:
            await enqueue(unit.connection, job, now)
        await unit.connection.commit()
