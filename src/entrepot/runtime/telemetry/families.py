"""Every metric there is, with the values its labels can have: what is counted, the page and the dashboard come from it.

Invariant: no label ever holds a repository, tag, digest, user or address, whose number has no bound. It holds because
a label's values are listed beside it, or their number is; `tests/real/metrics.py` looks at every server that tests
stop.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from http import HTTPStatus
from typing import Final

ROUTES: Final = ("manifests", "blobs", "uploads", "tags", "referrers", "token", "v2", "api", "pages", "ops")
METHODS: Final = ("GET", "HEAD", "PUT", "POST", "PATCH", "DELETE", "other")
CLIENT_LEFT: Final = "499"
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
QUEUES: Final = ("verdict", "layer", "feed", "lifecycle")
JOB_NAMES: Final = (
    "scan.layer",
    "scan.image",
    "scan.reevaluate",
    "policy.evaluate",
    "policy.apply_mode",
    "feed.apply",
    "lifecycle.collect",
    "lifecycle.scrub",
    "lifecycle.check_storage",
)
NO_RULE: Final = "none"
MOST_FEEDS: Final = 100
SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.5, 1.0, 2.5, 10.0, 60.0)
WORK_SECONDS: Final = (0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0, 30.0, 60.0, 300.0, 600.0, 1500.0)
LAG_SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0)


class Kind(StrEnum):
    """What a family's numbers are. GAUGE: measured at each scrape, the same from every replica where it is of rows."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


@dataclass(frozen=True, slots=True)
class Label:
    """A label. values: all it can have; none: names that people chose, at most *most* of them."""

    name: str
    values: tuple[str, ...] = ()
    most: int = 0

    def allows(self, value: str) -> bool:
        """Whether the label may have *value*."""
        return bool(self.most) or value in self.values


@dataclass(frozen=True, slots=True)
class Family:
    """A metric with all its series. name: as it is scraped, of a histogram without `_bucket` and the like.

    buckets: upper bounds of a histogram, in seconds; the last one, infinity, is left out.
    """

    name: str
    kind: Kind
    help: str
    labels: tuple[Label, ...] = ()
    buckets: tuple[float, ...] = ()

    @property
    def label_names(self) -> tuple[str, ...]:
        """The names of its labels, in order."""
        return tuple(label.name for label in self.labels)


@dataclass(frozen=True, slots=True)
class Reading:
    """One value of a gauge, measured for a scrape. labels: values, in the family's order."""

    family: Family
    value: float
    labels: tuple[str, ...] = ()


ROUTE: Final = Label("route", ROUTES)
METHOD: Final = Label("method", METHODS)
CODE: Final = Label("code", (*(str(status.value) for status in HTTPStatus), CLIENT_LEFT))
QUEUE: Final = Label("queue", QUEUES)
PHASE: Final = Label("phase", ("auth", "manifest", "blob_ttfb", "blob_total", "begin", "chunk", "finish"))
STATE: Final = Label("state", ("waiting", "running", "done", "failed"))
STATUS: Final = Label("status", ("queued", "analysing", "complete", "partial", "failed", "not_applicable"))
OUTCOMES: Final = ("pass", "warn", "block", "pending", "error")

