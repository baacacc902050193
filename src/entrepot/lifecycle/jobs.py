"""Jobs of lifecycle. Each runs in small units and says when there is more to do."""

from dataclasses import dataclass
from datetime import timedelta
from typing import ClassVar

from entrepot.runtime.jobs.model import LIFECYCLE, Job


@dataclass(frozen=True, slots=True)
class Collect(Job):
    """End the trash of operations whose time is over, take away what nothing holds, remove its bytes when due."""

    NAME: ClassVar = "lifecycle.collect"
    QUEUE: ClassVar = LIFECYCLE
    TIMEOUT: ClassVar = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Scrub(Job):
    """Read copies that nobody has verified for long, and mark those that are damaged."""

    NAME: ClassVar = "lifecycle.scrub"
    QUEUE: ClassVar = LIFECYCLE
    TIMEOUT: ClassVar = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class CheckStorage(Job):
    """Compare the store's listing with the rows, and report."""

    NAME: ClassVar = "lifecycle.check_storage"
    QUEUE: ClassVar = LIFECYCLE
    TIMEOUT: ClassVar = timedelta(hours=12)
