"""Uploads that nobody continues end, and their bytes with them."""

import asyncio
import contextlib
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from entrepot.clock import Clock
from entrepot.content import sessions
from entrepot.content.writer import BlobWriter
from entrepot.runtime.events.model import SYSTEM
from entrepot.runtime.unit_of_work import Work

MARGIN: Final = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class ExpireUploads:
    """Ends uploads that were not touched for *idle*."""

    work: Work
    writer: BlobWriter
    clock: Clock
    idle: timedelta

    async def run(self, stop: asyncio.Event, every: timedelta) -> None:
        """Goes on until *stop*."""
        while not stop.is_set():
            await self.once()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), every.total_seconds())

    async def once(self) -> int:
        """Ends those that are due; how many. Rows first: an upload without a file is gone, not damaged."""
        async with self.work(SYSTEM) as unit:
            stale = await sessions.stale_uploads(unit, self.clock.now() - self.idle)
            for id_ in stale:
                await sessions.end_upload(unit, id_)
        for id_ in stale:
            await self.writer.discard(id_)
        # What a crash left without a row: older than any upload can be.
        await asyncio.to_thread(self.writer.store.sweep, self.idle + MARGIN)
        return len(stale)
