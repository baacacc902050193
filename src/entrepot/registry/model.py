"""The registry: what clients do over the distribution protocol, without HTTP.

A push makes bytes durable, then rows, then answers. A pull is one SQL statement, which brings the gate row along;
`visibility.py` says who sees what.
"""

from dataclasses import dataclass
from typing import Final

from entrepot.oci.digest import Digest

MAX_TAGS_PAGE: Final = 10_000
MAX_REPOSITORIES_PAGE: Final = 1_000
MAX_REFERRERS_PAGE: Final = 1_000
MAX_PAGE_BYTES: Final = 7 << 19
"""3.5 MiB: clients read lists into memory, and some stop at 4 MiB. Full pages of tags and names are smaller."""
MAX_TAGS_PUSHED: Final = 100
ANY: Final = "*"


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
    """A blob to serve: its length in bytes, and the key of the copy that holds it."""

    digest: str
    size: int
    key: str


@dataclass(frozen=True, slots=True)
class UploadState:
    """An open upload as the client sees it."""

    id: str
    offset: int
    epoch: int


@dataclass(frozen=True, slots=True)
class ReferrersPage:
    """Descriptors of referrers, each as JSON; *cursor*: where the next page begins, empty after the last."""

    entries: tuple[bytes, ...]
    cursor: str


@dataclass(frozen=True, slots=True)
class Condition:
    """What must be true of a reference for a PUT to happen: digests, or ANY; None: nothing was asked.

    match: the reference names one of them. none_match: it names none of them. Spec: RFC 9110, 13.1.
    """

    match: frozenset[str] | None = None
    none_match: frozenset[str] | None = None

    def holds(self, current: str | None, wanted: str) -> bool:
        """Whether *wanted* may replace *current* (None: the reference names nothing).

        What has happened already holds, so that a client may repeat a PUT whose answer it lost (13.1.1).
        """
        if self.match is not None and current != wanted and not _names(current, self.match):
            return False
        return self.none_match is None or not _names(current, self.none_match)


def _names(current: str | None, listed: frozenset[str]) -> bool:
    return current is not None and not listed.isdisjoint({current, ANY})


UNCONDITIONAL: Final = Condition()


@dataclass(frozen=True, slots=True)
class ManifestPush:
    """A manifest PUT: under which reference (tag or its own digest), and under which further tags."""

    reference: str
    body: bytes
    content_type: str
    tags: tuple[str, ...] = ()
    condition: Condition = UNCONDITIONAL


@dataclass(frozen=True, slots=True)
class PushedManifest:
    """What a manifest PUT answers. tags: the further ones, which all name it now; warning: empty if there is none."""

    digest: Digest
    subject: Digest | None
    tags: tuple[str, ...]
    warning: str