REQUESTS: Final = Family(
    "entrepot_http_requests_total",
    Kind.COUNTER,
    "requests answered; code 499: the client left first",
    (ROUTE, METHOD, CODE),
)
DURATIONS: Final = Family(
    "entrepot_http_request_duration_seconds",
    Kind.HISTOGRAM,
    "from a request's headers to the end of its answer",
    (ROUTE,),
    SECONDS,
)
PULLS: Final = Family(
    "entrepot_pull_duration_seconds",
    Kind.HISTOGRAM,
    "of one request in 64, until who asks is known, a manifest or a blob is answered, or the answer with a blob begins",
    (PHASE, Label("source", ("token", "secret", "database", "memory", "disk", "object"))),
    SECONDS,
)
PUSHES: Final = Family(
    "entrepot_push_duration_seconds",
    Kind.HISTOGRAM,
    "from the headers of what brings a blob or a manifest, and is taken, to the end of the answer",
    (PHASE,),
    SECONDS,
)
TOKENS: Final = Family(
    "entrepot_tokens_total",
    Kind.COUNTER,
    "registry tokens asked for: issued with `all` that was asked or with it `cut`, or refused",
    (Label("result", ("issued", "refused")), Label("reason", ("all", "cut", "credentials", "scope", "limit", "other"))),
)
SENT: Final = Family("entrepot_http_sent_bytes_total", Kind.COUNTER, "bytes of bodies sent", (ROUTE,))
BREACHES: Final = Family(
    "entrepot_limit_breaches_total", Kind.COUNTER, "requests refused for a limit", (Label("limit", LIMITS),)
)
LOOP_LAG: Final = Family(
    "entrepot_event_loop_lag_seconds",
    Kind.HISTOGRAM,
    "how late a web process was, each second, at what it wanted to do then",
    (),
    LAG_SECONDS,
)
CACHE: Final = Family(
    "entrepot_cache_requests_total",
    Kind.COUNTER,
    "questions to the memory for small blobs, and whether it had them",
    (Label("hit", ("true", "false")),),
)
CACHE_BYTES: Final = Family("entrepot_cache_bytes", Kind.GAUGE, "bytes of small blobs in memory now")
SYNC_FAILURES: Final = Family(
    "entrepot_storage_sync_failures_total",
    Kind.COUNTER,
    "files that a disk did not keep; after 3 of them a process writes no more until it is restarted",
)
JOBS: Final = Family(
    "entrepot_jobs",
    Kind.GAUGE,
    "jobs there are now; failed ones are kept for 30 days",
    (QUEUE, STATE),
)
JOBS_OLDEST: Final = Family(
    "entrepot_jobs_oldest_seconds", Kind.GAUGE, "how long the oldest waiting job has waited; 0: none waits", (QUEUE,)
)
JOB_DURATIONS: Final = Family(
    "entrepot_job_duration_seconds",
    Kind.HISTOGRAM,
    "each time that a job ran; `failed`: it ends with an error, or is cancelled",
    (Label("job", JOB_NAMES), STATE),
    WORK_SECONDS,
)
SCAN_DURATIONS: Final = Family(
    "entrepot_scan_duration_seconds",
    Kind.HISTOGRAM,
    "until the `analyser` has read a layer, or the `matcher` laid those of an image together and matched its packages",
    (Label("engine", ("analyser", "matcher")), STATUS),
    WORK_SECONDS,
)
SCANS: Final = Family(
    "entrepot_scans",
    Kind.GAUGE,
    "images by how far their analysis is",
    (STATUS,),
)
FINDINGS: Final = Family(
    "entrepot_findings",
    Kind.GAUGE,
    "open findings, each once per package version, however many images hold that; up to 5 minutes old",
    (
        Label("severity", ("unknown", "negligible", "low", "medium", "high", "critical")),
        Label("fixable", ("true", "false")),
    ),
)
GATES: Final = Family(
    "entrepot_gates",
    Kind.GAUGE,
    "digests in repositories by what a pull of them meets; up to 5 minutes old",
    (Label("outcome", OUTCOMES),),
)
DECISIONS: Final = Family(
    "entrepot_policy_decisions_total",
    Kind.COUNTER,
    "digests judged anew, by each rule that was broken, and what a pull in such a project meets since",
    (
        Label("rule", ("critical", "high-fixable", "scan", NO_RULE)),
        Label("mode", ("monitor", "warn", "enforce")),
        Label("effect", OUTCOMES),
    ),
)
FEED_AGE: Final = Family(
    "entrepot_feed_age_seconds", Kind.GAUGE, "since a feed was imported", (Label("feed", most=MOST_FEEDS),)
)
STORAGE: Final = Family(
    "entrepot_storage_bytes",
    Kind.GAUGE,
    "bytes stored: `physical` = `live` + `trash` + `reclaimable`; `logical` before sharing; up to 5 minutes old",
    (Label("class", ("physical", "live", "trash", "reclaimable", "logical", "uploading")),),
)
REVIEW_OVERDUE: Final = Family(
    "entrepot_review_overdue_seconds", Kind.GAUGE, "how late the collector's oldest review is"
)
COLLECTED: Final = Family(
    "entrepot_gc_removed_total",
    Kind.COUNTER,
    "what the collector took away; `keys` are copies in the store",
    (Label("kind", ("manifests", "links", "blobs", "keys")),),
)
FREED: Final = Family("entrepot_gc_freed_bytes_total", Kind.COUNTER, "bytes that the collector removed from the store")
PROMOTIONS: Final = Family("entrepot_promotions_waiting", Kind.GAUGE, "promotions that wait for an approval")
PROMOTIONS_OLDEST: Final = Family(
    "entrepot_promotions_oldest_seconds",
    Kind.GAUGE,
    "how long the oldest promotion has waited for an approval; 0: none",
)
SPOOL_OLDEST: Final = Family(
    "entrepot_audit_spool_oldest_seconds",
    Kind.GAUGE,
    "how long the oldest pull or sign-in of this machine waits for its place in the audit log; 0: none waits",
)
SPOOL_DAMAGED: Final = Family(
    "entrepot_audit_damaged_files", Kind.GAUGE, "spool files that the disk has hurt, kept to be looked at"
)
KEY_AGE: Final = Family(
    "entrepot_key_age_seconds", Kind.GAUGE, "since a key of the registry was made", (Label("key", ("token", "hmac")),)
)
CONNECTIONS: Final = Family(
    "entrepot_database_connections",
    Kind.GAUGE,
    "connections in use by web processes, looked at each second; pulls have others",
    (Label("use", ("read", "write")),),
)
DATABASE_UP: Final = Family(
    "entrepot_database_up", Kind.GAUGE, "1: the database answered this scrape; 0: what is counted from rows is left out"
)
BUILD: Final = Family(
    "entrepot_build_info", Kind.GAUGE, "always 1; the version that answered", (Label("version", most=1),)
)
FAMILIES: Final = (
    REQUESTS,
    DURATIONS,
    PULLS,
    PUSHES,
    TOKENS,
    SENT,
    BREACHES,
    LOOP_LAG,
    CACHE,
    CACHE_BYTES,
    SYNC_FAILURES,
    JOBS,
    JOBS_OLDEST,
    JOB_DURATIONS,
    SCAN_DURATIONS,
    SCANS,
    FINDINGS,
    GATES,
    DECISIONS,
    FEED_AGE,
    STORAGE,
    REVIEW_OVERDUE,
    COLLECTED,
    FREED,
    PROMOTIONS,
    PROMOTIONS_OLDEST,
    SPOOL_OLDEST,
    SPOOL_DAMAGED,
    KEY_AGE,
    CONNECTIONS,
    DATABASE_UP,
    BUILD,
)
"""Every metric, in the order of the page and the dashboard."""


def undeclared(name: str, labels: Iterable[tuple[str, str]]) -> list[str]:
    """What is wrong with a series: its metric or one of its labels is not declared, or a value of one."""
    family = next((each for each in FAMILIES if name in _series(each)), None)
    if family is None:
        return [f"{name} is no metric"]
    known = {label.name: label for label in family.labels}
    if family.kind is Kind.HISTOGRAM:
        known["le"] = Label("le", (*map(str, family.buckets), "+Inf"))
    given = dict(labels)
    missing = [f"{name} has no label {label}" for label in known if label not in given and label != "le"]
    return missing + [
        f"{name} has {label}={value!r}"
        for label, value in given.items()
        if label not in known or not known[label].allows(value)
    ]


def _series(family: Family) -> tuple[str, ...]:
    if family.kind is Kind.HISTOGRAM:
        return tuple(f"{family.name}{end}" for end in ("_bucket", "_count", "_sum"))
    return (family.name,)
