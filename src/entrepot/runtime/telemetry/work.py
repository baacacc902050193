"""What a worker counts: its jobs, what scans and verdicts came to, what the collector took away.

`/metrics` of the web processes beside it shows them; of a worker without any (`--role worker`) nobody asks for them.
"""

from collections.abc import Iterable

from prometheus_client import CollectorRegistry

from entrepot.runtime.telemetry.families import COLLECTED, DECISIONS, FREED, JOB_DURATIONS, NO_RULE, SCAN_DURATIONS
from entrepot.runtime.telemetry.metrics import counter, histogram


class WorkMetrics:
    """What one worker counts."""

    def __init__(self) -> None:
        own = CollectorRegistry()
        self.jobs = histogram(JOB_DURATIONS, own)
        self.scans = histogram(SCAN_DURATIONS, own)
        self.decisions = counter(DECISIONS, own)
        self.removed = counter(COLLECTED, own)
        self.freed = counter(FREED, own)

    def ran(self, job: str, seconds: float, *, well: bool) -> None:
        """A job came to an end, or is to be tried again."""
        self.jobs.labels(job, "done" if well else "failed").observe(seconds)

    def scanned(self, engine: str, status: str, seconds: float) -> None:
        """An *engine* has done its part of a scan."""
        self.scans.labels(engine, status).observe(seconds)

    def judged(self, rules: Iterable[str], mode: str, effect: str) -> None:
        """A digest was judged anew. rules: those that were broken, each once."""
        for rule in set(rules) or {NO_RULE}:
            self.decisions.labels(rule, mode, effect).inc()

    def collected(self, kind: str, number: int) -> None:
        """The collector took away so many of *kind*."""
        self.removed.labels(kind).inc(number)

    def freed_bytes(self, number: int) -> None:
        """The collector removed so many bytes from the store."""
        self.freed.inc(number)
