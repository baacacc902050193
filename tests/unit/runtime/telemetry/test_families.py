"""What is declared of metrics is what the code that fills them says."""

import re
from typing import get_args

import pytest

from entrepot.content.model import Source
from entrepot.lifecycle.collect import Collected
from entrepot.lifecycle.jobs import CheckStorage, Collect, Scrub
from entrepot.policy.jobs import ApplyMode, Evaluate
from entrepot.policy.model import BASELINE, SCAN, Mode, Outcome
from entrepot.runtime.jobs.model import CONCURRENCY
from entrepot.runtime.telemetry.families import (
    COLLECTED,
    DECISIONS,
    FAMILIES,
    FINDINGS,
    GATES,
    JOB_NAMES,
    LIMITS,
    NO_RULE,
    PHASE,
    PULLS,
    QUEUES,
    SCANS,
    TOKENS,
    Kind,
    undeclared,
)
from entrepot.runtime.telemetry.metrics import PUSH_PHASES
from entrepot.scanning.jobs import ApplyFeed, Rematch, ScanImage, ScanLayer
from entrepot.scanning.model import ScanStatus, Severity
from entrepot.web.limits.breaches import BREACHES
from entrepot.web.v2.token import REASONS

JOBS = (ScanLayer, ScanImage, Rematch, Evaluate, ApplyMode, ApplyFeed, Collect, Scrub, CheckStorage)


def test_values_of_labels_are_those_of_the_code() -> None:
    assert set(QUEUES) == set(CONCURRENCY)
    assert set(LIMITS) == set(BREACHES.values())
    assert set(SCANS.labels[0].values) == set(ScanStatus)
    assert set(FINDINGS.labels[0].values) == set(Severity)
    assert set(GATES.labels[0].values) == set(Outcome)
    assert set(JOB_NAMES) == {job.NAME for job in JOBS}
    assert [set(label.values) for label in DECISIONS.labels] == [
        {*(limit.id for limit in BASELINE.limits), SCAN, NO_RULE},
        set(Mode),
        set(Outcome),
    ]
    assert set(COLLECTED.labels[0].values) < set(Collected.__slots__)
    assert set(TOKENS.labels[1].values) == {"all", "cut", *REASONS.values()}
    assert set(PULLS.labels[1].values) == {"token", "secret", "database", *get_args(Source)}
    assert set(PUSH_PHASES.values()) < set(PHASE.values)


def test_names_say_what_they_count_and_in_which_unit() -> None:
    assert len({family.name for family in FAMILIES}) == len(FAMILIES)
    for family in FAMILIES:
        assert re.fullmatch(r"entrepot_[a-z]+(_[a-z]+)*", family.name)
        assert family.name.endswith("_total") == (family.kind is Kind.COUNTER)
        assert (family.kind is Kind.HISTOGRAM) == bool(family.buckets)
        assert list(family.buckets) == sorted(family.buckets)


def test_no_label_is_a_name_of_something_without_a_bound() -> None:
    labels = {label.name: label for family in FAMILIES for label in family.labels}

    assert labels.keys().isdisjoint({"repository", "tag", "digest", "account", "user", "address", "project", "path"})
    assert all(bool(label.values) != bool(label.most) for label in labels.values())


@pytest.mark.parametrize(
    ("name", "labels", "reason"),
    [
        ("entrepot_http_requests_total", {"route": "blobs", "method": "GET", "code": "200"}, ""),
        ("entrepot_http_request_duration_seconds_bucket", {"route": "blobs", "le": "0.2"}, ""),
        ("entrepot_feed_age_seconds", {"feed": "whatever"}, ""),
        ("entrepot_http_requests_total", {"route": "shop/web", "method": "GET", "code": "200"}, "route='shop/web'"),
        ("entrepot_http_requests_total", {"route": "blobs", "method": "GET", "code": "299"}, "code='299'"),
        ("entrepot_http_requests_total", {"route": "blobs", "method": "GET"}, "no label code"),
        ("entrepot_http_requests_total", {"route": "v2", "method": "GET", "code": "200", "user": "a"}, "user='a'"),
        ("entrepot_http_request_duration_seconds_bucket", {"route": "blobs", "le": "0.3"}, "le='0.3'"),
        ("entrepot_http_request_duration_seconds", {"route": "blobs"}, "no metric"),
        ("python_info", {}, "no metric"),
    ],
)
def test_a_series_that_is_not_declared_is_told_of(name: str, labels: dict[str, str], reason: str) -> None:
    found = "; ".join(undeclared(name, labels.items()))

    assert (reason in found) if reason else found == ""
