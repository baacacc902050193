"""Runs jobs in a worker: a few of each queue at a time, woken within 50 ms of a commit by any process."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from time import monotonic
from typing import Final

import msgspec
import structlog

from entrepot.errors import ConflictError, EntrepotError, InvalidError
from entrepot.runtime.hot import HotReader, Statement
from entrepot.runtime.jobs.model import Task
from entrepot.runtime.jobs.queue import Queue, Taken

HEARTBEAT_SECONDS: Final = 10
TIDY_SECONDS: Final = 600
# A job whose back-off ends makes no commit: so all queues are looked at this often in any case.
LOOK_SECONDS: Final = 0.5
STOP_SECONDS: Final = 20
WAITING: Final = Statement("SELECT 1 FROM job WHERE state = 'waiting' AND queue = ? LIMIT 1", ("queue",))

log = structlog.get_logger("jobs")


@dataclass(slots=True)
class Runner:
    """Takes jobs from *queue* and runs them by *tasks* (name -> task), up to *concurrency* of each queue at once."""

    queue: Queue
    hot: HotReader
    tasks: Mapping[str, Task]
    concurrency: Mapping[str, int]
    poll_seconds: float = 0.05
    _running: dict[str, asyncio.Task[None]] = field(default_factory=dict)
    _busy: dict[str, int] = field(default_factory=dict)
    _looking: asyncio.Lock = field(default_factory=asyncio.Lock)
    _stopping: bool = False

    async def run(self, stop: asyncio.Event) -> None:
        """Works until *stop*; then waits for running jobs up to 20 s and gives back what is left."""
        await self.queue.recover(everything=True)
        seen, looked, beat, tidied = -1, 0.0, monotonic(), 0.0
        while not stop.is_set():
            now, version = monotonic(), self.hot.data_version()
            if version != seen or now - looked > LOOK_SECONDS:
                seen, looked = version, now
                await self._start_what_fits()
            if now - beat > HEARTBEAT_SECONDS:
                beat = now
                await self.queue.renew(list(self._running))
                await self.queue.recover(everything=False)
            if now - tidied > TIDY_SECONDS:
                tidied = now
                await self.queue.tidy()
            await asyncio.sleep(self.poll_seconds)
        self._stopping = True
        if self._running:
            await asyncio.wait(self._running.values(), timeout=STOP_SECONDS)
        left = dict(self._running)
        for task in left.values():
            task.cancel()
        if left:
            await asyncio.wait(left.values())
            await self.queue.give_back(list(left))

    async def _start_what_fits(self) -> None:
        async with self._looking:  # two who look at once would each see the same room
            for name, limit in self.concurrency.items():
                while not self._stopping and self._busy.get(name, 0) < limit and self._is_waiting(name):
                    taken = await self.queue.take(name)
                    if taken is None:
                        break
                    self._busy[name] = self._busy.get(name, 0) + 1
                    self._running[taken.id] = asyncio.create_task(self._one(name, taken))

    def _is_waiting(self, queue: str) -> bool:
        """Whether taking may succeed: a read costs microseconds, a write transaction a millisecond."""
        return self.hot.one(WAITING, {"queue": queue}) is not None

    async def _one(self, queue: str, taken: Taken) -> None:
        try:
            await self._attempt(taken)
        finally:
            self._busy[queue] -= 1
            self._running.pop(taken.id, None)
        await self._start_what_fits()

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
            final = await self.queue.failed(taken, _text(error), final=hopeless)
            log.warning(
                "job.failed", job=taken.name, id=taken.id, attempt=taken.attempts, final=final, exc_info=not hopeless
            )
        else:
            await self.queue.done(taken.id)
            log.info("job.done", job=taken.name, id=taken.id, ms=round((monotonic() - started) * 1000, 1))


def _text(error: Exception) -> str:
    """One line for people; of our own errors the message alone, for it is made for them."""
    return error.message if isinstance(error, EntrepotError) else f"{type(error).__name__}: {error}"
