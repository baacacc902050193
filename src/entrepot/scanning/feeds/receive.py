"""A feed file comes in over the network: kept as a file, then taken up by a worker."""

import asyncio
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

from entrepot.access.model import Site
from entrepot.access.scoped import Scoped
from entrepot.content import vfs
from entrepot.content.errors import BodyTooLargeError, StorageUnavailableError
from entrepot.errors import InvalidError
from entrepot.ids import ulid
from entrepot.runtime.jobs.queue import Queue
from entrepot.runtime.unit_of_work import Work
from entrepot.scanning.jobs import ApplyFeed, FeedUploaded

MAX_SOURCE = 128


@dataclass(frozen=True, slots=True)
class ReceiveFeed:
    """Takes feed files of up to *max_bytes* into the folder *incoming*."""

    work: Work
    queue: Queue
    incoming: Path
    max_bytes: int

    async def __call__(self, site: Scoped[Site], body: AsyncIterator[bytes], source: str, *, force: bool) -> str:
        """The id of the job that brings the feed into force. Raises BodyTooLargeError, InvalidError (source, empty)."""
        if len(source) > MAX_SOURCE or not source.isprintable() or not source.isascii():
            raise InvalidError(f"a source's name has up to {MAX_SOURCE} printable characters", "source")
        upload = ulid()
        path = self.incoming / upload
        size = await self._store(path, body)
        actor = site.principal.actor
        job = ApplyFeed(upload, source, force, actor.name)
        async with self.work(actor) as unit:
            unit.emit(FeedUploaded(upload=upload, source=source, bytes=size))
            unit.enqueue(job)
        waiting = await self.queue.page(None, ApplyFeed.NAME, None, 100)
        return next(row.id for row in waiting if upload in row.args)

    async def _store(self, path: Path, body: AsyncIterator[bytes]) -> int:
        try:
            descriptor = await asyncio.to_thread(vfs.create, path)
        except OSError as error:
            raise StorageUnavailableError("the feed can't be stored now") from error
        try:
            size = await self._write(descriptor, body)
        except BaseException:
            vfs.remove(path)
            raise
        finally:
            os.close(descriptor)
        return size

    async def _write(self, descriptor: int, body: AsyncIterator[bytes]) -> int:
        size = 0
        try:
            async for piece in body:
                size += len(piece)
                if size > self.max_bytes:
                    raise BodyTooLargeError(self.max_bytes)
                await asyncio.to_thread(vfs.write_all, descriptor, piece)
            await asyncio.to_thread(vfs.sync, descriptor)
        except OSError as error:
            raise StorageUnavailableError("the feed can't be stored now") from error
        if not size:
            raise InvalidError("the feed is empty")
        return size
