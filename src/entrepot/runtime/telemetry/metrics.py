"""Metrics of all processes of one server, added up over files in one folder. Which there are: `families.py`."""

import asyncio
from collections.abc import Iterable, Iterator
from time import monotonic
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.exposition import generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

from entrepot.runtime.telemetry.families import (
    BREACHES,
    CACHE,
    CACHE_BYTES,
    DURATIONS,
    LOOP_LAG,
    REQUESTS,
    SENT,
    SYNC_FAILURES,
    Family,
    Reading,
)

LAG_EVERY_SECONDS: Final = 1.0


class Metrics:
    """What one web process counts."""

    def __init__(self) -> None:
        own = CollectorRegistry()
        self.requests = _counter(REQUESTS, own)
        self.durations = _histogram(DURATIONS, own)
        self.sent = _counter(SENT, own)
        self._counters: dict[tuple[str, str, int], tuple[Counter, Histogram, Counter]] = {}

        self.breaches = _counter(BREACHES, own)
        self.loop_lag = _histogram(LOOP_LAG, own)

    def breached(self, limit: str) -> None:
        """A request was over a limit, and refused."""
        self.breaches.labels(limit).inc()

    def answered(self, route: str, method: str, code: int, seconds: float, sent: int) -> None:
        """A request is over."""
        counters = self._counters.get((route, method, code))
        if counters is None:  # looking three of them up takes longer than counting
            counters = (
                self.requests.labels(route, method, str(code)),
                self.durations.labels(route),
                self.sent.labels(route),
            )
            self._counters[route, method, code] = counters
        requests, durations, bytes_sent = counters
        requests.inc()
        durations.observe(seconds)
        bytes_sent.inc(sent)

    async def watch_loop(self) -> None:
        """Looks each second how late the event loop is, for ever."""
        while True:
            due = monotonic() + LAG_EVERY_SECONDS
            await asyncio.sleep(LAG_EVERY_SECONDS)
            self.loop_lag.observe(max(monotonic() - due, 0.0))


class StorageMetrics:
    """What one process counts of its store and its memory."""

    def __init__(self) -> None:
        own = CollectorRegistry()
        self.cache = _counter(CACHE, own)
        self.cache_bytes = Gauge(CACHE_BYTES.name, CACHE_BYTES.help, registry=own, multiprocess_mode="livesum")
        self.sync_failures = _counter(SYNC_FAILURES, own)
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
    registry = CollectorRegistry()
    MultiProcessCollector(registry, path=folder)  # type: ignore[no-untyped-call]
    registry.register(_Read(readings))
    return generate_latest(registry)


def _counter(family: Family, registry: CollectorRegistry) -> Counter:
    return Counter(family.name, family.help, family.label_names, registry=registry)


def _histogram(family: Family, registry: CollectorRegistry) -> Histogram:
    return Histogram(family.name, family.help, family.label_names, buckets=family.buckets, registry=registry)
