"""What the rest asks of a store of bytes. Files and object stores both do all of it.

A key is never given twice and its bytes never change: nobody needs a lock, and an old reader meets old bytes or none.
Every call raises StorageUnavailableError where the store does not answer, or not as it should: that says nothing of the
bytes. CopySuspectError says that they are missing, short or unreadable: those are damaged.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Protocol

from entrepot.content.model import Body, Content, Listed, Part, Stored, Upload
from entrepot.oci.digest import Digest


class SmallBytes(Protocol):
    """Keeps what is read and written in one go: facts of layers, manifests."""

    async def put(self, key: str, data: bytes) -> None:
        """The new object *key* with *data*, durable when this returns, all or nothing."""
        ...

    async def get(self, key: str) -> bytes:
        """The object *key*. Raises CopySuspectError: it is not there."""
        ...


class StoredBytes(Protocol):
    """Gives what is stored, whatever its size."""

    async def size(self, key: str) -> int | None:
        """Bytes of the object *key*; None if it is not there."""
        ...

    def stream(self, key: str, start: int = 0, end: int | None = None) -> AsyncGenerator[bytes, None]:
        """The bytes [start, end) of *key*, in pieces of up to about 1 MiB; end None: to the last.

        Raises CopySuspectError: it is not there, or ends early. To leave early, close it.
        """
        ...

    def opened(self, key: str) -> AbstractAsyncContextManager[Path]:
        """The object *key* as a file that may be read until the context ends. Raises CopySuspectError."""
        ...


class StoredKeys(Protocol):
    """Knows which copies there are, and removes them."""

    def copies(self) -> AsyncGenerator[Listed, None]:
        """Every copy, in no order. Late by nature: never the truth, only something to compare it with."""
        ...

    async def delete(self, keys: Sequence[str]) -> None:
        """None of *keys* is there any more, whether it was or not. Some may be gone although this raises."""
        ...


class BlobStore(SmallBytes, StoredBytes, StoredKeys, Protocol):
    """A whole store."""

    async def prepare(self) -> None:
        """What must be there before the first use. Raises InvalidError: the store refuses us, whenever asked."""
        ...


class BlobReader(Protocol):
    """Gives copies to pulls. It is seen that a copy is there, with its length, before a status line goes out."""

    async def look(self, key: str, size: int) -> None:
        """Raises CopySuspectError unless the copy *key* is there with *size* bytes."""
        ...

    async def open(self, digest: str, key: str, size: int, part: tuple[int, int] | None) -> Content:
        """What to send of the copy *key* of *digest*: all its *size* bytes, or the *part* [start, end).

        Raises CopySuspectError.
        """
        ...

    async def redirect(self, key: str, size: int, client: str) -> str | None:
        """A URL from which the *client*, an IP address, fetches the copy *key* itself; None if it is better sent.

        It holds for a few minutes, for anybody. Raises CopySuspectError.
        """
        ...


class BlobWriter(Protocol):
    """Makes small blobs durable."""

    async def put(self, data: bytes, digest: Digest) -> Stored:
        """A copy of the small *data*, whose digest is known to be *digest*."""
        ...

    async def drop(self, stored: Stored) -> None:
        """A copy that got no row is gone again."""
        ...


class FeedWriter(Protocol):
    """Makes a body of any size durable under a key of its own."""

    async def write(self, key: str, body: AsyncIterator[bytes]) -> int:
        """The new object *key* holds all of *body*, durable; its bytes. If *body* raises, nothing is left of it."""
        ...


class UploadWriter(BlobWriter, FeedWriter, Protocol):
    """Gathers the bytes of uploads and turns them into copies.

    *place* is where the bytes of one request go. Whoever calls records it first, so that nothing is ever stored that no
    row knows; it is empty where an upload has one file that every request adds to.
    """

    def place(self) -> str:
        """A place for the body of a new request."""
        ...

    async def append(self, upload: Upload, place: str, body: Body) -> int:
        """Adds *body* behind what *upload* holds; the new length, durable when this returns.

        If it raises, the upload holds what it held before. Raises BodyTooLargeError, UploadUnknownError (its bytes are
        lost), StorageUnavailableError, and what *body* raises.
        """
        ...

    async def finish(self, upload: Upload, place: str, body: Body | None, expected: Digest) -> Stored:
        """Makes *upload*, with *body*, a copy of *expected*, durable, its name too.

        Raises as `append`, and DigestInvalidError: the bytes are others.
        """
        ...

    async def discard(self, upload: str, parts: Sequence[Part]) -> None:
        """The bytes of *upload* are gone, its *parts* too."""
        ...

    async def sweep(self) -> None:
        """Removes what crashes left of uploads that no row knows."""
        ...
