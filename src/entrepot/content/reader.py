"""Gives stored bytes to a pull: a whole file by name for the server to send, or a range in pieces."""

import asyncio
import os
import stat
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from entrepot.content.errors import CopySuspectError

PIECE_BYTES: Final = 1 << 20
OPEN: Final = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK  # the last: whatever lies there, no waiting


@dataclass(frozen=True, slots=True)
class BlobReader:
    """Reads copies under the folder *root*."""

    root: Path

    def whole(self, key: str, size: int) -> str:
        """The path of the copy *key*, opened just now and seen with *size* bytes. Raises CopySuspectError.

        The check comes before the status line goes out: the server answers a path that it can't open with a text of
        its own. So it opens the file too (4 us): the size alone says nothing of permissions.
        """
        path = f"{self.root}/{key}"
        try:
            descriptor = os.open(path, OPEN)
            try:
                seen = os.fstat(descriptor)
            finally:
                os.close(descriptor)
        except OSError:
            raise CopySuspectError(key) from None
        if seen.st_size != size or not stat.S_ISREG(seen.st_mode):
            raise CopySuspectError(key)
        return path

    async def range(self, key: str, size: int, start: int, end: int) -> AsyncIterator[bytes]:
        """The bytes [start, end) of the copy *key* of *size* bytes, in pieces of up to 1 MiB.

        Raises CopySuspectError before anything was yielded, or if the file turns out short: then less than
        announced is sent and the connection breaks, which every client takes for a failure.
        """
        with await asyncio.to_thread(open, self.whole(key, size), "rb", 0) as file:
            await asyncio.to_thread(file.seek, start)
            left = end - start
            while left:
                piece = await asyncio.to_thread(file.read, min(PIECE_BYTES, left))
                if not piece:
                    raise CopySuspectError(key)
                left -= len(piece)
                yield piece
