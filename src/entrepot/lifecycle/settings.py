"""Settings of how things end: section `lifecycle`."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated

from pydantic import AfterValidator, Field

from entrepot.runtime.quantities import MIB, Bytes, Duration


def _positive(duration: timedelta) -> timedelta:
    if not duration:
        raise ValueError("write a duration above zero")
    return duration


Time = Annotated[Duration, AfterValidator(_positive)]
Number = Annotated[int, Field(ge=1, le=100_000)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Collector:
    """How the collector works."""

    every: Annotated[Time, "How often the collector looks for what is due."] = timedelta(minutes=1)
    batch: Annotated[Number, "Most links or manifests it takes away in one transaction."] = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Scrub:
    """How stored bytes are read again."""

    every: Annotated[Time, "How often every stored copy is read and compared with its digest."] = timedelta(days=30)
    rate_bytes: Annotated[Bytes, "Most bytes the scrubber reads in a second."] = 20 * MIB


@dataclass(frozen=True, slots=True, kw_only=True)
class Lifecycle:
    """How long what is deleted can come back, and what else the worker does for what is stored."""

    trash: Annotated[Duration, "How long a deletion can be undone."] = timedelta(days=7)
    backup_retention: Annotated[Duration, "How long backups are kept: bytes are not removed before; at least 24h."] = (
        timedelta(0)
    )
    check: Annotated[Time, "How often the store's listing is compared with the database."] = timedelta(days=1)
    gc: Collector = Collector()
    scrub: Scrub = Scrub()
