"""Metrics of all processes of one server, added up over files in one folder. Which there are: `families.py`."""

import asyncio
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from http import HTTPStatus
from pathlib import Path
from time import monotonic
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.exposition import generate_latest
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

from entrepot.runtime.telemetry.families import (
    BREACHES,
    CACHE,
    CACHE_BYTES,
    CONNECTIONS,
    DURATIONS,
    LOOP_LAG,
    PULLS,
    PUSHES,
    REQUESTS,
    SENT,
    SYNC_FAILURES,
    TOKENS,
    Family,
    Reading,
)

LAG_EVERY_SECONDS: Final = 1.0
PUSH_PHASES: Final[Mapping[tuple[str, str, int], str]] = {
    ("uploads", "POST", HTTPStatus.ACCEPTED): "begin",
    ("uploads", "PATCH", HTTPStatus.ACCEPTED): "chunk",
    ("uploads", "PUT", HTTPStatus.CREATED): "finish",
    ("manifests", "PUT", HTTPStatus.CREATED): "manifest",
}
"""A POST that is the whole upload, or a mount, is no phase of one."""

LIVE: Final = "gauge_live*_*.db"
"""How prometheus_client calls the files of gauges that end with their process."""


class Metrics:
    """What one web process counts."""

    def __init__(self) -> None:
        own = CollectorRegistry()
        self.requests = counter(REQUESTS, own)
        self.durations = histogram(DURATIONS, own)
        self.sent = counter(SENT, own)
        self.pulls = histogram(PULLS, own)
        self.pushes = histogram(PUSHES, own)
        self._counters: dict[tuple[str, str, int], tuple[Counter, Histogram, Counter, Histogram | None]] = {}
        self.breaches = counter(BREACHES, own)
        self.loop_lag = histogram(LOOP_LAG, own)
        self.connections = _live(CONNECTIONS, own)

    def breached(self, limit: str) -> None:
        """A request was over a limit, and refused."""
        self.breaches.labels(limit).inc()

    def answered(self, route: str, method: str, code: int, seconds: float, sent: int) -> None:
        """A request is over."""
        counters = self._counters.get((route, method, code))
        if counters is None:  # looking three of them up takes longer than counting
            phase = PUSH_PHASES.get((route, method, code))
            counters = (
                self.requests.labels(route, method, str(code)),
                self.durations.labels(route),
                self.sent.labels(route),
                self.pushes.labels(phase) if phase else None,
            )
            self._counters[route, method, code] = counters
        requests, durations, bytes_sent, pushes = counters
        requests.inc()
        durations.observe(seconds)
        bytes_sent.inc(sent)
        if pushes is not None:
            pushes.observe(seconds)

    def pulled(self, phase: str, source: str, seconds: float) -> None:
        """A pull that was picked to be measured got as far as *phase*."""
        self.pulls.labels(phase, source).observe(seconds)

    async def watch(self, connections: Callable[[], Mapping[str, int]]) -> None:
        """Looks each second how late the event loop is, and how many *connections* are in use, for ever."""
        while True:
            for use, number in connections().items():
                self.connections.labels(use).set(number)
            due = monotonic() + LAG_EVERY_SECONDS
            await asyncio.sleep(LAG_EVERY_SECONDS)
            self.loop_lag.observe(max(monotonic() - due, 0.0))


class TokenMetrics:
    """What one web process counts of registry tokens."""

    def __init__(self) -> None:
        self.tokens = counter(TOKENS, CollectorRegistry())

    def issued(self, *, cut: bool) -> None:
        """A token was given out. cut: for less than was asked."""
        self.tokens.labels("issued", "cut" if cut else "all").inc()

    def refused(self, reason: str) -> None:
        """None was given out."""
        self.tokens.labels("refused", reason).inc()


class StorageMetrics:
    """What one process counts of its store and its memory."""

    def __init__(self) -> None:
        own = CollectorRegistry()
        self.cache = counter(CACHE, own)
        self.cache_bytes = _live(CACHE_BYTES, own)
        self.sync_failures = counter(SYNC_FAILURES, own)
        self._hit, self._miss = self.cache.labels("true"), self.cache.labels("false")

    def asked(self, hit: bool) -> None:
        """The memory had a blob, or not."""
        (self._hit if hit else self._miss).inc()

    def cached(self, size: int) -> None:
        """*size* bytes are in memory now."""
        self.cache_bytes.set(size)

    def sync_failed(self) -> None:
        """A disk did not keep what it took."""
        self.sync_failures.inc()


class _Read:
    """Gauges that were measured for this scrape."""

    def __init__(self, readings: Iterable[Reading]) -> None:
        self._readings = readings

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """A gauge for each family that was read."""
        gauges: dict[str, GaugeMetricFamily] = {}
        for reading in self._readings:
            family = reading.family
            if family.name not in gauges:
                gauges[family.name] = GaugeMetricFamily(family.name, family.help, labels=family.label_names)
            gauges[family.name].add_metric(reading.labels, reading.value)
        yield from gauges.values()


def exposition(folder: str, readings: Iterable[Reading]) -> bytes:
    """All metrics in the Prometheus text format. folder: where the processes keep theirs."""
    _forget_ended(folder)
    registry = CollectorRegistry()
    MultiProcessCollector(registry, path=folder)  # type: ignore[no-untyped-call]
    registry.register(_Read(readings))
    return generate_latest(registry)


def _forget_ended(folder: str) -> None:
    """What processes that have ended, killed ones too, held at their end is not there any more."""
    for pid in {int(path.stem.rpartition("_")[2]) for path in Path(folder).glob(LIVE)}:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            with suppress(FileNotFoundError):  # another process was asked at the same time
                mark_process_dead(pid, folder)  # type: ignore[no-untyped-call]


def counter(family: Family, registry: CollectorRegistry) -> Counter:
    """The counter of *family* in this process."""
    return Counter(family.name, family.help, family.label_names, registry=registry)


def _live(family: Family, registry: CollectorRegistry) -> Gauge:
    """A gauge of which each process has its own, to be added up while they live."""
    return Gauge(family.name, family.help, family.label_names, registry=registry, multiprocess_mode="livesum")


def histogram(family: Family, registry: CollectorRegistry) -> Histogram:
    """The histogram of *family* in this process."""
    return Histogram(family.name, family.help, family.label_names, buckets=family.buckets, registry=registry)
