"""Jobs of scanning, the events it tells, and what starts them."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, ClassVar, Final

from entrepot.catalog.model import BlobCommitted, ManifestPushed
from entrepot.runtime.events.model import Event
from entrepot.runtime.jobs.model import FEED, LAYER, VERDICT, Job


@dataclass(frozen=True, slots=True)
class ScanLayer(Job):
    """Read the blob *digest*, if it is a layer, and keep its facts."""

    NAME: ClassVar = "scan.layer"
    QUEUE: ClassVar = LAYER
    TIMEOUT: ClassVar = timedelta(minutes=25)

    digest: str


@dataclass(frozen=True, slots=True)
class ScanImage(Job):
    """Put the layers' facts of the image *digest* together and match its packages.

    again: also if that was done before, because what feeds cover has changed.
    """

    NAME: ClassVar = "scan.image"
    QUEUE: ClassVar = VERDICT
    PRIORITY: ClassVar = 3

    digest: str
    again: bool = False


@dataclass(frozen=True, slots=True)
class ApplyFeed(Job):
    """Take the feed file *upload*, found in the folder of incoming feeds, for what *source* says; empty: its own name.

    force: also if it is older than what we have, or much smaller. actor: who brought it.
    """

    NAME: ClassVar = "feed.apply"
    QUEUE: ClassVar = FEED
    TIMEOUT: ClassVar = timedelta(minutes=10)

    upload: str
    source: str
    force: bool
    actor: str


@dataclass(frozen=True, slots=True)
class Rematch(Job):
    """Compare the package versions of every name whose advisories changed."""

    NAME: ClassVar = "scan.reevaluate"
    QUEUE: ClassVar = FEED
    TIMEOUT: ClassVar = timedelta(minutes=10)


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageScanned(Event):
    """The analysis of an image came to an end. status: complete, partial, failed or not_applicable."""

    ACTION: ClassVar = "image.scanned"

    status: str
    reasons: tuple[str, ...]
    packages: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedUploaded(Event):
    """Somebody brought a feed file."""

    ACTION: ClassVar = "feed.uploaded"

    upload: str
    source: str
    bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedApplied(Event):
    """A feed is in force. added, changed, removed: records by package, as against before."""

    ACTION: ClassVar = "feed.applied"

    source: str
    records: int
    added: int
    changed: int
    removed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedRefused(Event):
    """A feed was not taken; the event's reason says why."""

    ACTION: ClassVar = "feed.refused"

    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FindingsChanged(Event):
    """Findings of a package version opened or closed; images: digests that hold it."""

    ACTION: ClassVar = "finding.changed"

    opened: int
    closed: int
    images: tuple[str, ...]

    def detail(self) -> dict[str, Any]:
        """The counts: a thousand digests would drown the log."""
        return {"opened": self.opened, "closed": self.closed, "images": len(self.images)}


def _scan_blob(event: BlobCommitted) -> Iterable[Job]:
    return (ScanLayer(event.digest),)


def _scan_manifest(event: ManifestPushed) -> Iterable[Job]:
    return (ScanImage(event.digest),) if event.kind == "image" else ()


REACTIONS: Final = ((BlobCommitted, _scan_blob), (ManifestPushed, _scan_manifest))
