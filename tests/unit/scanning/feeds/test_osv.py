import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from entrepot.scanning.feeds.osv import OsvRecord, advisories, content_hash
from entrepot.scanning.index.match import match
from entrepot.scanning.model import Advisory, FindingStatus, Range, Rating, Severity
from entrepot.scanning.versions import deb, pep440

DATA = Path(__file__).parents[3] / "data" / "feeds"
k = pep440.key


def said(document: dict[str, Any]) -> tuple[Advisory, ...]:
    return advisories(msgspec.convert(document, OsvRecord), content_hash(document))


def real(file: str, id_: str) -> tuple[Advisory, ...]:
    for line in (DATA / file).read_text().splitlines():
        if json.loads(line)["id"] == id_:
            return said(json.loads(line))
    raise LookupError(id_)


def entry(*ranges: list[dict[str, str]], kind: str = "ECOSYSTEM", name: str = "demo", **more: object) -> dict[str, Any]:
    listed = [{"type": kind, "events": events} for events in ranges]
    return {"package": {"ecosystem": "PyPI", "name": name}, "ranges": listed, **more}


def ranges_of(*ranges: list[dict[str, str]], **more: Any) -> tuple[Range, ...]:
    (advisory,) = said({"id": "X-1", "affected": [entry(*ranges, **more)]})
    return advisory.ranges


@pytest.mark.parametrize(
    ("events", "ranges"),
    [
        ([{"introduced": "0"}, {"fixed": "2"}], (Range(b"", fixed=k("2"), fixed_version="2"),)),
        ([{"introduced": "1"}], (Range(k("1")),)),
        ([{"fixed": "2"}], (Range(b"", fixed=k("2"), fixed_version="2"),)),
        ([{"introduced": "1"}, {"last_affected": "2"}], (Range(k("1"), last=k("2")),)),
        ([{"introduced": "1"}, {"last_affected": "1"}], (Range(k("1"), last=k("1")),)),
        (
            [{"introduced": "2"}, {"fixed": "2.5"}, {"introduced": "1"}, {"fixed": "1.5"}],
            (Range(k("1"), fixed=k("1.5"), fixed_version="1.5"), Range(k("2"), fixed=k("2.5"), fixed_version="2.5")),
        ),
        ([{"introduced": "1"}, {"fixed": "3"}, {"fixed": "2"}], (Range(k("1"), fixed=k("2"), fixed_version="2"),)),
        ([{"introduced": "1"}, {"introduced": "2"}], (Range(k("1")),)),
        ([{"introduced": "2"}, {"fixed": "2"}], ()),
        (
            [{"introduced": "2"}, {"fixed": "3"}, {"introduced": "1"}, {"fixed": "2"}],
            (Range(k("1"), fixed=k("3"), fixed_version="3"),),
        ),
        ([{"introduced": "0"}, {"limit": "2"}], (Range(b"", fixed=k("2")),)),
        ([{"introduced": "0"}, {"limit": "*"}, {"limit": "2"}], (Range(b""),)),
        ([{"introduced": "0"}, {"limit": "1"}, {"limit": "2"}], (Range(b"", fixed=k("2")),)),
        ([{"introduced": "1"}, {"fixed": "3"}, {"limit": "2"}], (Range(k("1"), fixed=k("2")),)),
        ([{"introduced": "3"}, {"limit": "2"}], ()),
        ([{"introduced": "1"}, {"fixed": "x"}], (Range(k("1"), fixed_version="x", comparable=False),)),
        ([{"introduced": "x"}, {"fixed": "2"}], (Range(b"", comparable=False),)),
        ([], (Range(b"", comparable=False),)),
        ([{"introduced": "0"}, {"fixed": "2"}, {"unheard": "of"}], (Range(b"", fixed=k("2"), fixed_version="2"),)),
    ],
)
def test_events_become_intervals(events: list[dict[str, str]], ranges: tuple[Range, ...]) -> None:
    assert ranges_of(events) == ranges
    assert ranges_of(events[::-1]) == ranges


