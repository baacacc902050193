"""Streams bodies to the disk in steps of a MiB, each written and hashed in a thread while the next comes in.

A disk that fails to sync has lost what it took: that file is dropped, and after the third such failure nothing is
written any more until somebody has looked.
"""

import asyncio
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
from entrepot.runtime.uninterrupted import uninterrupted

BATCH_BYTES: Final = 1 << 20
READ_BYTES: Final = 4 << 20
STEP_BYTES: Final = 64 << 20
WRITE_BACK_BYTES: Final = 8 << 20
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
        target = self._target(upload)
        await self._add(target, body, partial(_named, target.path, upload.offset))
        self._remember(upload.id, target.end, target.digest)
        return target.end

    async def finish(self, upload: Upload, place: str, body: Body | None, expected: Digest) -> Stored:
        """See UploadWriter. If the digest is another one, the upload's file is gone then."""
        del place
        path, size = self.store.upload_path(upload.id), upload.offset
        if body is not None:
            # Only now is it known what the digest will be.
            target = self._target(upload if size else replace(upload, algorithm=expected.algorithm))
            key = self.store.new_key(expected)
            if await self._add(target, body, partial(_publish_if, target, expected, self.store.path(key))):
                return Stored(expected, target.end, key)
            size = target.end
            self._remember(upload.id, size, target.digest)
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

    def _target(self, upload: Upload) -> "_Target":
        known, digest = self._hashes.pop(upload.id, (0, None))
        if not upload.offset:
            digest = hashlib.new(upload.algorithm)
        elif known != upload.offset:
            digest = None
        return _Target(self.store.upload_path(upload.id), digest, self.room, upload.offset)

    async def _add(self, target: "_Target", body: Body, then: Callable[[], bool] = lambda: False) -> bool:
        """*body* is in *target*, durable; gives what *then* says, which runs in the last step's thread.

        Raises what `append` does; by then nothing is written any more.
        """
        batch, length = bytearray(), target.end
        step: asyncio.Future[None] | None = None
        try:
            if body.length is None or body.length > BATCH_BYTES:
                await self._durable(partial(target.open, body.length or 0))
            async for piece in body.pieces:
                length += len(piece)
                if length > self.max_bytes:
                    raise BodyTooLargeError(self.max_bytes)
                if len(batch) >= BATCH_BYTES:
                    if step is not None:
                        await step
                    step, batch = asyncio.ensure_future(on_disk(partial(target.write, batch))), bytearray()
                batch += piece
            if step is not None:
                await step
            return await self._durable(partial(target.end_with, batch, then))
        finally:
            if step is not None:
                await uninterrupted(_over(step))
            target.close()

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
            log.exception(
                "storage.sync_failed",
                reason=os.strerror(error.errno or 0),
                failures=self._sync_failures,
                read_only=self._sync_failures >= MOST_SYNC_FAILURES,
            )
            raise


@dataclass(slots=True)
class _Target:
    """The file of an upload; *end*: its bytes so far, *reserved*: up to where there is room, *begun*: write-back."""

    path: Path
    digest: Any
    room: Room
    end: int
    reserved: int = 0
    begun: int = 0
    descriptor: int = -1

    def open(self, length: int) -> None:
        """The file is open, with room for *length* bytes more.

        Raises OSError, StorageUnavailableError, UploadUnknownError: bytes that should be there are not.
        """
        self.room.check(self.path.parent, length)
        try:
            self.descriptor = vfs.open_to_append(self.path, self.end)
        except FileNotFoundError:
            raise UploadUnknownError(LOST) from None
        self.reserved = self.begun = self.end
        if length > BATCH_BYTES:
            self.reserve(length)

    def reserve(self, length: int) -> None:
        """Room for *length* bytes more. Raises OSError, StorageUnavailableError."""
        vfs.reserve(self.descriptor, self.reserved, length)
        self.reserved += length

    def write(self, data: bytearray) -> None:
        """Adds *data*, where more is to come. Raises OSError, StorageUnavailableError."""
        if self.descriptor < 0:
            self.open(len(data))
        if self.end + len(data) > self.reserved:
            self.room.check(self.path.parent, STEP_BYTES)
            self.reserved = max(self.reserved, self.end)
            self.reserve(STEP_BYTES)
        self._add(data)

    def end_with(self, data: bytearray, then: Callable[[], bool]) -> bool:
        """Adds *data*, the last; then all is durable, and *then* is asked.

        Raises OSError; of a file that was not synced nothing is left.
        """
        if self.descriptor < 0:
            self.open(len(data))
        self._add(data)
        if self.reserved > self.end:
            os.ftruncate(self.descriptor, self.end)
        try:
            vfs.sync(self.descriptor)
        except vfs.SyncError:
            vfs.remove(self.path)
            raise
        return then()

    def close(self) -> None:
        """The descriptor is free."""
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1

    def _add(self, data: bytearray) -> None:
        vfs.write_all(self.descriptor, data)
        self.end += len(data)
        if self.end - self.begun >= WRITE_BACK_BYTES:
            vfs.begin_write_back(self.descriptor, self.begun, self.end - self.begun)
            self.begun = self.end
        if self.digest is not None:
            self.digest.update(data)


async def _over(step: asyncio.Future[None]) -> None:
    """Returns when *step* has ended, however."""
    await asyncio.gather(step, return_exceptions=True)


def _named(path: Path, offset: int) -> bool:
    """The name of the file of an upload is durable too, if it is new: it held nothing before."""
    if not offset:
        vfs.sync_directory(path.parent)
    return True


def _publish_if(target: _Target, expected: Digest, name: Path) -> bool:
    """Publishes *target* as *name* if it is known to be *expected*; whether it is."""
    digest = target.digest
    if digest is None or digest.name != expected.algorithm or digest.hexdigest() != expected.hex:
        return False
    _publish(target.path, target.end, name)
    return True


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
        except vfs.SyncError:
            vfs.remove(path)  # it has its length now, and a retry would take it for whole
            raise
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
