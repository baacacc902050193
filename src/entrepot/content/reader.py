"""Gives stored files to pulls: small ones from memory, others in pieces.

Pieces that the page cache has are read on the event loop: a copy of 256 KiB takes 40 us, a hop there and back 190.
Measured against the server's own file send, which hops for every piece, that is half as fast again; and a client that
reads slowly stays a request of its principal until it is served.
"""

import asyncio
import os
import stat
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from typing import Final

from entrepot.content.backends.filesystem import FilesystemBlobs
from entrepot.content.cache import ByteCache
from entrepot.content.errors import CopySuspectError
from entrepot.content.model import Content, Source
from entrepot.oci.digest import Digest
from entrepot.runtime.uninterrupted import uninterrupted

LARGEST_PIECE: Final = 512 << 10
SMALLEST_PIECE: Final = 16 << 10
AHEAD_BYTES: Final = 24 << 20
"""So much may all answers of a process hold that their clients have not taken yet, as far as pieces can see to it."""

PIECES_AHEAD: Final = 4
"""So many pieces of an answer the server takes before the kernel's buffer has room for them (granian 2.8.7)."""

OPEN: Final = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK  # the last: whatever lies there, no waiting


@dataclass(slots=True)
class Streams:
    """The answers under way in this process: the more there are, the smaller the pieces of each.

    Each may belong to a client that takes nothing for a minute, and a large piece is fast for one that takes all.
    """

    active: int = 0

    def piece_bytes(self) -> int:
        """How large the next piece of an answer may be."""
        share = AHEAD_BYTES // (PIECES_AHEAD * max(1, self.active))
        return max(SMALLEST_PIECE, min(LARGEST_PIECE, share))


@dataclass(frozen=True, slots=True)
class FileReader:
    """Reads copies of *store*; small blobs are kept in *cache*."""

    store: FilesystemBlobs
    cache: ByteCache
    streams: Streams = field(default_factory=Streams)

    async def look(self, key: str, size: int) -> None:
        """See BlobReader."""
        self._seen(key, size)

    async def open(self, digest: str, key: str, size: int, part: tuple[int, int] | None) -> Content:
        """See BlobReader. If the file turns out short while it is read, less than announced is sent and the connection
        breaks, which every client takes for a failure.
        """
        path = self._seen(key, size)
        if self.cache.takes(size):
            data, source = await self._small(digest, key, path)
            return Content(data=data if part is None else memoryview(data)[part[0] : part[1]], source=source)
        return Content(pieces=_pieces(self.streams, key, path, *(part or (0, size))), source="disk")

    async def redirect(self, key: str, size: int, client: str) -> str | None:
        """See BlobReader: files have no URL."""
        del key, size, client
        return None

    def _seen(self, key: str, size: int) -> str:
        """The path of the copy *key*, opened just now and seen with *size* bytes. Raises CopySuspectError.

        The check comes before the status line goes out: the server answers a path that it can't open with a text of
        its own. So it opens the file too (4 us): the size alone says nothing of permissions.
        """
        path = f"{self.store.root}/{key}"
        try:
            descriptor = os.open(path, OPEN)
            try:
                seen = os.fstat(descriptor)
            finally:
                os.close(descriptor)
        except OSError:
            raise self.store.damaged(key) from None
        if seen.st_size != size or not stat.S_ISREG(seen.st_mode):
            raise CopySuspectError(key)
        return path

    async def _small(self, digest: str, key: str, path: str) -> tuple[bytes, Source]:
        data = self.cache.get(digest)
        if data is not None:
            return data, "memory"
        data = await asyncio.to_thread(_read, path)
        wanted = Digest.parse(digest)
        if Digest.of(data, wanted.algorithm) != wanted:
            raise CopySuspectError(key)
        self.cache.put(digest, data)
        return data, "disk"


def _read(path: str) -> bytes:
    with open(path, "rb", 0) as file:  # noqa: PTH123  a str path is what there is
        return file.read()


async def _pieces(streams: Streams, key: str, path: str, start: int, end: int) -> AsyncGenerator[bytes, None]:
    """The bytes [start, end) of the file: at once what the page cache has, in a thread what the disk must bring."""
    descriptor = os.open(path, OPEN)
    streams.active += 1
    try:
        at = start
        while at < end:
            length = min(streams.piece_bytes(), end - at)
            if _is_cached(descriptor, at) and _is_cached(descriptor, at + length - 1):
                piece = os.pread(descriptor, length, at)
            else:
                piece = await uninterrupted(asyncio.to_thread(os.pread, descriptor, length, at))
            if not piece:
                raise CopySuspectError(key)
            at += len(piece)
            yield piece
    finally:
        streams.active -= 1
        os.close(descriptor)


def _is_cached(descriptor: int, offset: int) -> bool:
    """Whether the byte at *offset* can be read without waiting; not where the file system can't tell."""
    try:
        return os.preadv(descriptor, [bytearray(1)], offset, os.RWF_NOWAIT) == 1
    except OSError:
        return False
