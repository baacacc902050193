"""Whole real feeds, where they lie beside the repository: nothing crashes, and findings are those dpkg would give."""

import os
import random
import subprocess
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

import msgspec
import pytest
import zstandard

from entrepot.scanning.feeds.read import Feed, read_feed
from entrepot.scanning.index.match import match
from entrepot.scanning.model import Advisory, FindingStatus

FEEDS = Path(os.environ.get("ENTREPOT_TEST_FEEDS") or Path(__file__).parents[3] / "shared" / "feeds")
PAIRS = 2_000

pytestmark = pytest.mark.xdist_group("real-feeds")


def read(file: str) -> tuple[Feed, list[Advisory], float]:
    start = time.perf_counter()
    feed, found = read_feed(FEEDS / file)
    advisories = list(found)
    return feed, advisories, time.perf_counter() - start


def by_package(advisories: Sequence[Advisory]) -> Mapping[str, list[Advisory]]:
    sorted_ = defaultdict(list)
    for advisory in advisories:
        sorted_[advisory.package].append(advisory)
    return sorted_


def test_debian_12_is_read_whole_and_fast() -> None:
    feed, advisories, seconds = read("osv/Debian-12.jsonl.zst")
    print(f"\nDebian 12: {feed.records} records, {len(advisories)} advisories in {seconds:.1f} s")

    assert (feed.records, feed.broken, feed.skipped) == (31_332, 0, {})
    assert (len(advisories), sum(not a.counted for a in advisories)) == (33_568, 3_309)
    assert all(r.comparable for a in advisories for r in a.ranges)


@pytest.mark.parametrize(
    ("file", "records", "unknown", "withdrawn"),
    [("osv/PyPI.jsonl.zst", 3_465, 6, 0), ("osv-second/PyPI.jsonl.zst", 2_661, 3, 10)],
)
def test_python_feeds_are_read_whole(file: str, records: int, unknown: int, withdrawn: int) -> None:
    feed, advisories, seconds = read(file)
    print(f"\n{file}: {feed.records} records, {len(advisories)} advisories in {seconds:.1f} s")

    assert (feed.records, feed.broken) == (records, 0)
    assert sum(any(not r.comparable for r in a.ranges) for a in advisories) == unknown
    assert sum(a.withdrawn for a in advisories) == withdrawn


def test_every_secdb_file_is_read_whole() -> None:
    files = sorted((FEEDS / "alpine-secdb").glob("*.json"))
    feeds = [read(str(file.relative_to(FEEDS))) for file in files]
    found = [advisory for _, advisories, _ in feeds for advisory in advisories]
    print(f"\nsecdb: {len(files)} files, {len(found)} advisories in {sum(f[2] for f in feeds):.1f} s")

    assert len(files) == 14
    assert [feed.source for feed, _, _ in feeds if feed.broken] == []
    assert sum(a.not_affected for a in found) == 393
    assert sum(any(not r.comparable for r in a.ranges) for a in found) == 30


@pytest.mark.parametrize(
    ("file", "records", "advisories", "unknown", "withdrawn"),
    [
        ("osv/npm", 3_792, 4_007, 0, 0),
        ("osv/Go", 4_291, 6_060, 0, 19),
        ("osv/Maven", 5_305, 6_084, 0, 0),
        ("osv/RubyGems", 892, 940, 0, 0),
        ("osv/Packagist", 4_348, 4_795, 5, 0),
        ("osv/NuGet", 685, 1_640, 0, 0),
        ("osv/crates.io", 895, 953, 0, 0),
        ("osv/AlmaLinux-9", 1_783, 23_000, 0, 0),
        ("osv-second/crates.io", 1_206, 1_206, 0, 13),
    ],
)
def test_feeds_of_the_other_ecosystems_are_read_whole(
    file: str, records: int, advisories: int, unknown: int, withdrawn: int
) -> None:
    feed, found, seconds = read(f"{file}.jsonl.zst")
    ranges = [one for advisory in found for one in advisory.ranges]
    comparable = sum(one.comparable for one in ranges)
    print(f"\n{file}: {feed.records} records, {len(found)} advisories, {comparable} of {len(ranges)} ranges comparable")
    print(f"in {seconds:.1f} s")

    assert (feed.records, feed.broken, feed.skipped) == (records, 0, {})
    assert len(found) == advisories
    assert sum(any(not one.comparable for one in advisory.ranges) for advisory in found) == unknown
    assert sum(advisory.withdrawn for advisory in found) == withdrawn


