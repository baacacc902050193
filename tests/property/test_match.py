"""Matching equals a naive evaluation of the OSV rules with `packaging`'s comparison, record by record."""

from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st
from packaging.version import Version

from entrepot.scanning.feeds.osv import OsvRecord, advisories
from entrepot.scanning.index.match import match
from entrepot.scanning.model import Advisory, FindingStatus

VERSIONS = ["0.dev1", "0", "1a1", "1", "1.0", "1.1", "1.1.post1", "2.dev0", "2", "2.0.1", "10", "1!0"]
MALFORMED = ["0.8.3ubuntu7.5", "x", ""]
CVES = ["CVE-2024-0001", "CVE-2024-0002", "CVE-2024-0003"]
NAMES = [*CVES, "GHSA-aaaa-bbbb-cccc", "PYSEC-2024-1", "PYSEC-2024-2", "OTHER-1"]

version = st.sampled_from(VERSIONS)
bound = version | version | version | st.sampled_from(MALFORMED)
events = st.lists(
    st.one_of(
        st.fixed_dictionaries({"introduced": bound | st.just("0")}),
        st.fixed_dictionaries({"fixed": bound}),
        st.fixed_dictionaries({"last_affected": bound}),
        st.fixed_dictionaries({"limit": version | st.just("*")}),
    ),
    min_size=1,
    max_size=5,
)
entries = st.fixed_dictionaries(
    {"package": st.just({"ecosystem": "PyPI", "name": "demo"})},
    optional={
        "ranges": st.lists(
            st.fixed_dictionaries({"type": st.just("ECOSYSTEM"), "events": events}), min_size=1, max_size=2
        ),
        "versions": st.lists(bound, min_size=1, max_size=3),
    },
)
records = st.lists(
    st.fixed_dictionaries(
        {"id": st.sampled_from(NAMES), "affected": st.lists(entries, min_size=1, max_size=2)},
        optional={
            "aliases": st.lists(st.sampled_from(NAMES), max_size=2),
            "upstream": st.lists(st.sampled_from(CVES), max_size=2),
            "withdrawn": st.just("2024-01-01T00:00:00Z"),
        },
    ),
    max_size=5,
    unique_by=lambda document: str(document["id"]),
)


def stored(documents: list[dict[str, Any]]) -> list[Advisory]:
    return [a for document in documents for a in advisories(msgspec.convert(document, OsvRecord), str(document))]


def is_well_formed(text: str) -> bool:
    return text in VERSIONS


Bound = tuple[str, str]
FROM_THE_FIRST = ("introduced", "0")
NO_LIMIT = ("limit", "*")


def naive_range(installed: Version, listed: list[dict[str, str]]) -> bool | None:
    """The schema's evaluation: walk the events up to the version; None if a bound can't be compared."""
    bounds = [bound for event in listed for bound in event.items()]
    if any(not is_well_formed(text) for name, text in bounds if (name, text) != NO_LIMIT):
        return naive_malformed_range(installed, bounds)
    limits = [text for name, text in bounds if name == "limit"]
    if limits and NO_LIMIT not in bounds and all(installed >= Version(text) for text in limits):
        return False
    affected = FROM_THE_FIRST in bounds or all(name != "introduced" for name, _ in bounds)
    switches = [bound for bound in bounds if bound[0] != "limit" and bound != FROM_THE_FIRST]
    for at in sorted({Version(text) for _, text in switches if Version(text) <= installed}):
        names = {name for name, text in switches if Version(text) == at}
        if len(names & {"introduced", "fixed"}) == 1:
            affected = "introduced" in names
        if "last_affected" in names and installed > at:
            affected = False
    return affected


def naive_malformed_range(installed: Version, bounds: list[Bound]) -> bool | None:
    starts = [text for name, text in bounds if name == "introduced"]
    if not starts or "0" in starts or any(not is_well_formed(text) for text in starts):
        return None
    return None if any(Version(text) <= installed for text in starts) else False


def naive_record(installed: Version, document: dict[str, Any]) -> bool | None:
    answers: list[bool | None] = []
    for entry in document["affected"]:
        if any(is_well_formed(text) and Version(text) == installed for text in entry.get("versions", ())):
            answers.append(True)
        answers += [naive_range(installed, one["events"]) for one in entry.get("ranges", ())]
        if "ranges" not in entry and "versions" not in entry:
            answers.append(None)
    return True if True in answers else None if None in answers else False


@given(records, version)
def test_a_record_is_found_exactly_if_the_naive_rules_find_it(documents: list[dict[str, Any]], installed: str) -> None:
    plain = [{**document, "aliases": [], "upstream": []} for document in documents]
    expected = {d["id"]: naive_record(Version(installed), d) for d in plain if "withdrawn" not in d}

    findings = match("pypi", "demo", installed, stored(plain))

    assert {f.id: f.status is not FindingStatus.UNKNOWN or None for f in findings} == {
        id_: answer for id_, answer in expected.items() if answer is not False
    }


@given(records, version | st.sampled_from(MALFORMED), st.randoms())
def test_no_order_of_records_changes_a_finding_and_no_two_cves_share_one(
    documents: list[dict[str, Any]], installed: str, chance: Any
) -> None:
    advisories_ = stored(documents)
    shuffled = advisories_[:]
    chance.shuffle(shuffled)

    findings = match("pypi", "demo", installed, advisories_)

    assert findings == match("pypi", "demo", installed, shuffled)
    assert len({f.id for f in findings}) == len(findings)
    assert [f for f in findings if any(alias.startswith("CVE-") for alias in f.aliases)] == []


@given(records, version)
def test_no_affecting_record_is_lost_but_errata_that_a_cve_s_record_contradicts(
    documents: list[dict[str, Any]], installed: str
) -> None:
    shown = {id_ for finding in match("pypi", "demo", installed, stored(documents)) for id_ in finding.advisories}

    for document in documents:
        if "withdrawn" in document or naive_record(Version(installed), document) is False:
            continue
        names = {document["id"], *document.get("aliases", ())}
        is_erratum = not any(name in CVES for name in names) and document.get("upstream")
        assert document["id"] in shown or is_erratum


@given(records, version)
def test_a_fixed_version_is_above_the_installed_one(documents: list[dict[str, Any]], installed: str) -> None:
    for document in documents:
        for finding in match("pypi", "demo", installed, stored([{**document, "aliases": [], "upstream": []}])):
            if finding.fixed_version in VERSIONS:
                assert Version(finding.fixed_version) > Version(installed)


@given(records, st.sampled_from(MALFORMED))
def test_a_malformed_version_is_a_finding_of_every_record(documents: list[dict[str, Any]], installed: str) -> None:
    plain = [{**document, "aliases": [], "upstream": []} for document in documents if "withdrawn" not in document]
    saying = {a.id for a in stored(plain) if a.ranges or a.versions}

    assert {f.id for f in match("pypi", "demo", installed, stored(plain))} == saying
