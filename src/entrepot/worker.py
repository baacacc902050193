"""The worker role: runs jobs, and moves spooled pulls into the audit log."""

import asyncio
import signal
from datetime import timedelta
from typing import Final

import structlog

from entrepot.audit.ingest import Ingest
from entrepot.content.writer import BlobWriter
from entrepot.policy import tasks as policy
from entrepot.registry.expiry import ExpireUploads
from entrepot.runtime.hot import HotReader
from entrepot.runtime.jobs.model import CONCURRENCY, LAYER
from entrepot.runtime.jobs.queue import Queue
from entrepot.runtime.jobs.runner import Runner
from entrepot.scanning import tasks as scanning
from entrepot.scanning.layers.pool import LayerPool, PoolLimits
from entrepot.settings import Settings
from entrepot.wiring import PREPARED, Foundation, foundation

EXPIRE_EVERY: Final = timedelta(minutes=10)
UPLOAD_IDLE: Final = timedelta(hours=24)
PREPARED_SECONDS: Final = 0.05

log = structlog.get_logger("worker")


def main(settings: Settings) -> None:
    """Runs until SIGTERM or SIGINT."""
    asyncio.run(_main(settings))


async def _main(settings: Settings) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    while not (settings.run / PREPARED).exists():  # noqa: ASYNC110  another process makes it
        await asyncio.sleep(PREPARED_SECONDS)
    base = foundation(settings)
    pool = LayerPool(PoolLimits(spares=settings.analysers))
    async with pool:
        runner = _runner(base, pool)
        ingest = Ingest(base.work, base.spool)
        writer = BlobWriter(base.files, settings.server.limits.blob_bytes)
        expire = ExpireUploads(base.work, writer, base.clock, UPLOAD_IDLE)
        log.info("worker.started", analysers=settings.analysers)
        async with asyncio.TaskGroup() as group:
            group.create_task(ingest.run(stop))
            group.create_task(expire.run(stop, EXPIRE_EVERY))
            await runner.run(stop)
    await base.database.close()


def _runner(base: Foundation, pool: LayerPool) -> Runner:
    tasks = (
        *scanning.tasks(base.work, base.database, base.files, pool, base.incoming, base.clock),
        *policy.tasks(base.work, base.clock),
    )
    return Runner(
        Queue(base.database, base.clock, base.settings.jobs.lease),
        HotReader(base.database.path),
        {task.job.NAME: task for task in tasks},
        CONCURRENCY | {LAYER: base.settings.analysers},
        base.settings.jobs.poll.total_seconds(),
    )
