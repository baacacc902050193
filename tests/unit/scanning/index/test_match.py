import itertools
import json
import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from entrepot.scanning.feeds.read import read_feed
from entrepot.scanning.index.match import match
from entrepot.scanning.model import Advisory, Finding, FindingStatus, Range, Rating, Severity
from entrepot.scanning.versions.pep440 import key as k

DATA = Path(__file__).parents[3] / "data" / "feeds"
UNKNOWN_RANGE = Range(b"", fixed_version="2019-09-12", comparable=False)


def to(version: str, start: str = "") -> Range:
    return Range(k(start) if start else b"", fixed=k(version), fixed_version=version)


def says(id_: str, *ranges: Range, **more: object) -> Advisory:
    return replace(Advisory(id_, "pypi", "demo", ranges), **more)  # type: ignore[arg-type]  # a builder of tests


def found(version: str, *advisories: Advisory) -> tuple[Finding, ...]:
    return match("pypi", "demo", version, advisories)


def only(version: str, *advisories: Advisory) -> Finding:
    (finding,) = found(version, *advisories)
    return finding


@pytest.mark.parametrize(
    ("version", "status"),
    [
        ("0.0.0.dev1", None),
        ("1", FindingStatus.FIXED_AVAILABLE),
        ("1.9", FindingStatus.FIXED_AVAILABLE),
        ("2", None),
        ("3", FindingStatus.AFFECTED),
        ("4", FindingStatus.AFFECTED),
        ("4.0.1", None),
        ("5+local", FindingStatus.AFFECTED),
        ("5", None),
        ("6", None),
        ("7", FindingStatus.AFFECTED),
    ],
)
def test_ranges_end_before_their_fix_and_after_their_last(version: str, status: FindingStatus | None) -> None:
    ranges = (to("2", start="1"), Range(k("3"), last=k("4")), Range(k("7")))
    findings = found(version, says("CVE-2024-0001", *ranges, versions=(k("5+local"),)))

    assert [finding.status for finding in findings] == ([] if status is None else [status])


def test_withdrawn_and_not_affected_records_and_those_of_others_find_nothing() -> None:
    record = says("CVE-2024-0001", Range(b""))
    others = [replace(record, namespace="debian:12"), replace(record, package="other")]

    assert found("1", replace(record, withdrawn=True), replace(record, not_affected=True), *others) == ()
    assert found("x y", replace(record, withdrawn=True), replace(record, not_affected=True), *others) == ()


def test_a_finding_carries_all_names_and_the_nearest_severity() -> None:
    ghsa = says(
        "GHSA-aaaa-bbbb-cccc",
        to("2"),
        aliases=("CVE-2024-0001",),
        ratings=(Rating("cvss:3.1", Severity.HIGH, 7.5), Rating("ghsa", Severity.MEDIUM)),
        summary="from GHSA",
    )
    pysec = says("PYSEC-2024-1", to("2"), aliases=("CVE-2024-0001", "SNYK-1"), summary="from PYSEC")

    assert only("1", pysec, ghsa) == Finding(
        id="CVE-2024-0001",
        aliases=("GHSA-aaaa-bbbb-cccc", "PYSEC-2024-1", "SNYK-1"),
        namespace="pypi",
        package="demo",
        version="1",
        severity=Severity.MEDIUM,
        severity_source="ghsa",
        fixed_version="2",
        status=FindingStatus.FIXED_AVAILABLE,
        advisories=("GHSA-aaaa-bbbb-cccc", "PYSEC-2024-1"),
        summary="from GHSA",
        counted=True,
    )


def test_records_without_a_cve_join_by_aliases_under_the_ghsa_id() -> None:
    records = [
        says("PYSEC-2024-1", to("2"), aliases=("SNYK-1",)),
        says("GHSA-aaaa-bbbb-cccc", to("2"), aliases=("SNYK-1",)),
        says("PYSEC-2024-2", to("2")),
    ]

    assert [(f.id, f.aliases) for f in found("1", *records)] == [
        ("GHSA-aaaa-bbbb-cccc", ("PYSEC-2024-1", "SNYK-1")),
        ("PYSEC-2024-2", ()),
    ]


def test_a_record_without_a_cve_joins_the_one_its_names_lead_to() -> None:
    records = [
        says("GHSA-aaaa-bbbb-cccc", to("2"), aliases=("CVE-2024-0001",)),
        says("PYSEC-2024-1", to("2"), aliases=("GHSA-aaaa-bbbb-cccc",)),
        says("PYSEC-2024-2", to("2"), aliases=("PYSEC-2024-1",)),
    ]

    assert only("1", *records).advisories == ("GHSA-aaaa-bbbb-cccc", "PYSEC-2024-1", "PYSEC-2024-2")


