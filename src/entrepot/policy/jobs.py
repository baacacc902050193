"""Jobs of policy and what starts them."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar, Final

from entrepot.catalog.model import ManifestPushed
from entrepot.policy.model import ModeRequested
from entrepot.runtime.jobs.model import VERDICT, Job
from entrepot.scanning.jobs import FindingsChanged, ImageScanned


@dataclass(frozen=True, slots=True)
class Evaluate(Job):
    """Judge *digests* in every repository that has them, then the indexes that list them."""

    NAME: ClassVar = "policy.evaluate"
    QUEUE: ClassVar = VERDICT
    PRIORITY: ClassVar = 2

    digests: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ApplyMode(Job):
    """Recompute the project's gates in the mode that is wanted, and then put it into force."""

    NAME: ClassVar = "policy.apply_mode"
    QUEUE: ClassVar = VERDICT
    PRIORITY: ClassVar = 1

    project_id: int


def _pushed(event: ManifestPushed) -> Iterable[Job]:
    return (Evaluate((event.digest,)),) if event.kind in {"image", "index"} else ()


def _scanned(event: ImageScanned) -> Iterable[Job]:
    return (Evaluate((event.digest,)),)


def _findings(event: FindingsChanged) -> Iterable[Job]:
    return (Evaluate(event.images),) if event.images else ()


def _mode(event: ModeRequested) -> Iterable[Job]:
    return (ApplyMode(event.project_id),)


REACTIONS: Final = (
    (ManifestPushed, _pushed),
    (ImageScanned, _scanned),
    (FindingsChanged, _findings),
    (ModeRequested, _mode),
)