def test_introduced_0_is_before_every_version() -> None:
    (advisory,) = said(
        {
            "id": "CVE-2024-0001",
            "affected": [
                {
                    "package": {"ecosystem": "Debian:12", "name": "demo"},
                    "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}]}],
                }
            ],
        }
    )

    assert advisory.ranges == (Range(b""),)
    assert deb.key("0~git1") > b""


def test_git_ranges_are_kept_out() -> None:
    commits = [{"introduced": "0"}, {"fixed": "8ba6a1e"}]
    (mixed,) = said({"id": "X-1", "affected": [entry(commits, kind="GIT", versions=["1.0", "1.1"])]})

    assert mixed.ranges == ()
    assert mixed.versions == (k("1.0"), k("1.1"))


def test_a_record_that_names_no_comparable_version_is_unknown_not_clean() -> None:
    (nothing,) = real("pypi-pysec.jsonl", "PYSEC-2022-15")

    assert nothing.ranges == (Range(b"", comparable=False),)
    assert ranges_of([{"introduced": "0"}], kind="GIT") == (Range(b"", comparable=False),)


def test_versions_already_in_a_range_are_not_listed_again_and_malformed_ones_equal_nothing() -> None:
    versions = ["1.0", "1.5", "2.0", "0.1-bulbasaur"]
    (advisory,) = said({"id": "X-1", "affected": [entry([{"introduced": "1.2"}, {"fixed": "2.0"}], versions=versions)]})

    assert advisory.versions == (k("1.0"), k("2.0"))


def test_several_entries_of_a_package_are_one_advisory_under_its_normal_name() -> None:
    document = {
        "id": "X-1",
        "affected": [
            entry([{"introduced": "1"}, {"fixed": "2"}], name="Demo_Package"),
            entry([{"introduced": "3"}, {"fixed": "4"}], name="demo-package"),
            entry([{"introduced": "0"}], name="other"),
            {"package": {"ecosystem": "opam", "name": "demo"}},
            {"ranges": None, "versions": None},
        ],
    }

    assert [(a.package, [r.fixed_version for r in a.ranges]) for a in said(document)] == [
        ("demo-package", ["2", "4"]),
        ("other", [""]),
    ]


def test_the_real_apt_advisory_has_ranges_that_can_t_be_compared() -> None:
    (advisory,) = real("pypi-ghsa.jsonl", "GHSA-pj65-3pf6-c5q4")

    assert {r.fixed_version for r in advisory.ranges if not r.comparable} == {
        "0.8.3ubuntu7.5",
        "0.9.3.5ubuntu3",
        "1.6.5ubuntu0.1",
        "1.9.0ubuntu1.2",
    }


def test_an_erratum_takes_its_cves_from_upstream_else_from_related() -> None:
    (real_one,) = real("debian-12.jsonl", "DSA-5576-1")
    affected = [{"package": {"ecosystem": "Debian:12", "name": "demo"}}]
    ids = {"related": ["CVE-2024-0001", "DLA-1-1"], "affected": affected}
    (by_upstream,) = said({"id": "DSA-1-1", "upstream": ["CVE-2024-0002"], **ids})
    (no_erratum,) = said({"id": "CVE-2024-0003", **ids})
    (ghsa,) = said({"id": "GHSA-aaaa-bbbb-cccc", "aliases": ["CVE-2024-0004"], **ids})

    assert real_one.cves == ("CVE-2023-6377", "CVE-2023-6478")
    assert by_upstream.cves == ("CVE-2024-0002",)
    assert no_erratum.cves == ()
    assert (ghsa.cves, ghsa.aliases) == ((), ("CVE-2024-0004",))


@pytest.mark.parametrize(
    ("id_", "is_erratum"),
    [
        ("ALSA-2024:9625", True),
        ("ALBA-2022:0001", True),
        ("RHSA-2024:1", True),
        ("RLSA-2024:1", True),
        ("USN-6000-1", True),
        ("SUSE-SU-2024:1-1", True),
        ("openSUSE-SU-2024:1-1", True),
        ("GO-2024-2600", False),
        ("ALPINE-1", False),
    ],
)
def test_errata_of_every_vendor_take_their_cves_from_related(id_: str, is_erratum: bool) -> None:
    affected = [{"package": {"ecosystem": "AlmaLinux:9", "name": "demo"}}]
    (advisory,) = said({"id": id_, "related": ["CVE-2024-0001"], "affected": affected})

    assert advisory.cves == (("CVE-2024-0001",) if is_erratum else ())


