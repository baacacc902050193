"""The worker role: runs jobs, and moves spooled pulls into the audit log."""

import asyncio
import os
import signal
from datetime import timedelta
from time import monotonic
from typing import Final

import structlog

from entrepot.audit.ingest import Ingest
from entrepot.lifecycle import tasks as lifecycle
from entrepot.policy import tasks as policy
from entrepot.registry.expiry import ExpireUploads
from entrepot.runtime.jobs.engine import engine_for
from entrepot.runtime.jobs.model import CONCURRENCY, LAYER, Job, Task
from entrepot.runtime.jobs.runner import Runner
from entrepot.runtime.telemetry.work import WorkMetrics
from entrepot.scanning import tasks as scanning
from entrepot.scanning.layers.pool import LayerPool
from entrepot.settings import Settings
from entrepot.wiring import PREPARED, Foundation, foundation

NICE: Final = 5
EXPIRE_EVERY: Final = timedelta(minutes=10)
PREPARED_SECONDS: Final = 0.05
PATIENCE: Final = timedelta(seconds=60)
"""How long one statement of a job may take."""

log = structlog.get_logger("worker")


def main(settings: Settings) -> None:
    """Runs until SIGTERM or SIGINT, behind the web processes of the machine: what can wait does where they need it."""
    os.nice(NICE)
    asyncio.run(_main(settings))


def courier(settings: Settings) -> None:
    """Runs until SIGTERM or SIGINT, and only takes this machine's spooled pulls to the audit log."""
    asyncio.run(_courier(settings))


async def _courier(settings: Settings) -> None:
    stop = await _started(settings)
    base = foundation(settings, PATIENCE)
    await Ingest(base.work, base.spool).run(stop)
    await base.database.close()


async def _main(settings: Settings) -> None:
    stop = await _started(settings)
    base = foundation(settings, PATIENCE)
    pool = LayerPool()
    async with pool:
        runner = _runner(base, pool)
        ingest = Ingest(base.work, base.spool)
        expire = ExpireUploads(base.work, base.writer, base.files, base.clock, settings.server.limits.upload_idle)
        log.info("worker.started", analysers=settings.analysers)
        async with asyncio.TaskGroup() as group:
            group.create_task(ingest.run(stop))
            group.create_task(expire.run(stop, EXPIRE_EVERY))
            group.create_task(lifecycle.schedule(base.work, base.clock, settings.lifecycle).run(stop))
            await runner.run(stop)
    await base.database.close()


async def _started(settings: Settings) -> asyncio.Event:
    """Set when this process is to stop; given once what it needs is prepared, by whichever process does."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    while not (settings.run / PREPARED).exists():  # noqa: ASYNC110
        await asyncio.sleep(PREPARED_SECONDS)
    return stop


def _runner(base: Foundation, pool: LayerPool) -> Runner:
    metrics = WorkMetrics()
    tasks = (
        *scanning.tasks(base.work, base.database, base.files, pool, base.clock, metrics),
        *policy.tasks(base.work, base.clock, metrics),
        *lifecycle.tasks(base.work, base.files, base.clock, base.settings.lifecycle, metrics),
    )
    jobs = base.settings.jobs
    return Runner(
        engine_for(base.database, base.clock, jobs.lease, jobs.poll),
        {task.job.NAME: _measured(task, metrics) for task in tasks},
        CONCURRENCY | {LAYER: base.settings.analysers},
        jobs.lease,
    )


def _measured(task: Task, metrics: WorkMetrics) -> Task:
    """*task*, and how long it takes each time."""

    async def run(job: Job) -> None:
        started, well = monotonic(), False
        try:
            await task.run(job)
            well = True
        finally:
            metrics.ran(task.job.NAME, monotonic() - started, well=well)

    return Task(task.job, run)
