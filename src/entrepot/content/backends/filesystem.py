"""Blobs in a folder: `<algorithm>/<2 hex>/<hex>.<ulid>`, uploads beside them on the same file system.

Keys are never reused: the ulid makes each copy its own generation, so removing an old copy can't hit a new one.
"""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import time
from typing import Final

from entrepot.content import vfs
from entrepot.content.disk import on_disk
from entrepot.content.errors import CopySuspectError, StorageUnavailableError
from entrepot.content.model import FACTS, INCOMING, Listed
from entrepot.ids import ulid
from entrepot.oci.digest import LENGTHS, Digest

UPLOADS: Final = "uploads"
PIECE_BYTES: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class FilesystemBlobs:
    """Bytes under the folder *root*."""

    root: Path

    async def prepare(self) -> None:
        """Every directory that will be needed, made once: a push then syncs one directory, not three."""
        await asyncio.to_thread(self._prepare)

    def _prepare(self) -> None:
        for name in (UPLOADS, FACTS, INCOMING):
            vfs.make_directory(self.root / name)
        for algorithm in LENGTHS:
            for number in range(256):
                vfs.make_directory(self.root / algorithm / f"{number:02x}")
            vfs.sync_directory(self.root / algorithm)
        vfs.sync_directory(self.root)

    def new_key(self, digest: Digest) -> str:
        """A key for a new copy of *digest*, never given before."""
        return f"{digest.algorithm}/{digest.hex[:2]}/{digest.hex}.{ulid()}"

    def upload_path(self, upload: str) -> Path:
        """Where the bytes of *upload* gather."""
        return self.root / UPLOADS / upload

    def sweep(self, age: timedelta) -> int:
        """Removes upload files nobody wrote to for *age*; how many."""
        before, removed = time() - age.total_seconds(), 0
        for path in (self.root / UPLOADS).iterdir():
            with contextlib.suppress(FileNotFoundError):
                if path.stat().st_mtime < before:
                    vfs.remove(path)
                    removed += 1
        return removed

    def path(self, key: str) -> Path:
        """The file of the copy *key*."""
        return self.root / key

    def damaged(self, key: str) -> CopySuspectError | StorageUnavailableError:
        """What it means that the file of *key* can't be read: if its disk is not even there, nothing of the file."""
        if (self.root / UPLOADS).is_dir():
            return CopySuspectError(key)
        return StorageUnavailableError("the folder of the blobs is not there")

    async def put(self, key: str, data: bytes) -> None:
        """See SmallBytes."""
        await on_disk(lambda: self._put(key, data))

    def _put(self, key: str, data: bytes) -> None:
        target = self.root / key
        vfs.make_directory(target.parent)
        vfs.put(target, self.root / UPLOADS / f"put.{ulid()}", data)

    async def get(self, key: str) -> bytes:
        """See SmallBytes."""
        try:
            return await asyncio.to_thread((self.root / key).read_bytes)
        except OSError:
            raise self.damaged(key) from None

    async def size(self, key: str) -> int | None:
        """See StoredBytes."""
        try:
            return (await asyncio.to_thread((self.root / key).stat)).st_size
        except FileNotFoundError:
            error = self.damaged(key)
            if isinstance(error, StorageUnavailableError):
                raise error from None
            return None
        except OSError:
            raise StorageUnavailableError("the disk does not say what is there") from None

    async def stream(self, key: str, start: int = 0, end: int | None = None) -> AsyncGenerator[bytes, None]:
        """See StoredBytes."""
        try:
            with await asyncio.to_thread(open, self.root / key, "rb", 0) as file:
                await asyncio.to_thread(file.seek, start)
                left = end - start if end is not None else None
                while left != 0:
                    piece = await asyncio.to_thread(file.read, PIECE_BYTES if left is None else min(PIECE_BYTES, left))
                    if not piece:
                        if left:
                            raise CopySuspectError(key)
                        return
                    left = left - len(piece) if left is not None else None
                    yield piece
        except OSError:
            raise self.damaged(key) from None

    @asynccontextmanager
    async def opened(self, key: str) -> AsyncIterator[Path]:
        """See StoredBytes: the file itself."""
        path = self.root / key
        if not await asyncio.to_thread(path.is_file):
            raise self.damaged(key)
        yield path

    async def copies(self) -> AsyncGenerator[Listed, None]:
        """See StoredKeys."""
        for algorithm in LENGTHS:
            for number in range(256):
                folder = f"{algorithm}/{number:02x}"
                for found in await asyncio.to_thread(self._listed, folder):
                    yield found

    def _listed(self, folder: str) -> list[Listed]:
        found = []
        with contextlib.suppress(FileNotFoundError):
            for path in (self.root / folder).iterdir():
                with contextlib.suppress(FileNotFoundError):
                    seen = path.stat()
                    written_at = datetime.fromtimestamp(seen.st_mtime, UTC)
                    found.append(Listed(f"{folder}/{path.name}", seen.st_size, written_at))
        return found

    async def delete(self, keys: Sequence[str]) -> None:
        """See StoredKeys."""
        await on_disk(lambda: self._remove(keys))

    def _remove(self, keys: Sequence[str]) -> None:
        for key in keys:
            vfs.remove(self.root / key)