@pytest.mark.parametrize("id_", ["DEBIAN-CVE-2024-0001", "UBUNTU-CVE-2024-0001"])
def test_a_renamed_cve_record_has_the_cve_as_alias(id_: str) -> None:
    affected = [{"package": {"ecosystem": "Debian:12", "name": "demo"}}]
    (advisory,) = said({"id": id_, "upstream": ["CVE-2024-0001"], "affected": affected})

    assert (advisory.aliases, advisory.cves) == (("CVE-2024-0001",), ())


def test_the_first_word_of_an_erratum_is_its_vendor_s_rating() -> None:
    affected = [{"package": {"ecosystem": "AlmaLinux:9", "name": "squid"}}]
    (important,) = said({"id": "ALSA-2024:9625", "summary": "Important: squid security update", "affected": affected})
    (silent,) = said({"id": "ALSA-2024:9625", "summary": "squid bug fix: none", "affected": affected})
    (other,) = said({"id": "GHSA-aaaa-bbbb-cccc", "summary": "Important: read this", "affected": affected})

    assert important.ratings == (Rating("almalinux", Severity.HIGH),)
    assert silent.ratings == other.ratings == ()


def informational(*words: str | None, **more: object) -> bool:
    """Whether a record is counted whose `affected` entries have *words*, as RustSec writes them."""
    package = {"ecosystem": "crates.io", "name": "demo"}
    entries = [{"package": package, "database_specific": {"informational": word}} for word in words]
    (advisory,) = said({"id": "RUSTSEC-2024-0001", "affected": entries, **more})
    return advisory.counted


def test_what_only_informs_is_shown_and_not_counted() -> None:
    assert [informational(word) for word in ("unmaintained", "notice")] == [False, False]
    assert informational("unmaintained", None)


@pytest.mark.parametrize("word", ["unsound", "a word of tomorrow", None])
def test_an_unsound_crate_counts_like_a_vulnerable_one(word: str | None) -> None:
    assert informational(word)
    assert informational("unmaintained", word)


