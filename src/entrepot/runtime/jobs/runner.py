"""Runs jobs in a worker: a few of each queue at a time, woken by the commit that brings one."""

import asyncio
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from time import monotonic
from typing import Final

import msgspec
import structlog

from entrepot.errors import ConflictError, EntrepotError, InvalidError
from entrepot.runtime.errors import DatabaseUnavailableError
from entrepot.runtime.jobs.model import Taken, Task
from entrepot.runtime.jobs.ports import Engine

LOOK_SECONDS: Final = 1.0
BEATS_PER_LEASE: Final = 3
TIDY_SECONDS: Final = 600
STOP_SECONDS: Final = 20
WATCH_ENDS_SECONDS: Final = 0.1
JOB_ENDS_SECONDS: Final = 5

log = structlog.get_logger("jobs")


@dataclass(slots=True)
class Runner:
    """Takes jobs from *engine* and runs them by *tasks* (name -> task), up to *concurrency* of each queue at once.

    lease: how long a job is ours without a sign of life. While the database does not answer nothing new is begun.
    """

    engine: Engine
    tasks: Mapping[str, Task]
    concurrency: Mapping[str, int]
    lease: timedelta
    _running: dict[str, asyncio.Task[None]] = field(default_factory=dict)
    _busy: dict[str, int] = field(default_factory=dict)
    _looking: asyncio.Lock = field(default_factory=asyncio.Lock)
    _stopping: bool = False

    async def run(self, stop: asyncio.Event) -> None:
        """Works until *stop*; then waits for running jobs up to 20 s and gives back what is left.

        Raises DatabaseUnavailableError if it can't even begin.
        """
        await self.engine.start()
        woken = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            watch = group.create_task(self.engine.watch(woken.set))
            group.create_task(self._look(woken))
            group.create_task(self._keep_house(stop))
            await stop.wait()
            self._stopping = True
            woken.set()
            await _end([watch], WATCH_ENDS_SECONDS)
        await self._leave()

    async def _look(self, woken: asyncio.Event) -> None:
        """Begins what there is when *woken*, and every second: of a back-off that ends, nobody tells."""
        while not self._stopping:
            woken.clear()
            await self._begin_more()
            await _within(LOOK_SECONDS, woken)

    async def _keep_house(self, stop: asyncio.Event) -> None:
        """Signs of life, and now and then old rows go."""
        tidied = 0.0
        while not stop.is_set():
            try:
                async with self._looking:  # what is just being taken is not among the running yet
                    recovered = await self.engine.beat(self._running)
                if recovered:
                    log.warning("jobs.recovered", jobs=recovered)
                if monotonic() - tidied > TIDY_SECONDS:
                    tidied = monotonic()
                    await self.engine.tidy()
            except DatabaseUnavailableError:
                log.warning("jobs.database_silent")
            await _within(self.lease.total_seconds() / BEATS_PER_LEASE, stop)

    async def _leave(self) -> None:
        if self._running:
            await asyncio.wait(self._running.values(), timeout=STOP_SECONDS)
        left = dict(self._running)
        await _end(left.values(), JOB_ENDS_SECONDS)
        try:
            await self.engine.give_back(left)
            await self.engine.close()
        except DatabaseUnavailableError:
            log.warning("jobs.database_silent", left=len(left))  # another worker finds them after a lease

    async def _begin_more(self) -> None:
        try:
            await self._start_what_fits()
        except DatabaseUnavailableError:
            log.warning("jobs.database_silent")

    async def _start_what_fits(self) -> None:
        async with self._looking:  # two who look at once would each see the same room
            for name, limit in self.concurrency.items():
                while not self._stopping and self._busy.get(name, 0) < limit:
                    taken = await self.engine.take(name)
                    if taken is None:
                        break
                    self._busy[name] = self._busy.get(name, 0) + 1
                    self._running[taken.id] = asyncio.create_task(self._one(name, taken))

    async def _one(self, queue: str, taken: Taken) -> None:
        try:
            await self._attempt(taken)
        except DatabaseUnavailableError:
            log.warning("job.forgotten", job=taken.name, id=taken.id)  # by the next sign of life, it waits again
        finally:
            self._busy[queue] -= 1
            self._running.pop(taken.id, None)
        await self._begin_more()

    async def _attempt(self, taken: Taken) -> None:
        started = monotonic()
        try:
            task = self.tasks[taken.name]
            job = msgspec.json.decode(taken.args, type=task.job)
            async with asyncio.timeout(task.job.TIMEOUT.total_seconds()):
                await task.run(job)
        except asyncio.CancelledError:
            raise
        except Exception as error:  # here a job's error ends: it is logged, stored and counted
            # Another try can't help against bad input or a state that refuses.
            hopeless = isinstance(error, InvalidError | ConflictError)
            final = await self.engine.failed(taken, _text(error), final=hopeless)
            log.warning(
                "job.failed", job=taken.name, id=taken.id, attempt=taken.attempts, final=final, exc_info=not hopeless
            )
        else:
            await self.engine.done(taken.id)
            log.info("job.done", job=taken.name, id=taken.id, ms=round((monotonic() - started) * 1000, 1))


def _text(error: Exception) -> str:
    """One line for people; of our own errors the message alone, for it is made for them."""
    return error.message if isinstance(error, EntrepotError) else f"{type(error).__name__}: {error}"


async def _within(seconds: float, event: asyncio.Event) -> None:
    """Waits for *event*, but no longer than *seconds*."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()


async def _end(tasks: Collection[asyncio.Task[None]], seconds: float) -> None:
    """Cancels *tasks* until they are done, each time giving them *seconds*.

    Once is not enough: before Python 3.12 `asyncio.wait_for`, in which the driver waits, may lose a cancellation.
    """
    while pending := [task for task in tasks if not task.done()]:
        for task in pending:
            task.cancel()
        await asyncio.wait(pending, timeout=seconds)
