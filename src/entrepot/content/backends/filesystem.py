"""Blobs in a folder: `<algorithm>/<2 hex>/<hex>.<ulid>`, uploads beside them on the same file system.

Keys are never reused: the ulid makes each copy its own generation, so removing an old copy can't hit a new one.
"""

import contextlib
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from time import time
from typing import Final

from entrepot.content import vfs
from entrepot.content.errors import CopySuspectError
from entrepot.ids import ulid
from entrepot.oci.digest import LENGTHS, Digest

UPLOADS: Final = "uploads"
FACTS: Final = "facts"


@dataclass(frozen=True, slots=True)
class FilesystemBlobs:
    """Bytes under the folder *root*."""

    root: Path

    def prepare(self) -> None:
        """Every directory that will be needed, made once: a push then syncs one directory, not three."""
        vfs.make_directory(self.root / UPLOADS)
        vfs.make_directory(self.root / FACTS)
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

    def put(self, key: str, data: bytes) -> None:
        """The small object *key* with *data*, durable. Raises OSError."""
        target = self.root / key
        vfs.make_directory(target.parent)
        vfs.put(target, self.root / UPLOADS / f"put.{ulid()}", data)

    def get(self, key: str) -> bytes:
        """The small object *key*. Raises CopySuspectError."""
        try:
            return (self.root / key).read_bytes()
        except OSError:
            raise CopySuspectError(key) from None
