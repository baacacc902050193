"""Uploads that nobody continues end, and their bytes with them; so do bytes that an upload left behind at its end."""

import asyncio
import contextlib
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

import structlog

from entrepot.clock import Clock
from entrepot.content import sessions
from entrepot.content.ports import StoredKeys, UploadWriter
from entrepot.errors import UnavailableError
from entrepot.ids import ulid_at
from entrepot.runtime.events.model import SYSTEM
from entrepot.runtime.unit_of_work import Work

LONGEST_WRITE: Final = timedelta(hours=25)
"""Longer than one request writes: what was begun before and is still not durable will never be."""

log = structlog.get_logger("uploads")


@dataclass(frozen=True, slots=True)
class ExpireUploads:
    """Ends uploads that were not touched for *idle*."""

    work: Work
    writer: UploadWriter
    keys: StoredKeys
    clock: Clock
    idle: timedelta

    async def run(self, stop: asyncio.Event, every: timedelta) -> None:
        """Goes on until *stop*. A store or database that does not answer now is asked again the next time."""
        while not stop.is_set():
            try:
                await self.once()
            except UnavailableError as error:
                log.warning("uploads.not_expired", reason=error.message)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), every.total_seconds())

    async def once(self) -> int:
        """Ends those that are due; how many. Rows first: an upload without its bytes is gone, not damaged."""
        async with self.work(SYSTEM) as unit:
            stale = await sessions.stale_uploads(unit, self.clock.now() - self.idle)
            for id_ in stale:
                await sessions.end_upload(unit, id_)
        for id_ in stale:
            await self.writer.discard(id_, ())
        await self.reap()
        # What a crash left without a row: older than any upload can be.
        await self.writer.sweep()
        return len(stale)

    async def reap(self) -> int:
        """Removes parts of uploads that are gone; how many. The bytes first: without its row a part is never found."""
        reaped = 0
        begun_before = ulid_at(self.clock.now() - LONGEST_WRITE)
        while True:
            async with self.work(SYSTEM) as unit:
                orphans = await sessions.orphaned_parts(unit, begun_before)
            if not orphans:
                return reaped
            await self.keys.delete(orphans)
            async with self.work(SYSTEM) as unit:
                await sessions.forget_parts(unit, orphans)
            reaped += len(orphans)
