"""A feed file comes in over the network: kept as a file, then taken up by a worker."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

from entrepot.access.model import Site
from entrepot.access.scoped import Scoped
from entrepot.content.errors import BodyTooLargeError
from entrepot.content.model import INCOMING
from entrepot.content.ports import FeedWriter
from entrepot.errors import InvalidError
from entrepot.ids import ulid
from entrepot.runtime.jobs.ports import JobReader
from entrepot.runtime.unit_of_work import Work
from entrepot.scanning.jobs import ApplyFeed, FeedUploaded

MAX_SOURCE = 128


@dataclass(frozen=True, slots=True)
class ReceiveFeed:
    """Takes feed files of up to *max_bytes*; *writer* keeps them until they are in force."""

    work: Work
    jobs: JobReader
    writer: FeedWriter
    max_bytes: int

    async def __call__(self, site: Scoped[Site], body: AsyncIterator[bytes], source: str, *, force: bool) -> str:
        """The id of the job that brings the feed into force. Raises BodyTooLargeError, InvalidError (source, empty)."""
        if len(source) > MAX_SOURCE or not source.isprintable() or not source.isascii():
            raise InvalidError(f"a source's name has up to {MAX_SOURCE} printable characters", "source")
        upload = ulid()
        size = await self.writer.write(f"{INCOMING}/{upload}", _limited(body, self.max_bytes))
        actor = site.principal.actor
        job = ApplyFeed(upload, source, force, actor.name)
        async with self.work(actor) as unit:
            unit.emit(FeedUploaded(upload=upload, source=source, bytes=size))
            unit.enqueue(job)
        waiting = await self.jobs.page(None, ApplyFeed.NAME, None, 100)
        return next(row.id for row in waiting if upload in row.args)


async def _limited(body: AsyncIterator[bytes], limit: int) -> AsyncIterator[bytes]:
    """*body*. Raises BodyTooLargeError over *limit* bytes, InvalidError if there are none."""
    size = 0
    async for piece in body:
        size += len(piece)
        if size > limit:
            raise BodyTooLargeError(limit)
        yield piece
    if not size:
        raise InvalidError("the feed is empty")