def test_nearly_every_erratum_of_almalinux_gives_its_cves_and_a_rating() -> None:
    _, found, _ = read("osv/AlmaLinux-9.jsonl.zst")

    assert len({a.id for a in found if a.cves}) == 1_776
    assert {r.source for a in found for r in a.ratings} == {"almalinux"}


@cache
def is_lower(left: str, right: str) -> bool:
    """`dpkg --compare-versions`, which warns where it would not take the version."""
    done = subprocess.run(["dpkg", "--compare-versions", left, "lt", right], check=False, stderr=subprocess.DEVNULL)
    return done.returncode == 0


def test_findings_of_random_debian_packages_are_those_dpkg_gives() -> None:
    documents = read_documents("osv/Debian-12.jsonl.zst")
    _, advisories, _ = read("osv/Debian-12.jsonl.zst")
    packages = by_package(advisories)
    chance = random.Random(12)  # noqa: S311  # no secret
    names = sorted(packages)
    wrong = []
    start = time.perf_counter()
    for _ in range(PAIRS):
        name = chance.choice(names)
        version = chance.choice(sorted(candidates(documents[name])))
        expected = {id_ for id_, fixes, listed in documents[name] if version in listed or is_affected(version, fixes)}
        findings = match("debian:12", name, version, packages[name])
        shown = {id_ for finding in findings for id_ in finding.advisories}
        # An erratum is shown where the record of its CVE says the same, so compare what CVE records say.
        if {i for i in shown if i.startswith("CVE-")} != {i for i in expected if i.startswith("CVE-")}:
            wrong.append((name, version))
        if any(finding.status is FindingStatus.UNKNOWN for finding in findings) or not shown <= expected:
            wrong.append((name, version))
        if not all(is_lower(version, finding.fixed_version) for finding in findings if finding.fixed_version):
            wrong.append((name, version))
    seconds = time.perf_counter() - start
    print(f"\n{PAIRS} pairs of {len(names)} packages, {is_lower.cache_info().misses} comparisons in {seconds:.1f} s")

    assert wrong == []


Said = tuple[str, list[str], list[str]]


def read_documents(file: str) -> Mapping[str, list[Said]]:
    """Package -> (id, fixed versions, listed versions), taken from the JSON by the plainest way."""
    said = defaultdict(list)
    for line in zstandard.ZstdDecompressor().stream_reader((FEEDS / file).read_bytes()).read().splitlines():
        record = msgspec.json.decode(line)
        for entry in record["affected"]:
            fixes = [event["fixed"] for one in entry["ranges"] for event in one["events"] if "fixed" in event]
            said[entry["package"]["name"]].append((record["id"], fixes, entry.get("versions", [])))
    return said


def is_affected(version: str, fixes: list[str]) -> bool:
    return not fixes or is_lower(version, fixes[0])


def candidates(said: Sequence[Said]) -> set[str]:
    """Versions around the bounds: the fixes, what comes just before and after them, and some listed ones."""
    found = {"0~", "1.0-1", "1:0.1-1"}
    for _, fixes, listed in said:
        found.update(listed[:3])
        for fix in fixes:
            found.update((fix, f"{fix}~", f"{fix}~bpo12+1", f"{fix}+b1", f"{fix}.1"))
    return found
