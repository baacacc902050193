"""Content: bytes by digest. A blob is one digest; a copy is one stored instance of it, under a key never reused.

Bytes first, rows after: bytes without a row are garbage for the collector, a row without bytes is a broken pull.
"""

from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

from entrepot.oci.digest import Digest

Source = Literal["memory", "disk", "object"]
FACTS: Final = "facts"
INCOMING: Final = "incoming"
"""How keys of what is no copy begin: of what is known of layers and images, and of feeds on their way."""


@dataclass(frozen=True, slots=True)
class Stored:
    """Bytes that are durable under *key* but known to no row yet; *size* in bytes."""

    digest: Digest
    size: int
    key: str


@dataclass(frozen=True, slots=True)
class Listed:
    """A copy as the store lists it: its key, its bytes, and when it was written."""

    key: str
    size: int
    written_at: datetime


@dataclass(frozen=True, slots=True)
class Part:
    """What one request brought to an upload, under a *key* of its own: *size* bytes, 0 as long as it is not durable."""

    key: str
    size: int


@dataclass(frozen=True, slots=True)
class Upload:
    """An open upload: the bytes it holds durably (*offset*) and how often it moved on (*epoch*).

    algorithm: of the digest that will probably be named at its end. parts: the durable ones, in order, where the store
    keeps the bytes of each request apart.
    """

    id: str
    repo_id: int
    account_id: int
    offset: int
    epoch: int
    algorithm: str = "sha256"
    parts: tuple[Part, ...] = ()


@dataclass(frozen=True, slots=True)
class Body:
    """The body of a request: its *pieces* as they come, and its *length* in bytes if that was announced."""

    pieces: AsyncIterator[bytes]
    length: int | None = None


@dataclass(frozen=True, slots=True)
class Content:
    """What to send: bytes in memory (*data*), or *pieces* that must be closed. source: where they come from."""

    data: bytes | memoryview | None = None
    pieces: AsyncGenerator[bytes, None] | None = None
    source: Source = "memory"
