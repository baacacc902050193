"""Metrics of all processes of one server, added up over files in one folder.

No label ever holds a repository, tag, digest, user or address: their number has no bound.
"""

from collections.abc import Callable, Iterator
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.exposition import generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

ROUTES: Final = ("manifests", "blobs", "uploads", "tags", "token", "v2", "api", "ops", "other")
BUCKETS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0)

JobCounts = Callable[[], list[tuple[str, str, int]]]


class Metrics:
    """What one process counts. route: one of ROUTES."""

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

    def answered(self, route: str, method: str, code: int, seconds: float, sent: int) -> None:
        """A request is over."""
        self.requests.labels(route, method, str(code)).inc()
        self.durations.labels(route).observe(seconds)
        self.sent.labels(route).inc(sent)


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


def exposition(folder: str, counts: JobCounts) -> bytes:
    """All metrics in the Prometheus text format. folder: where the processes keep theirs."""
    registry = CollectorRegistry()
    MultiProcessCollector(registry, path=folder)  # type: ignore[no-untyped-call]
    registry.register(_Jobs(counts))
    return generate_latest(registry)
