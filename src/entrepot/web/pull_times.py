"""When the steps of a pull were reached, of one request in 64: all of them would cost more than they tell."""

from dataclasses import dataclass
from random import getrandbits
from time import monotonic
from typing import Final

from entrepot.runtime.telemetry.metrics import Metrics

SAMPLED_BITS: Final = 6
"""One request in 2 to this power is measured."""


@dataclass(slots=True)
class PullTimes:
    """Moments of one request on the monotonic clock. known: who asks, by a *credential*: token or secret; begun: the
    answer; source: where its bytes come from: memory, disk or object, empty for what is no blob.
    """

    started: float
    known: float = 0.0
    credential: str = ""
    begun: float = 0.0
    source: str = ""


def picked() -> PullTimes | None:
    """Times to be noted, for one request in 64; by chance, for clients ask for one thing after the other in rounds."""
    return None if getrandbits(SAMPLED_BITS) else PullTimes(monotonic())


def measure(metrics: Metrics, operation: str, status: int, times: PullTimes) -> None:
    """Counts what *times* say of a manifest or blob that was answered just now; of refusals nothing."""
    if status not in {200, 206} or not times.known:
        return
    seconds = monotonic() - times.started
    if operation == "manifests":
        metrics.pulled("manifest", "database", seconds)
    elif times.source:
        metrics.pulled("blob_ttfb", times.source, times.begun - times.started)
        metrics.pulled("blob_total", times.source, seconds)
    else:
        return
    metrics.pulled("auth", times.credential, times.known - times.started)