def test_two_cves_never_merge_whatever_their_aliases_say() -> None:
    records = [
        says("CVE-2024-0001", to("2"), aliases=("CVE-2024-0002", "GHSA-aaaa-bbbb-cccc")),
        says("CVE-2024-0002", to("3"), aliases=("CVE-2024-0001", "GHSA-aaaa-bbbb-cccc")),
        says("PYSEC-2024-1", to("4"), aliases=("GHSA-aaaa-bbbb-cccc",)),
        says("GHSA-dddd-eeee-ffff", to("5"), aliases=("CVE-2024-0003", "CVE-2024-0004")),
    ]

    assert [(f.id, f.aliases, f.fixed_version) for f in found("1", *records)] == [
        ("CVE-2024-0001", ("GHSA-aaaa-bbbb-cccc",), "2"),
        ("CVE-2024-0002", ("GHSA-aaaa-bbbb-cccc",), "3"),
        ("CVE-2024-0003", ("GHSA-dddd-eeee-ffff",), "5"),
        ("CVE-2024-0004", ("GHSA-dddd-eeee-ffff",), "5"),
        ("PYSEC-2024-1", ("GHSA-aaaa-bbbb-cccc",), "4"),
    ]


def test_an_erratum_gives_a_finding_per_cve_that_has_no_record_of_its_own() -> None:
    erratum = says("DSA-1-1", to("2"), cves=("CVE-2024-0001", "CVE-2024-0002"), summary="security update")
    own = says("CVE-2024-0001", to("2"), summary="its own")

    assert [(f.id, f.aliases, f.advisories, f.summary) for f in found("1", erratum, own)] == [
        ("CVE-2024-0001", (), ("CVE-2024-0001", "DSA-1-1"), "its own"),
        ("CVE-2024-0002", (), ("DSA-1-1",), "security update"),
    ]


def test_a_cve_s_own_record_decides_against_the_erratum() -> None:
    erratum = says("DSA-1-1", to("2"), cves=("CVE-2024-0001",))

    assert found("1", erratum, says("CVE-2024-0001", to("1"))) == ()
    later = only("2", erratum, says("CVE-2024-0001", to("3")))
    assert (later.fixed_version, later.advisories) == ("3", ("CVE-2024-0001",))
    assert only("1", erratum, says("CVE-2024-0001", to("1"), withdrawn=True)).advisories == ("DSA-1-1",)


def test_an_erratum_without_a_cve_keeps_its_own_id() -> None:
    assert only("1", says("DSA-1-2", to("2"))).id == "DSA-1-2"


def test_a_finding_stands_if_any_record_says_so_and_counts_if_one_does() -> None:
    quiet = says("CVE-2024-0001", to("1"))
    loud = says("GHSA-aaaa-bbbb-cccc", to("3"), aliases=("CVE-2024-0001",), counted=False)

    finding = only("2", quiet, loud)
    assert (finding.advisories, finding.aliases, finding.counted) == (
        ("GHSA-aaaa-bbbb-cccc",),
        finding.advisories,
        False,
    )
    assert only("0.5", quiet, loud).counted


@pytest.mark.parametrize(
    ("version", "ranges", "fixed"),
    [
        ("1.0", [[to("1.2")], [to("1.4")]], "1.4"),
        ("1.0", [[to("1.2"), to("2.3", start="2")]], "1.2"),
        ("2.1", [[to("1.2"), to("2.3", start="2")]], "2.3"),
        ("1.0", [[to("1.2"), to("1.5")]], "1.5"),
        ("1.0", [[to("1.2")], [to("1.3", start="1.2"), to("1.1")]], "1.3"),
        ("1.0", [[to("1.2"), Range(b"")]], "1.2"),
        ("1.0", [[Range(b"", last=k("1.5"))]], ""),
        ("1.0", [[Range(b"", fixed=k("1.5"))]], ""),
        ("1.0", [[UNKNOWN_RANGE]], "2019-09-12"),
        ("1.x", [[to("1.2")], [to("1.4")]], "1.4"),
    ],
)
def test_the_fixed_version_is_the_smallest_that_really_fixes(
    version: str, ranges: list[list[Range]], fixed: str
) -> None:
    records = [says(f"X-{i}", *one, aliases=("CVE-2024-0001",)) for i, one in enumerate(ranges)]

    assert only(version, *records).fixed_version == fixed


@pytest.mark.parametrize(
    ("version", "ranges", "status"),
    [
        ("1.x", [to("2")], FindingStatus.UNKNOWN),
        ("1.x", [Range(k("1"))], FindingStatus.UNKNOWN),
        ("1.x", [Range(b"", last=k("1"))], FindingStatus.UNKNOWN),
        ("1.x", [Range(b"")], FindingStatus.AFFECTED),
        ("1.x", [UNKNOWN_RANGE], FindingStatus.UNKNOWN),
        ("1", [UNKNOWN_RANGE], FindingStatus.UNKNOWN),
        ("1", [Range(k("1"), comparable=False)], FindingStatus.UNKNOWN),
        ("1", [UNKNOWN_RANGE, to("2")], FindingStatus.FIXED_AVAILABLE),
    ],
)
def test_what_can_t_be_compared_is_unknown_and_never_silent(
    version: str, ranges: Sequence[Range], status: FindingStatus
) -> None:
    assert only(version, says("CVE-2024-0001", *ranges)).status is status


