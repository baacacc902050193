"""Streams bodies to the disk, hashing on the way, in pieces of a MiB so that the event loop stays free.

A disk that fails to sync has lost what it took: that file is dropped, and after the third such failure nothing is
written any more until somebody has looked.
"""

import hashlib
import os
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar

import structlog

from entrepot.content import vfs
from entrepot.content.backends.filesystem import FilesystemBlobs
from entrepot.content.disk import on_disk
from entrepot.content.errors import BodyTooLargeError, StorageUnavailableError, UploadUnknownError
from entrepot.content.model import Body, Part, Stored, Upload
from entrepot.ids import ulid
from entrepot.oci.digest import Digest
from entrepot.oci.errors import DigestInvalidError

BATCH_BYTES: Final = 1 << 20
READ_BYTES: Final = 4 << 20
STEP_BYTES: Final = 64 << 20
KNOWN_HASHES: Final = 500
MOST_SYNC_FAILURES: Final = 3
ORPHAN_AGE: Final = timedelta(hours=25)
"""Older than an upload that a row knows can be without a byte coming."""
LOST: Final = "what was sent of this upload is gone: begin again"

T = TypeVar("T")
log = structlog.get_logger("storage")


@dataclass(frozen=True, slots=True)
class Room:
    """How much of a disk stays free, whatever is pushed: the larger of *least_bytes* and *least_percent* of all."""

    least_bytes: int = 0
    least_percent: int = 0

    def check(self, folder: Path, wanted: int) -> None:
        """Raises StorageUnavailableError unless *wanted* bytes may be written to *folder*'s disk."""
        free, total = vfs.free_bytes(folder)
        if free - wanted < max(self.least_bytes, total * self.least_percent // 100):
            raise StorageUnavailableError("the disk is nearly full; nothing can be pushed now")


@dataclass(slots=True)
class FileWriter:
    """Appends to files of uploads and turns them into copies; no blob is larger than *max_bytes*.

    Between a PATCH and the PUT that closes it the hash so far is kept in this process, as a cache: another
    process reads the file once more instead. sync_failed: told of each sync that failed.
    """

    store: FilesystemBlobs
    max_bytes: int
    room: Room = field(default_factory=Room)
    sync_failed: Callable[[], None] = lambda: None
    _hashes: OrderedDict[str, tuple[int, Any]] = field(default_factory=OrderedDict)
    _sync_failures: int = 0

    def place(self) -> str:
        """See UploadWriter: none, an upload has one file."""
        return ""

    async def append(self, upload: Upload, place: str, body: Body) -> int:
        """See UploadWriter. What is refused is cut off by the next append."""
        del place
        known, digest = self._hashes.pop(upload.id, (0, None))
        if not upload.offset:
            digest = hashlib.new(upload.algorithm)
        elif known != upload.offset:
            digest = None
        target = await self._durable(lambda: self._open(upload, digest, body.length))
        try:
            batch, length = bytearray(), upload.offset
            async for piece in body.pieces:
                length += len(piece)
                if length > self.max_bytes:
                    raise BodyTooLargeError(self.max_bytes)
                batch += piece
                if len(batch) >= BATCH_BYTES:
                    await on_disk(partial(target.write, batch))
                    batch = bytearray()
            await self._durable(partial(target.end_with, batch))
        finally:
            target.close()
        self._remember(upload.id, length, digest)
        return length

    async def finish(self, upload: Upload, place: str, body: Body | None, expected: Digest) -> Stored:
        """See UploadWriter. If the digest is another one, the upload's file is gone then."""
        path, size = self.store.upload_path(upload.id), upload.offset
        if body is not None:
            # Only now is it known what the digest will be.
            begun = upload if size else replace(upload, algorithm=expected.algorithm)
            size = await self.append(begun, place, body)
        known, digest = self._hashes.pop(upload.id, (-1, None))
        if digest is None or known != size or digest.name != expected.algorithm:
            digest = await self._durable(lambda: _hash_file(path, expected.algorithm, size))
        if digest.hexdigest() != expected.hex:
            await self.discard(upload.id, ())
            raise DigestInvalidError("the uploaded bytes have another digest than announced; push again", "digest")
        key = self.store.new_key(expected)
        await self._durable(lambda: _publish(path, size, self.store.path(key)))
        return Stored(expected, size, key)

    async def put(self, data: bytes, digest: Digest) -> Stored:
        """See BlobWriter."""
        key = self.store.new_key(digest)
        temporary = self.store.upload_path(f"put.{ulid()}")
        self.room.check(self.store.root, len(data))
        await self._durable(lambda: vfs.put(self.store.path(key), temporary, data))
        return Stored(digest, len(data), key)

    async def write(self, key: str, body: AsyncIterator[bytes]) -> int:
        """See FeedWriter."""
        begun = Upload(ulid(), 0, 0, 0, 0)
        path = self.store.upload_path(begun.id)
        try:
            size = await self.append(begun, "", Body(body))
            await self._durable(lambda: _publish(path, size, self.store.path(key)))
        except BaseException:
            await self.discard(begun.id, ())
            raise
        self._hashes.pop(begun.id, None)
        return size

    async def discard(self, upload: str, parts: Sequence[Part]) -> None:
        """See UploadWriter."""
        del parts
        self._hashes.pop(upload, None)
        await on_disk(lambda: vfs.remove(self.store.upload_path(upload)))

    async def drop(self, stored: Stored) -> None:
        """See BlobWriter."""
        await self.store.delete([stored.key])

    async def sweep(self) -> None:
        """See UploadWriter."""
        await on_disk(lambda: self.store.sweep(ORPHAN_AGE))

    def _open(self, upload: Upload, digest: Any, length: int | None) -> "_Target":
        self.room.check(self.store.root, length or 0)
        path = self.store.upload_path(upload.id)
        try:
            descriptor = vfs.open_to_append(path, upload.offset)
        except FileNotFoundError:
            raise UploadUnknownError(LOST) from None
        target = _Target(path, descriptor, digest, self.room, upload.offset, upload.offset)
        try:
            if length is not None and length > BATCH_BYTES:
                target.reserve(length)
        except OSError:
            target.close()
            raise
        return target

    def _remember(self, upload: str, length: int, digest: Any) -> None:
        if digest is None:
            return
        self._hashes[upload] = (length, digest)
        while len(self._hashes) > KNOWN_HASHES:
            self._hashes.popitem(last=False)

    async def _durable(self, action: Callable[[], T]) -> T:
        """See `on_disk`; refuses once syncs have failed too often."""
        if self._sync_failures >= MOST_SYNC_FAILURES:
            raise StorageUnavailableError("the disk lost data: nothing is written before a restart")
        return await on_disk(partial(self._counted, action))

    def _counted(self, action: Callable[[], T]) -> T:
        try:
            return action()
        except vfs.SyncError as error:
            self._sync_failures += 1
            self.sync_failed()
            log.error(
                "storage.sync_failed",
                reason=os.strerror(error.errno or 0),
                failures=self._sync_failures,
                read_only=self._sync_failures >= MOST_SYNC_FAILURES,
            )
            raise


@dataclass(slots=True)
class _Target:
    """The file of an upload, open; *end*: its bytes so far, *reserved*: up to where there is room for it."""

    path: Path
    descriptor: int
    digest: Any
    room: Room
    end: int
    reserved: int

    def reserve(self, length: int) -> None:
        """Room for *length* bytes more. Raises OSError, StorageUnavailableError."""
        vfs.reserve(self.descriptor, self.reserved, length)
        self.reserved += length

    def write(self, data: bytearray) -> None:
        """Adds *data*, where more is to come. Raises OSError, StorageUnavailableError."""
        if self.end + len(data) > self.reserved:
            self.room.check(self.path.parent, STEP_BYTES)
            self.reserved = max(self.reserved, self.end)
            self.reserve(STEP_BYTES)
        self._add(data)

    def end_with(self, data: bytearray) -> None:
        """Adds *data*, the last; then all is durable. Raises OSError; of a file that was not synced nothing is left."""
        self._add(data)
        if self.reserved > self.end:
            os.ftruncate(self.descriptor, self.end)
        try:
            vfs.sync(self.descriptor)
        except vfs.SyncError:
            vfs.remove(self.path)
            raise

    def close(self) -> None:
        """The descriptor is free."""
        os.close(self.descriptor)

    def _add(self, data: bytearray) -> None:
        vfs.write_all(self.descriptor, data)
        self.end += len(data)
        if self.digest is not None:
            self.digest.update(data)


def _publish(path: Path, size: int, target: Path) -> None:
    """The file *path* of an upload is *target*, durable, with exactly *size* bytes."""
    try:
        is_exact = path.stat().st_size == size
    except FileNotFoundError:
        is_exact = False
    if not is_exact:
        # A request that was cut off left more than is counted; or it is the empty blob, of which no byte ever came.
        descriptor = vfs.open_to_append(path, size)
        try:
            vfs.sync(descriptor)
        finally:
            os.close(descriptor)
    try:
        vfs.publish(path, target)
    except vfs.SyncError:
        vfs.remove(target)
        raise


def _hash_file(path: Path, algorithm: str, size: int) -> Any:
    """The hash over the first *size* bytes. Raises UploadUnknownError: there are fewer."""
    digest, left = hashlib.new(algorithm), size
    try:
        with path.open("rb", buffering=0) as file:
            while left and (piece := file.read(min(READ_BYTES, left))):
                digest.update(piece)
                left -= len(piece)
    except FileNotFoundError:
        pass
    if left:
        raise UploadUnknownError(LOST)
    return digest
