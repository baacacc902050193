"""Objects in a bucket: S3, Google Cloud Storage, Azure. Keys of copies: `o/<2>/<ulid>`, as nobody knows the digest yet.

Traps this file knows: a put that is not "overwrite" buffers everything, and a copy has a limit, so each key is fresh
and written once; an answer that was lost says nothing, so the size decides; a bucket that is gone looks like an object
that is gone, and would make every copy damaged; some servers answer a range with everything.
"""

import asyncio
import random
import tempfile
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import aclosing, asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

import obstore
import structlog
from obstore.exceptions import BaseError, PermissionDeniedError, UnauthenticatedError

from entrepot.content.backends.object_url import FIELD, Clients, clients
from entrepot.content.errors import CopySuspectError, StorageUnavailableError
from entrepot.content.model import Listed
from entrepot.errors import InvalidError
from entrepot.ids import ulid

COPIES: Final = "o"
PROBES: Final = "probe"
PIECE_BYTES: Final = 256 << 10
CONCURRENCY: Final = 2
DELETED_AT_ONCE: Final = 1000
LISTED_AT_ONCE: Final = 1000
ANSWER: Final = timedelta(seconds=30)
ATTEMPTS: Final = 4
BACK_OFF_SECONDS: Final = 0.1
LINK_LIFE: Final = timedelta(minutes=5)
NO_BUCKET: Final = ("NoSuchBucket", "bucket does not exist", "ContainerNotFound", "container does not exist")
WHOLE_INSTEAD: Final = "non-partial response"
"""What the library says where a server answered a range with everything."""
FAILURES: Final = (BaseError, OSError, TimeoutError)
"""All that the library raises for an answer it did not like, or did not get; FileNotFoundError is one of them."""

T = TypeVar("T")
log = structlog.get_logger("storage")


