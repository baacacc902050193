"""Streams bodies to an object store: each request straight to a fresh key, hashing on the way.

One object is the copy already: nothing is copied, renamed or written twice. Only an upload that came in several
requests is read back, in order, into the copy.
"""

import asyncio
import hashlib
from collections import OrderedDict
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any, Final

from entrepot.content.backends.object_store import ObjectBlobs
from entrepot.content.errors import BodyTooLargeError, CopySuspectError, UploadUnknownError
from entrepot.content.model import Body, Part, Stored, Upload
from entrepot.content.part_budget import PartBudget, PartBuffer
from entrepot.oci.digest import Digest
from entrepot.oci.errors import DigestInvalidError

LEAST_PART: Final = 5 << 20
PART: Final = 16 << 20
MOST_PARTS: Final = 9_000
KNOWN_HASHES: Final = 500
LOST: Final = "what the store had of this upload is gone: begin again"


@dataclass(slots=True)
class ObjectWriter:
    """Writes through *store*; no blob is larger than *max_bytes*.

    What a single request brought is hashed while it comes, and the result kept in this process for the PUT that closes
    the upload: where that comes to another process, or names another algorithm, the bytes are read once more.
    """

    store: ObjectBlobs
    budget: PartBudget
    max_bytes: int
    _hashes: OrderedDict[str, tuple[str, str]] = field(default_factory=OrderedDict)

    def place(self) -> str:
        """See UploadWriter: a fresh key."""
        return self.store.new_key()

    async def append(self, upload: Upload, place: str, body: Body) -> int:
        """See UploadWriter."""
        size, digest = await self._write(place, body, upload.algorithm, self.max_bytes - upload.offset)
        if not upload.offset:
            self._hashes[upload.id] = (place, str(digest))
            while len(self._hashes) > KNOWN_HASHES:
                self._hashes.popitem(last=False)
        return upload.offset + size

    async def finish(self, upload: Upload, place: str, body: Body | None, expected: Digest) -> Stored:
        """See UploadWriter."""
        if body is None and len(upload.parts) == 1:
            key = upload.parts[0].key
            return _checked(await self._digest(upload.id, key, expected.algorithm), expected, upload.offset, key)
        if not upload.parts:
            whole = body or Body(_nothing(), 0)
        else:
            length = None if body is not None and body.length is None else upload.offset
            if body is not None and body.length is not None:
                length = upload.offset + body.length
            whole = Body(self._joined(upload.parts, body), length)
        size, digest = await self._write(place, whole, expected.algorithm, self.max_bytes)
        stored = _checked(digest, expected, size, place)
        if not size:
            await self.store.put(place, b"")
        return stored

    async def put(self, data: bytes, digest: Digest) -> Stored:
        """See BlobWriter."""
        key = self.store.new_key()
        await self.store.put(key, data)
        return Stored(digest, len(data), key)

    async def write(self, key: str, body: AsyncIterator[bytes]) -> int:
        """See FeedWriter."""
        size, _ = await self._write(key, Body(body), "sha256", self.max_bytes)
        return size

    async def discard(self, upload: str, parts: Sequence[Part]) -> None:
        """See UploadWriter."""
        self._hashes.pop(upload, None)
        await self.store.delete([part.key for part in parts])

    async def drop(self, stored: Stored) -> None:
        """See BlobWriter."""
        await self.store.delete([stored.key])

    async def sweep(self) -> None:
        """See UploadWriter: every object of an upload has a row, so nothing is left to look for."""

    async def _write(self, key: str, body: Body, algorithm: str, most: int) -> tuple[int, Digest]:
        """Size and digest of *body*, which is the object *key* now; of an empty one no object is made."""
        part_bytes = _part_bytes(body.length)
        filling = _Filling(self.budget, body, part_bytes, algorithm, most)
        async with aclosing(filling.parts()) as parts:
            first = await anext(parts, None)
            if first is None:
                return 0, filling.digest()
            if len(first) < part_bytes:
                await self.store.put(key, first)
            else:
                held = [first]
                del first  # a part is free when nobody holds it, and the next may wait for it
                await self.store.write(key, _behind(held, parts), part_bytes, lambda: filling.size)
        return filling.size, filling.digest()

    async def _digest(self, upload: str, key: str, algorithm: str) -> Digest:
        """The digest of the only part of *upload*."""
        known, text = self._hashes.pop(upload, ("", ""))
        if known == key and text.startswith(f"{algorithm}:"):
            return Digest.parse(text)
        digest = hashlib.new(algorithm)
        async with aclosing(self._joined([Part(key, 0)], None)) as pieces:
            async for piece in pieces:
                await asyncio.to_thread(digest.update, piece)
        return Digest(algorithm, digest.hexdigest())

    async def _joined(self, parts: Sequence[Part], body: Body | None) -> AsyncGenerator[bytes, None]:
        """The bytes of *parts*, in order, then those of *body*. Raises UploadUnknownError: a part is gone."""
        for part in parts:
            try:
                async with aclosing(self.store.stream(part.key)) as pieces:
                    async for piece in pieces:
                        yield piece
            except CopySuspectError:
                raise UploadUnknownError(LOST) from None
        if body is not None:
            async for piece in body.pieces:
                yield piece


@dataclass(slots=True)
class _Filling:
    """Cuts a body into parts of equal size, and knows what came so far."""

    budget: PartBudget
    body: Body
    part_bytes: int
    algorithm: str
    most: int
    size: int = 0
    _digest: Any = None

    def digest(self) -> Digest:
        """Of all that came."""
        return Digest(self.algorithm, self._digest.hexdigest())

    async def parts(self) -> AsyncGenerator[PartBuffer, None]:
        """Each full but the last. Raises BodyTooLargeError, and what the body raises."""
        self._digest = hashlib.new(self.algorithm)
        # Of what is announced no more is taken than will come.
        largest = self.part_bytes if self.body.length is None else min(self.part_bytes, self.body.length)
        part: PartBuffer | None = None
        async for piece in self.body.pieces:
            self.size += len(piece)
            if self.size > self.most:
                raise BodyTooLargeError(self.most)
            view = memoryview(piece)
            while view:
                if part is None:
                    part = await self.budget.part(largest)
                room = self.part_bytes - len(part)
                part += view[:room]
                view = view[room:]
                if len(part) == self.part_bytes:
                    await asyncio.to_thread(self._digest.update, part)
                    yield part
                    part = None
        if part is not None:
            await asyncio.to_thread(self._digest.update, part)
            yield part


def _part_bytes(length: int | None) -> int:
    """So large that no store's limit of 10,000 parts is met; all equal, as some stores demand."""
    return PART if length is None else max(LEAST_PART, -(-length // MOST_PARTS))


def _checked(digest: Digest, expected: Digest, size: int, key: str) -> Stored:
    if digest != expected:
        raise DigestInvalidError("the uploaded bytes have another digest than announced; push again", "digest")
    return Stored(expected, size, key)


async def _behind(first: list[PartBuffer], rest: AsyncGenerator[PartBuffer, None]) -> AsyncGenerator[PartBuffer, None]:
    """The only one of *first*, which is let go with it, then *rest*."""
    yield first.pop()
    async for part in rest:
        yield part
        del part


async def _nothing() -> AsyncGenerator[bytes, None]:
    for piece in tuple[bytes]():
        yield piece
