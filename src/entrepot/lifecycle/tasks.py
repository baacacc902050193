"""What runs in a worker."""

from datetime import timedelta
from typing import Final

from entrepot.clock import Clock
from entrepot.content.ports import BlobStore
from entrepot.lifecycle import jobs
from entrepot.lifecycle.check import CheckStorage
from entrepot.lifecycle.collect import Collected, Collector
from entrepot.lifecycle.purge import EndTrash
from entrepot.lifecycle.schedule import Schedule
from entrepot.lifecycle.scrub import Scrubber
from entrepot.lifecycle.settings import Lifecycle
from entrepot.runtime.idempotency import Claims
from entrepot.runtime.jobs.model import Task
from entrepot.runtime.leases import Leases
from entrepot.runtime.telemetry.families import COLLECTED
from entrepot.runtime.telemetry.work import WorkMetrics
from entrepot.runtime.unit_of_work import Work

SCRUB_EVERY: Final = timedelta(hours=1)
"""How often copies are looked for that are due to be read again."""


def tasks(work: Work, store: BlobStore, clock: Clock, settings: Lifecycle, metrics: WorkMetrics) -> tuple[Task, ...]:
    """The kinds of jobs lifecycle runs."""
    end = EndTrash(work, clock)
    claims = Claims(work, clock)

    def count(collected: Collected) -> None:
        for kind in COLLECTED.labels[0].values:
            metrics.collected(kind, getattr(collected, kind))
        metrics.freed_bytes(collected.freed_bytes)

    collect = Collector(work, store, clock, settings.trash, settings.backup_retention, settings.gc.batch, count)
    scrub = Scrubber(work, store, clock, settings.scrub.every, settings.scrub.rate_bytes)
    check = CheckStorage(work, store, store, clock)

    async def run_collect(job: jobs.Collect) -> None:
        del job
        await end()
        await collect()
        await claims.forget()

    async def run_scrub(job: jobs.Scrub) -> None:
        del job
        await scrub()

    async def run_check(job: jobs.CheckStorage) -> None:
        del job
        await check()

    return (Task(jobs.Collect, run_collect), Task(jobs.Scrub, run_scrub), Task(jobs.CheckStorage, run_check))


def schedule(work: Work, clock: Clock, settings: Lifecycle) -> Schedule:
    """When they run."""
    plan = (
        (jobs.Collect(), settings.gc.every),
        (jobs.Scrub(), min(SCRUB_EVERY, settings.scrub.every)),
        (jobs.CheckStorage(), settings.check),
    )
    return Schedule(work, Leases.of_process(work, clock), plan)