@dataclass(frozen=True, slots=True)
class ObjectBlobs:
    """Objects behind *clients*.

    scratch: a folder for objects that are needed as files for a while. answer: how long an answer, or a piece of one,
    may take to come, with the client's own retries.
    """

    clients: Clients
    scratch: Path
    answer: timedelta = ANSWER

    @classmethod
    def at(cls, url: str, scratch: Path) -> "ObjectBlobs":
        """The store that *url* names. Raises InvalidError."""
        return cls(clients(url), scratch)

    @property
    def host(self) -> str:
        """The host clients would be sent to; empty for a cloud's own, which is none of ours."""
        return urlsplit(self.clients.endpoint).hostname or ""

    async def prepare(self) -> None:
        """Writes, reads and removes a small object. A store that is only silent may come back: that is logged."""
        self.scratch.mkdir(mode=0o750, parents=True, exist_ok=True)
        key = f"{PROBES}/{ulid()}"
        try:
            await obstore.put_async(self.clients.brief, key, b"entrepot", use_multipart=False)
            await obstore.head_async(self.clients.brief, key)
            await obstore.delete_async(self.clients.brief, [key])
        except (FileNotFoundError, PermissionDeniedError, UnauthenticatedError) as error:
            raise InvalidError(f"the object store refuses us: {_text(error)}", FIELD) from None
        except FAILURES as error:
            log.warning("storage.silent", reason=_text(error))

    def new_key(self) -> str:
        """A key for a new copy, never given before."""
        id_ = ulid()
        return f"{COPIES}/{id_[-2:]}/{id_}"

    # writing

    async def put(self, key: str, data: bytes | bytearray) -> None:
        """See SmallBytes; also the way of everything that fits into one part."""
        await self._written(
            key, len(data), lambda: obstore.put_async(self.clients.brief, key, data, use_multipart=False)
        )

    async def write(
        self, key: str, parts: AsyncGenerator[bytearray, None], part_bytes: int, written: Callable[[], int]
    ) -> None:
        """The new object *key* of *parts*, each *part_bytes* long but the last. written: how many bytes came by then.

        Raises what *parts* raises, and then nothing is left; StorageUnavailableError.
        """
        failed: list[BaseException] = []

        async def watched() -> AsyncGenerator[bytearray, None]:
            try:
                async for part in parts:
                    yield part
                    del part
            except Exception as error:
                failed.append(error)
                raise

        def start() -> Awaitable[Any]:
            return obstore.put_async(
                self.clients.brief, key, watched(), chunk_size=part_bytes, max_concurrency=CONCURRENCY
            )

        try:
            await self._written(key, None, start)
        except StorageUnavailableError:
            if failed:
                raise failed[0] from None
            if await self._size_or_none(key) != written():
                raise
            return  # only the answer was lost
        if await self.size(key) != written():
            raise StorageUnavailableError("the store does not have what it took; try again")

    async def _written(self, key: str, size: int | None, write: Callable[[], Awaitable[Any]]) -> None:
        try:
            await write()
        except FAILURES as error:
            if size is None or await self._size_or_none(key) != size:
                raise _unavailable("write", key, error) from error
        else:
            if size is not None and await self.size(key) != size:
                raise StorageUnavailableError("the store does not have what it took; try again")

    async def _size_or_none(self, key: str) -> int | None:
        with suppress(StorageUnavailableError):
            return await self.size(key)
        return None

    # reading

    async def size(self, key: str) -> int | None:
        """See StoredBytes."""
        try:
            async with asyncio.timeout(self.answer.total_seconds()):
                return int((await obstore.head_async(self.clients.brief, key))["size"])
        except FileNotFoundError:
            return await self._size_by_get(key)
        except FAILURES as error:
            raise _unavailable("head", key, error) from error

    async def _size_by_get(self, key: str) -> int | None:
        """HEAD has no body, so only GET says whether it is the object that is missing or the bucket."""
        try:
            async with asyncio.timeout(self.answer.total_seconds()):
                return int((await obstore.get_async(self.clients.brief, key)).meta["size"])
        except FAILURES as error:
            if _is_missing(error):
                return None
            raise _unavailable("get", key, error) from error

    async def get(self, key: str) -> bytes:
        """See SmallBytes."""
        async with aclosing(self.stream(key)) as pieces:
            return b"".join([piece async for piece in pieces])

    async def begin(self, key: str, start: int, end: int | None) -> tuple[int, AsyncGenerator[bytes, None]]:
        """Bytes of the whole object *key*, and a stream of [start, end): it is known now that the object is there.

        Raises CopySuspectError, StorageUnavailableError. The stream goes on by itself where a connection breaks.
        """
        size, pieces = await self._begin(key, start, end)
        return size, self._going_on(key, start, size if end is None else min(end, size), pieces)

    async def stream(self, key: str, start: int = 0, end: int | None = None) -> AsyncGenerator[bytes, None]:
        """See StoredBytes."""
        size, pieces = await self.begin(key, start, end)
        async with aclosing(pieces) as opened:
            async for piece in opened:
                yield piece
        if end is not None and end > size:
            raise CopySuspectError(key)

    async def _begin(self, key: str, start: int, end: int | None) -> tuple[int, AsyncGenerator[bytes, None]]:
        try:
            async with asyncio.timeout(self.answer.total_seconds()):
                result = await self._ask(key, start, end)
        except FAILURES as error:
            if _is_missing(error):
                raise CopySuspectError(key) from None
            raise _unavailable("get", key, error) from error
        skip = start - result.range[0]
        return int(result.meta["size"]), _pieces(result, skip, None if end is None else end - start)

    async def _ask(self, key: str, start: int, end: int | None) -> "obstore.GetResult":
        if not start and end is None:
            return await obstore.get_async(self.clients.long, key)
        range_: Any = {"offset": start} if end is None else (start, end)
        try:
            return await obstore.get_async(self.clients.long, key, options={"range": range_})
        except BaseError as error:
            if WHOLE_INSTEAD not in str(error):
                raise
            return await obstore.get_async(self.clients.long, key)

    async def _going_on(
        self, key: str, start: int, end: int, pieces: AsyncGenerator[bytes, None]
    ) -> AsyncGenerator[bytes, None]:
        """*pieces*, and where they break off, again from there. Raises CopySuspectError if the object ends early."""
        at, failures = start, 0
        while True:
            try:
                async with aclosing(pieces):
                    while at < end:
                        async with asyncio.timeout(self.answer.total_seconds()):
                            piece = await anext(pieces, b"")
                        if not piece:
                            raise CopySuspectError(key)
                        at, failures = at + len(piece), 0
                        yield piece
                    return
            except FAILURES as error:
                failures += 1
                if failures == ATTEMPTS:
                    raise _unavailable("read", key, error) from error
            await asyncio.sleep(random.uniform(0, BACK_OFF_SECONDS * 2**failures))  # noqa: S311  no secret
            _, pieces = await self._begin(key, at, end)

    @asynccontextmanager
    async def opened(self, key: str) -> AsyncIterator[Path]:
        """See StoredBytes."""
        with tempfile.NamedTemporaryFile(dir=self.scratch, prefix="object.") as file:
            async with aclosing(self.stream(key)) as pieces:
                async for piece in pieces:
                    await asyncio.to_thread(file.write, piece)
            await asyncio.to_thread(file.flush)
            yield Path(file.name)

    async def link(self, key: str) -> str:
        """A URL by which anybody reads *key* for LINK_LIFE."""
        try:
            return await obstore.sign_async(self.clients.brief, "GET", key, LINK_LIFE)
        except FAILURES as error:
            raise _unavailable("sign", key, error) from error

    # keys

    async def copies(self) -> AsyncGenerator[Listed, None]:
        """See StoredKeys."""
        try:
            async for page in obstore.list(self.clients.brief, COPIES, chunk_size=LISTED_AT_ONCE):
                for each in page:
                    yield Listed(each["path"], each["size"], each["last_modified"])
        except FAILURES as error:
            raise _unavailable("list", COPIES, error) from error

    async def delete(self, keys: Sequence[str]) -> None:
        """See StoredKeys."""
        for start in range(0, len(keys), DELETED_AT_ONCE):
            await self._delete(list(keys[start : start + DELETED_AT_ONCE]))

    async def _delete(self, keys: list[str]) -> None:
        try:
            await obstore.delete_async(self.clients.brief, keys)
        except FileNotFoundError as error:
            if not _is_missing(error):
                raise _unavailable("delete", keys[0], error) from error
            if len(keys) > 1:  # which one was missing, and how many of the others are gone, it does not say
                for key in keys:
                    await self._delete([key])
        except FAILURES as error:
            raise _unavailable("delete", keys[0], error) from error


async def _pieces(result: "obstore.GetResult", skip: int, length: int | None) -> AsyncGenerator[bytes, None]:
    """The stream of *result* without its first *skip* bytes, and at most *length* of them."""
    left = length
    async for piece in result.stream(min_chunk_size=PIECE_BYTES):
        if skip >= len(piece):
            skip -= len(piece)
            continue
        kept = bytes(memoryview(piece)[skip:]) if skip else bytes(piece)
        skip = 0
        if left is not None:
            kept = kept[:left]
            left -= len(kept)
        yield kept
        if left == 0:
            return


def _is_missing(error: BaseException) -> bool:
    """Whether the object is not there, though its bucket is."""
    return isinstance(error, FileNotFoundError) and not any(word in str(error) for word in NO_BUCKET)


def _unavailable(action: str, key: str, error: BaseException) -> StorageUnavailableError:
    log.warning("storage.failed", action=action, key=key, reason=_text(error))
    return StorageUnavailableError("the object store does not answer as it should; try again")


def _text(error: BaseException) -> str:
    """The library's account of *error* without its own inner state."""
    return str(error).partition("\n\nDebug source")[0][:500] or type(error).__name__
