"""Metrics of all processes of one server, added up over files in one folder.

No label ever holds a repository, tag, digest, user or address: their number has no bound.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.exposition import generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

ROUTES: Final = ("manifests", "blobs", "uploads", "tags", "token", "v2", "api", "ops", "other")
LIMITS: Final = (
    "request_line",
    "headers",
    "framing",
    "body_size",
    "body_rate",
    "send",
    "in_flight",
    "passwords",
    "log_in",
    "other",
)
BUCKETS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0)

OVERDUE: Final = "overdue"
JobCounts = Callable[[], list[tuple[str, str, int]]]


class Metrics:
    """What one process counts. route: one of ROUTES; limit: one of LIMITS."""

    def __init__(self) -> None:
        own = CollectorRegistry()
        self.requests = Counter(
            "entrepot_http_requests", "Requests answered.", ("route", "method", "code"), registry=own
        )
        self.durations = Histogram(
            "entrepot_http_request_duration_seconds",
            "Time from a request's headers to the end of its answer.",
            ("route",),
            buckets=BUCKETS,
            registry=own,
        )
        self.sent = Counter("entrepot_http_sent_bytes", "Bytes of bodies sent.", ("route",), registry=own)
        self._counters: dict[tuple[str, str, int], tuple[Counter, Histogram, Counter]] = {}

        self.breaches = Counter("entrepot_limit_breaches", "Requests over a limit.", ("limit",), registry=own)

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


class StorageMetrics:
    """What one process counts of its store and its memory."""

    def __init__(self) -> None:
        own = CollectorRegistry()
        self.cache = Counter(
            "entrepot_cache_requests", "Questions to the memory for small blobs.", ("hit",), registry=own
        )
        self.cache_bytes = Gauge(
            "entrepot_cache_bytes", "Bytes of small blobs in memory.", registry=own, multiprocess_mode="livesum"
        )
        self.sync_failures = Counter(
            "entrepot_storage_sync_failures",
            "Files that a disk did not keep; after 3 a process writes no more.",
            registry=own,
        )
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


class _Jobs:
    """How many jobs there are, read at each scrape."""

    def __init__(self, counts: JobCounts) -> None:
        self._counts = counts

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """The gauge of jobs by queue and state."""
        gauge = GaugeMetricFamily("entrepot_jobs", "Jobs by queue and state.", labels=("queue", "state"))
        for queue, state, count in self._counts():
            gauge.add_metric((queue, state), count)
        yield gauge


class _Storage:
    """What is stored, as counted at most a few minutes ago."""

    def __init__(self, numbers: Mapping[str, int]) -> None:
        self._numbers = numbers

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """The gauges of stored bytes by class, and of late reviews."""
        stored = GaugeMetricFamily("entrepot_storage_bytes", "Bytes stored, by class.", labels=("class",))
        for name, number in self._numbers.items():
            if name != OVERDUE:
                stored.add_metric((name,), number)
        yield stored
        late = GaugeMetricFamily("entrepot_review_overdue_seconds", "How late the oldest review of the collector is.")
        late.add_metric((), self._numbers.get(OVERDUE, 0))
        yield late


def exposition(folder: str, counts: JobCounts, storage: Mapping[str, int]) -> bytes:
    """All metrics in the Prometheus text format. folder: where the processes keep theirs; storage: bytes by class."""
    registry = CollectorRegistry()
    MultiProcessCollector(registry, path=folder)  # type: ignore[no-untyped-call]
    registry.register(_Jobs(counts))
    registry.register(_Storage(storage))
    return generate_latest(registry)