def test_a_malformed_version_is_unknown_to_listed_versions_too() -> None:
    assert only("1.x", says("CVE-2024-0001", versions=(k("1"),))).status is FindingStatus.UNKNOWN


def test_below_the_beginning_of_a_range_that_can_t_be_compared_nothing_is_found() -> None:
    assert found("1", says("CVE-2024-0001", Range(k("2"), comparable=False))) == ()


def real(*files: str) -> Callable[[str, str, str], list[Finding]]:
    records = [record for file in files for record in read_feed(DATA / file)[1]]

    def found_in(namespace: str, package: str, version: str) -> list[Finding]:
        mine = [record for record in records if (record.namespace, record.package) == (namespace, package)]
        return list(match(namespace, package, version, mine))

    return found_in


def test_real_debian_records_that_claim_one_another_stay_apart() -> None:
    findings = real("debian-12.jsonl")("debian:12", "h2o", "2.0")

    assert [f.id for f in findings] == ["CVE-2019-9512", "CVE-2019-9514"]


def test_the_real_xorg_erratum_is_attached_where_it_agrees() -> None:
    found_in = real("debian-12.jsonl")
    before = {f.id: (f.fixed_version, f.advisories) for f in found_in("debian:12", "xorg-server", "2:21.1.7-3+deb12u2")}
    between = {f.id: f.advisories for f in found_in("debian:12", "xorg-server", "2:21.1.7-3+deb12u3")}

    assert before == {
        "CVE-2023-6377": ("2:21.1.7-3+deb12u4", ("CVE-2023-6377", "DSA-5576-1")),
        "CVE-2023-6478": ("2:21.1.7-3+deb12u3", ("CVE-2023-6478", "DSA-5576-1")),
    }
    assert between == {"CVE-2023-6377": ("CVE-2023-6377",)}


def test_the_real_pam_pkcs11_erratum_speaks_for_the_cve_that_has_no_record() -> None:
    findings = real("debian-12.jsonl")("debian:12", "pam-pkcs11", "0.6.12-1")

    assert {f.id: f.advisories for f in findings} == {
        "CVE-2025-24032": ("CVE-2025-24032", "DSA-5864-1"),
        "CVE-2025-24531": ("DSA-5864-1",),
    }


def test_two_real_sources_of_python_advisories_agree_in_one_finding_each() -> None:
    findings = real("pypi-ghsa.jsonl", "pypi-pysec.jsonl")("pypi", "jinja2", "2.10")

    assert {f.id: (f.severity, f.fixed_version) for f in findings} == {
        "CVE-2019-10906": (Severity.HIGH, "2.10.1"),
        "CVE-2020-28493": (Severity.MEDIUM, "2.11.3"),
        "CVE-2024-22195": (Severity.MEDIUM, "3.1.3"),
        "CVE-2024-34064": (Severity.MEDIUM, "3.1.4"),
        "CVE-2024-56326": (Severity.MEDIUM, "3.1.5"),
    }


def test_real_alpine_records_of_never_affected_packages_find_nothing() -> None:
    findings = real("alpine-3.15-main.json")("alpine:3.15", "openssl", "1.1.1a-r0")

    assert "CVE-2022-1292" not in {f.id for f in findings}
    assert findings


def test_the_order_of_records_changes_nothing() -> None:
    lines = (DATA / "pypi-ghsa.jsonl").read_text().splitlines() + (DATA / "pypi-pysec.jsonl").read_text().splitlines()
    assert len({json.loads(line)["id"] for line in lines}) == len(lines)
    records = [r for file in ("pypi-ghsa.jsonl", "pypi-pysec.jsonl") for r in read_feed(DATA / file)[1]]
    mine = [record for record in records if record.package == "jinja2"]
    shuffled = random.Random(0).sample(mine, len(mine))  # noqa: S311  # no secret
    clash = [
        says("CVE-2024-0001", to("2"), aliases=("A-1",)),
        says("CVE-2024-0002", to("2"), aliases=("A-1",)),
        says("B-1", to("2"), aliases=("A-1",)),
        says("DSA-1-1", to("3"), cves=("CVE-2024-0002", "CVE-2024-0003")),
    ]

    assert match("pypi", "jinja2", "2.10", shuffled) == match("pypi", "jinja2", "2.10", mine)
    assert len({found("1", *order) for order in itertools.permutations(clash)}) == 1
