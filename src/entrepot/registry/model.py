"""The registry: what clients do over the distribution protocol, without HTTP.

A push makes bytes durable, then rows, then answers. A pull is one SQL statement, which brings the gate row along;
`visibility.py` says who sees what.
"""

from dataclasses import dataclass
from typing import Final

from entrepot.oci.digest import Digest

MAX_TAGS_PAGE: Final = 10_000


@dataclass(frozen=True, slots=True)
class ManifestAnswer:
    """A manifest to serve: its bytes exactly; *warning*: what the client should hear, empty if nothing."""

    digest: str
    media_type: str
    size: int
    body: bytes
    warning: str


@dataclass(frozen=True, slots=True)
class BlobAnswer:
    """A blob to serve: the file that holds it and its length in bytes."""

    digest: str
    size: int
    key: str
    path: str


@dataclass(frozen=True, slots=True)
class UploadState:
    """An open upload as the client sees it."""

    id: str
    offset: int
    epoch: int


@dataclass(frozen=True, slots=True)
class PushedManifest:
    """What a manifest PUT answers."""

    digest: Digest
    subject: Digest | None
