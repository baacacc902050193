"""What is declared of metrics is what the code that fills them says."""

import re

import pytest

from entrepot.policy.model import Outcome
from entrepot.runtime.jobs.model import CONCURRENCY
from entrepot.runtime.telemetry.families import FAMILIES, FINDINGS, GATES, LIMITS, QUEUES, SCANS, Kind, undeclared
from entrepot.scanning.model import ScanStatus, Severity
from entrepot.web.limits.breaches import BREACHES


def test_values_of_labels_are_those_of_the_code() -> None:
    assert set(QUEUES) == set(CONCURRENCY)
    assert set(LIMITS) == set(BREACHES.values())
    assert set(SCANS.labels[0].values) == set(ScanStatus)
    assert set(FINDINGS.labels[0].values) == set(Severity)
    assert set(GATES.labels[0].values) == set(Outcome)


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
