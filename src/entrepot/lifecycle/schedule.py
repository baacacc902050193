"""Starts the jobs of lifecycle when they are due: of all workers one does, and a restart makes none come early."""

import asyncio
import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

import structlog

from entrepot.errors import EntrepotError
from entrepot.runtime.events.model import SYSTEM
from entrepot.runtime.jobs.model import Job
from entrepot.runtime.leases import Leases
from entrepot.runtime.unit_of_work import Unit, Work

LOOKS: Final = 4
"""How often in the shortest period it is looked what is due."""

log = structlog.get_logger("lifecycle")


@dataclass(frozen=True, slots=True)
class Schedule:
    """Enqueues each job of *plan* once in its period."""

    work: Work
    leases: Leases
    plan: Sequence[tuple[Job, timedelta]]

    async def run(self, stop: asyncio.Event) -> None:
        """Goes on until *stop*; what could not be started is tried again."""
        pause = min(every for _, every in self.plan).total_seconds() / LOOKS
        while not stop.is_set():
            try:
                await self.once()
            except EntrepotError as error:
                log.warning("lifecycle.not_scheduled", reason=error.message)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), pause)

    async def once(self) -> list[str]:
        """Enqueues what is due; names of those jobs."""
        started = []
        for job, every in self.plan:
            if await self.work.run(SYSTEM, lambda unit: self._start(unit, job, every)):  # noqa: B023
                started.append(job.NAME)
        return started

    async def _start(self, unit: Unit, job: Job, every: timedelta) -> bool:
        due = await self.leases.once(unit, job.NAME, every)
        if due:
            unit.enqueue(job)
        return due
