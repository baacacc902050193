"""The scrubber: reads every copy again from time to time, slowly, and gives up those that are damaged."""

import asyncio
import hashlib
from dataclasses import dataclass
from datetime import timedelta
from time import monotonic
from typing import Any, Final

import structlog

from entrepot.catalog import blobs
from entrepot.clock import Clock
from entrepot.content import copies
from entrepot.content.copies import Copy
from entrepot.content.errors import CopySuspectError
from entrepot.content.ports import StoredBytes
from entrepot.runtime.events.model import SYSTEM
from entrepot.runtime.unit_of_work import Work

BATCH: Final = 100

log = structlog.get_logger("lifecycle")


@dataclass(frozen=True, slots=True)
class Scrubbed:
    """What a run read."""

    copies: int
    bytes: int
    damaged: int


@dataclass(frozen=True, slots=True)
class Scrubber:
    """Reads copies nobody has verified for *every*, at most *rate_bytes* in a second."""

    work: Work
    store: StoredBytes
    clock: Clock
    every: timedelta
    rate_bytes: int

    async def __call__(self) -> Scrubbed:
        """Every copy that is due. One that is damaged is not served again, and is told of."""
        number, size, damaged = 0, 0, 0
        while True:
            before = self.clock.now() - self.every
            batch = await self.work.run(SYSTEM, lambda unit: copies.unverified(unit, before, BATCH))  # noqa: B023
            for copy in batch:
                reason = await self._read(copy)
                number, size, damaged = number + 1, size + copy.size, damaged + bool(reason)
                await self._note(copy, reason)
            if len(batch) < BATCH:
                if number:
                    log.info("lifecycle.scrubbed", copies=number, bytes=size, damaged=damaged)
                return Scrubbed(number, size, damaged)

    async def _read(self, copy: Copy) -> str:
        """What is wrong with *copy*, empty if nothing is. Raises StorageUnavailableError: that says nothing of it."""
        digest: Any = hashlib.new(copy.digest.algorithm)
        read, started = 0, monotonic()
        try:
            async for piece in self.store.stream(copy.key):
                await asyncio.to_thread(digest.update, piece)
                read += len(piece)
                await asyncio.sleep(max(0.0, read / self.rate_bytes - (monotonic() - started)))
        except CopySuspectError:
            return "missing or short"
        if read != copy.size:
            return "missing or short"
        return "" if digest.hexdigest() == copy.digest.hex else "the bytes are others than pushed"

    async def _note(self, copy: Copy, reason: str) -> None:
        now = self.clock.now()
        async with self.work(SYSTEM) as unit:
            if reason:
                await blobs.suspect(unit, copy.key, reason)
            else:
                await copies.verified(unit, copy.key, now)