@pytest.mark.parametrize("word", ["unmaintained", "notice", "unsound"])
def test_what_somebody_rated_is_counted_whatever_it_calls_itself(word: str) -> None:
    vector = {"type": "CVSS_V3", "score": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"}
    package = {"ecosystem": "crates.io", "name": "demo"}
    entry = {"package": package, "database_specific": {"informational": word}, "severity": [vector]}
    (own,) = said({"id": "RUSTSEC-2024-0001", "affected": [entry]})

    assert informational(word, severity=[vector])
    assert own.counted


@pytest.mark.parametrize(
    ("ecosystem", "event", "name", "affected", "unaffected"),
    [
        ("npm", {"fixed": "2.0.0"}, "demo", "2.0.0-rc.1", "2.0.0"),
        ("Go", {"fixed": "1.21.0-rc.2"}, "stdlib", "go1.21rc1", "go1.21rc2"),
        ("Maven", {"fixed": "4.3.0"}, "org.demo:demo", "4.3.0.RC1", "4.3.0.RELEASE"),
        ("RubyGems", {"fixed": "2.0"}, "demo", "2.0.0.rc1", "2.0.0"),
        ("Packagist", {"fixed": "2.0"}, "demo/demo", "2.0.0-RC1", "v2.0.0.0"),
        ("NuGet", {"last_affected": "2.0"}, "demo", "2.0.0.0", "2.0.0.1-alpha"),
        ("AlmaLinux:9", {"fixed": "1:2.0-3.el9"}, "demo", "1:2.0-3~rc.el9", "1:2.0-3.el9_1"),
        ("AlmaLinux:9", {"last_affected": "1:2.0"}, "demo", "1:2.0-99.el9", "1:2.0.1-1.el9"),
    ],
)
def test_a_version_is_matched_by_its_ecosystem_s_order(
    ecosystem: str, event: dict[str, str], name: str, affected: str, unaffected: str
) -> None:
    package = {"ecosystem": ecosystem, "name": name}
    ranges = [{"type": "SEMVER", "events": [{"introduced": "0"}, event]}]
    (advisory,) = said({"id": "X-1", "affected": [{"package": package, "ranges": ranges}]})

    found = {v: match(advisory.namespace, name, v, [advisory]) for v in (affected, unaffected, "no version")}
    assert [f.status for f in found[affected]] == [
        FindingStatus.FIXED_AVAILABLE if "fixed" in event else FindingStatus.AFFECTED
    ]
    assert found[unaffected] == ()
    assert [f.status for f in found["no version"]] == [FindingStatus.UNKNOWN]


@pytest.mark.parametrize(
    ("id_", "sources", "counted"),
    [
        ("CVE-2002-0640", ["debian"], True),
        ("CVE-2010-0928", ["debian"], False),
        ("CVE-2004-2154", ["debian", "cvss:3.1"], True),
        ("CVE-2002-0844", ["cvss:3.1"], True),
        ("CVE-2002-0380", [], True),
    ],
)
def test_a_debian_urgency_is_one_rating_among_others(id_: str, sources: list[str], counted: bool) -> None:
    (advisory,) = real("debian-12.jsonl", id_)

    assert [rating.source for rating in advisory.ratings] == sources
    assert advisory.counted is counted


def test_ghsa_severity_words_and_vectors_are_all_kept() -> None:
    (advisory,) = real("pypi-ghsa.jsonl", "GHSA-232r-66cg-79px")

    assert advisory.ratings[0] == Rating("ghsa", Severity.CRITICAL)
    assert [(r.source, r.score) for r in advisory.ratings[1:]] == [("cvss:3.1", 9.8), ("cvss:4.0", 9.3)]


def test_a_withdrawn_record_says_so() -> None:
    (advisory,) = real("pypi-pysec.jsonl", "PYSEC-2019-144")

    assert advisory.withdrawn


def test_a_touched_date_and_another_order_of_keys_change_no_hash() -> None:
    document = {"id": "X-1", "modified": "2024-01-01T00:00:00Z", "details": "a", "affected": [{"versions": ["1"]}]}
    touched = {name: document[name] for name in reversed(document)} | {"modified": "2025-01-01T00:00:00Z"}

    assert content_hash(touched) == content_hash(document)
    assert content_hash(document | {"details": "b"}) != content_hash(document)
    assert content_hash(document | {"published": "2024-01-01T00:00:00Z"}) != content_hash(document)


def test_a_summary_is_one_short_line_without_anything_invisible() -> None:
    document = {"id": "X-1", "affected": [entry([{"introduced": "0"}])]}
    (hostile,) = said(document | {"details": "  a\u200bb\x1b[31m\n  wrapped \u202eline\n\nsecond paragraph"})
    (long,) = said(document | {"summary": "ä" * 1000})

    assert hostile.summary == "a b [31m wrapped line"
    assert len(long.summary) == 240


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"id": 5},
        {"id": "a b"},
        {"id": ""},
        {"id": "x" * 129},
        {"id": "X-1", "affected": {}},
        {"id": "X-1", "affected": [{"package": {"ecosystem": "PyPI", "name": ""}}]},
        {"id": "X-1", "affected": [{"package": {"ecosystem": "PyPI", "name": "x" * 257}}]},
        {"id": "X-1", "affected": [{"ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": 0}]}]}]},
        {"id": "X-1", "modified": "x" * 65},
    ],
)
def test_a_record_of_another_shape_is_refused(document: dict[str, Any]) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(document, OsvRecord)


def test_vendor_fields_may_have_any_shape() -> None:
    document = {
        "id": "GHSA-aaaa-bbbb-cccc",
        "database_specific": {"severity": ["HIGH"], "urgency": {}},
        "affected": [{"package": {"ecosystem": "Debian:12", "name": "a"}, "ecosystem_specific": {"urgency": 3}}],
    }

    (advisory,) = said(document)

    assert (advisory.ratings, advisory.counted) == ((), True)
