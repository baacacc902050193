"""Streams bodies to the disk, hashing on the way, in pieces of a MiB so that the event loop stays free."""

import asyncio
import hashlib
import os
from collections import OrderedDict
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final

from entrepot.content import vfs
from entrepot.content.backends.filesystem import FilesystemBlobs
from entrepot.content.errors import BodyTooLargeError, StorageUnavailableError
from entrepot.content.model import Stored
from entrepot.oci.digest import Digest
from entrepot.oci.errors import DigestInvalidError
from entrepot.runtime.uninterrupted import uninterrupted

BATCH_BYTES: Final = 1 << 20
READ_BYTES: Final = 4 << 20
KNOWN_HASHES: Final = 500


@dataclass(slots=True)
class BlobWriter:
    """Appends to uploads and turns them into copies.

    Between a PATCH and the PUT that closes it the hash so far is kept in this process, as a cache: another
    process reads the file once more instead.
    """

    store: FilesystemBlobs
    max_bytes: int
    _hashes: OrderedDict[str, tuple[int, Any]] = field(default_factory=OrderedDict)

    async def create(self, upload: str) -> None:
        """An empty file for *upload*. Raises StorageUnavailableError."""
        await _disk(lambda: os.close(vfs.create(self.store.upload_path(upload))))

    async def append(self, upload: str, offset: int, body: AsyncIterator[bytes]) -> int:
        """Adds *body* to *upload* behind its first *offset* bytes; the new length, durable when this returns.

        Raises BodyTooLargeError, StorageUnavailableError; what was added is then cut off by the next append.
        """
        path = self.store.upload_path(upload)
        descriptor = await _disk(lambda: vfs.open_to_append(path, offset))
        known, digest = self._hashes.pop(upload, (0, hashlib.sha256()))
        if known != offset:
            digest = None
        try:
            batch, length = bytearray(), offset
            async for piece in body:
                length += len(piece)
                if length > self.max_bytes:
                    raise BodyTooLargeError(self.max_bytes)
                batch += piece
                if len(batch) >= BATCH_BYTES:
                    await _disk(partial(_write, descriptor, digest, batch))
                    batch = bytearray()
            await _disk(partial(_write, descriptor, digest, batch))
            await _disk(lambda: vfs.sync(descriptor))
        finally:
            os.close(descriptor)
        if digest is not None:
            self._hashes[upload] = (length, digest)
            while len(self._hashes) > KNOWN_HASHES:
                self._hashes.popitem(last=False)
        return length

    async def publish(self, upload: str, size: int, expected: Digest) -> Stored:
        """Makes the *size* bytes of *upload* a copy of *expected*, durable, its name too.

        Raises DigestInvalidError if the bytes are others (the upload's file is gone then), StorageUnavailableError.
        """
        path = self.store.upload_path(upload)
        known, digest = self._hashes.pop(upload, (-1, None))
        if digest is None or known != size or expected.algorithm != "sha256":
            digest = await _disk(lambda: _hash_file(path, expected.algorithm, size))
        if digest.hexdigest() != expected.hex:
            await self.discard(upload)
            raise DigestInvalidError("the uploaded bytes have another digest than announced; push again", "digest")
        key = self.store.new_key(expected)
        await _disk(lambda: vfs.publish(path, self.store.path(key)))
        return Stored(expected, size, key)

    async def put(self, data: bytes, digest: Digest) -> Stored:
        """A copy of the small *data*, whose digest is known to be *digest*. Raises StorageUnavailableError."""
        key = self.store.new_key(digest)
        await _disk(lambda: self.store.put(key, data))
        return Stored(digest, len(data), key)

    async def discard(self, upload: str) -> None:
        """The bytes of *upload* are gone."""
        self._hashes.pop(upload, None)
        await _disk(lambda: vfs.remove(self.store.upload_path(upload)))

    async def drop(self, stored: Stored) -> None:
        """A copy that got no row is gone again."""
        await _disk(lambda: vfs.remove(self.store.path(stored.key)))


def _write(descriptor: int, digest: Any, data: bytearray) -> None:
    vfs.write_all(descriptor, data)
    if digest is not None:
        digest.update(data)


def _hash_file(path: Path, algorithm: str, size: int) -> Any:
    digest = hashlib.new(algorithm)
    with path.open("rb", buffering=0) as file:
        left = size
        while left and (piece := file.read(min(READ_BYTES, left))):
            digest.update(piece)
            left -= len(piece)
    return digest


async def _disk(action: Any) -> Any:
    """Runs *action* in a thread; what the disk refuses becomes StorageUnavailableError.

    A client that leaves can't cancel a write under way: its descriptor would be closed, and perhaps given to
    another file, while the thread still writes. So the thread is waited for.
    """
    try:
        return await uninterrupted(asyncio.to_thread(action))
    except OSError as error:
        raise StorageUnavailableError(f"the store can't write now ({os.strerror(error.errno or 0)})") from error
