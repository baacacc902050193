"""Gives stored files to pulls: small ones from memory, whole ones by name for the server to send, ranges in pieces."""

import asyncio
import os
import stat
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Final

from entrepot.content.backends.filesystem import FilesystemBlobs
from entrepot.content.cache import ByteCache
from entrepot.content.errors import CopySuspectError
from entrepot.content.model import Content
from entrepot.oci.digest import Digest

PIECE_BYTES: Final = 1 << 20
OPEN: Final = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK  # the last: whatever lies there, no waiting


@dataclass(frozen=True, slots=True)
class FileReader:
    """Reads copies of *store*; small blobs are kept in *cache*."""

    store: FilesystemBlobs
    cache: ByteCache

    async def look(self, key: str, size: int) -> None:
        """See BlobReader."""
        self._seen(key, size)

    async def open(self, digest: str, key: str, size: int, part: tuple[int, int] | None) -> Content:
        """See BlobReader. If the file turns out short while it is read, less than announced is sent and the connection
        breaks, which every client takes for a failure.
        """
        path = self._seen(key, size)
        if self.cache.takes(size):
            data = await self._small(digest, key, path)
            return Content(data=data if part is None else memoryview(data)[part[0] : part[1]])
        return Content(path=path) if part is None else Content(pieces=_range(key, path, *part))

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

    async def _small(self, digest: str, key: str, path: str) -> bytes:
        data = self.cache.get(digest)
        if data is None:
            data = await asyncio.to_thread(_read, path)
            wanted = Digest.parse(digest)
            if Digest.of(data, wanted.algorithm) != wanted:
                raise CopySuspectError(key)
            self.cache.put(digest, data)
        return data


def _read(path: str) -> bytes:
    with open(path, "rb", 0) as file:  # noqa: PTH123  a str path is what there is
        return file.read()


async def _range(key: str, path: str, start: int, end: int) -> AsyncGenerator[bytes, None]:
    with await asyncio.to_thread(open, path, "rb", 0) as file:
        await asyncio.to_thread(file.seek, start)
        left = end - start
        while left:
            piece = await asyncio.to_thread(file.read, min(PIECE_BYTES, left))
            if not piece:
                raise CopySuspectError(key)
            left -= len(piece)
            yield piece
