"""An environment of old wheels: its packages are importlib.metadata's, its findings those that `packaging` gives.

The findings are those of a second implementation over both real sources, GHSA and PYSEC: the OSV schema's own algorithm
for "is this version affected", versions by `packaging`, and the rules on names from scanning.md, section 7.
"""

import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pytest
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from tests.real.cli import entrepot_json
from tests.real.clients import Skopeo
from tests.real.feeds import EXTRACTS, WHOLE, read_raw
from tests.real.layout import Layout, layer_from_tree, write_layout
from tests.real.server import Credential, Server, new_server, running
from tests.real.systems import OldWheels

pytestmark = pytest.mark.xdist_group("real-python")

GHSA, PYSEC = EXTRACTS / "pypi-ghsa-wheels.jsonl.zst", EXTRACTS / "pypi-pysec-wheels.jsonl.zst"
FEEDS = {"extracts": {"ghsa": GHSA, "pysec": PYSEC}}
if (WHOLE / "osv/PyPI.jsonl.zst").is_file():
    FEEDS["whole"] = {"ghsa": WHOLE / "osv/PyPI.jsonl.zst", "pysec": WHOLE / "osv-second/PyPI.jsonl.zst"}
PLACE = "opt/app"
STEP = "COPY --from=build /opt/app /opt/app"
SEVERITIES = {"LOW": "low", "MODERATE": "medium", "HIGH": "high", "CRITICAL": "critical"}
Finding = tuple[str, str, str]
Entries = Sequence[Mapping[str, Any]]
About = tuple[Mapping[str, Any], Entries]
Said = tuple[Version | None, bool, str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Loaded:
    """A server with feeds in force, their records, and a robot that pushes."""

    server: Server
    records: Sequence[Mapping[str, Any]]
    pusher: Credential


@dataclass(frozen=True, slots=True)
class Pushed:
    """The pushed image: where, and how its scan ended."""

    server: Server
    scan: Any

    def rows(self, part: str) -> list[Any]:
        return self.server.items(f"/repositories/wheels/app/-/artifacts/old/{part}")


@pytest.fixture(scope="module", params=FEEDS)
def loaded(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Loaded]:
    files = FEEDS[request.param]
    with running(new_server(tmp_path_factory.mktemp("python") / "server")) as server:
        for source, file in files.items():
            server.import_feed(source, file)
        server.create_project("wheels")
        records = [record for file in files.values() for record in read_raw(file).records]
        yield Loaded(server, records, server.create_robot("wheels", "ci"))


@pytest.fixture(scope="module")
def layout(tmp_path_factory: pytest.TempPathFactory, old_wheels_venv: OldWheels) -> Layout:
    folder = tmp_path_factory.mktemp("wheels")
    layer = layer_from_tree(folder / "layer", old_wheels_venv.folder, PLACE, STEP)
    return write_layout(folder / "image", {"linux/amd64": [layer]})


@pytest.fixture
def pushed(loaded: Loaded, skopeo: Skopeo, layout: Layout) -> Pushed:
    server = loaded.server
    client = skopeo.signed_in(server.host, loaded.pusher.login, loaded.pusher.secret)
    client.copy(layout.source, f"docker://{server.host}/wheels/app:old")
    return Pushed(server, server.wait_for_scan("wheels/app", "old"))


def test_packages_are_those_that_importlib_metadata_finds(pushed: Pushed, old_wheels_venv: OldWheels) -> None:
    listed = pushed.rows("packages")
    by_cli = entrepot_json(pushed.server, "artifact", "packages", "wheels/app:old")
    inside = old_wheels_venv.site_packages.relative_to(old_wheels_venv.folder)
    print(f"\n{len(listed)} distributions")

    assert by_cli == listed
    assert len(listed) == len(old_wheels_venv.packages())
    assert {(row["name"], row["version"]) for row in listed} == old_wheels_venv.packages()
    assert {(row["source_name"], row["source_version"]) for row in listed} == names(old_wheels_venv)
    assert {(row["namespace"], row["layer"], row["step"]) for row in listed} == {("pypi", 0, STEP)}
    assert all(row["path"].startswith(f"{PLACE}/{inside}/") for row in listed)


def test_findings_are_those_that_packaging_gives(loaded: Loaded, pushed: Pushed, old_wheels_venv: OldWheels) -> None:
    rows = pushed.rows("findings")
    found = {
        (row["id"], row["package"], row["version"]): (
            parse(row["fixed_version"]),
            row["counted"],
            row["status"],
            tuple(row["advisories"]),
        )
        for row in rows
    }
    begin = time.perf_counter()
    expected = brute_force(loaded.records, names(old_wheels_venv))
    print(f"\n{len(expected)} findings, brute force in {time.perf_counter() - begin:.1f} s")

    assert len(found) == len(rows)
    assert found == expected
    assert (pushed.scan["status"], pushed.scan["reasons"]) == ("complete", [])


def test_the_severity_is_the_word_of_the_github_advisory(loaded: Loaded, pushed: Pushed) -> None:
    words = {
        record["id"]: SEVERITIES[record["database_specific"]["severity"]]
        for record in loaded.records
        if record["id"].startswith("GHSA-")
    }
    rated = [(row, {words[id_] for id_ in row["advisories"] if id_ in words}) for row in pushed.rows("findings")]

    assert [row["id"] for row, said in rated if said and row["severity"] not in said] == []
    assert {row["severity_source"] for row, said in rated if said} == {"ghsa"}


def names(wheels: OldWheels) -> set[tuple[str, str]]:
    return {(canonicalize_name(name), version) for name, version in wheels.packages()}


def brute_force(records: Sequence[Mapping[str, Any]], installed: set[tuple[str, str]]) -> dict[Finding, Said]:
    """Finding → (fixed version, counted, status, the records that say so)."""
    found: dict[Finding, Said] = {}
    for package, text in installed:
        version = Version(text)
        about = [(record, entries_of(record, package)) for record in records if not record.get("withdrawn")]
        for id_, group in groups([(record, entries) for record, entries in about if entries]).items():
            saying = [(record["id"], entries) for record, entries in group if is_affected(version, entries)]
            if saying:
                fix = first_fix(version, [entries for _, entries in saying])
                status = "fixed_available" if fix else "affected"
                found[id_, package, text] = (fix, True, status, tuple(sorted(name for name, _ in saying)))
    return found


def entries_of(record: Mapping[str, Any], package: str) -> Entries:
    return [entry for entry in record["affected"] if canonicalize_name(entry["package"]["name"]) == package]


def groups(about: Sequence[About]) -> dict[str, list[About]]:
    """Records by the CVE among their names; one without a CVE stands alone."""
    found: dict[str, list[About]] = defaultdict(list)
    for record, entries in about:
        names = record.get("aliases", [])
        cves = [name for name in names if name.startswith("CVE-")]
        assert cves or not names, "other names, but no CVE: the rules say more than this does"
        assert all(record["id"] not in other.get("aliases", []) for other, _ in about if not cves)
        for id_ in cves or [record["id"]]:
            found[id_].append((record, entries))
    return found


def is_affected(version: Version, entries: Entries) -> bool:
    """The evaluation algorithm of the OSV schema, for one package."""
    for entry in entries:
        if version in {parsed for text in entry.get("versions", []) if (parsed := parse(text)) is not None}:
            return True
        for one in entry.get("ranges", []):
            if one["type"] != "GIT" and is_in(version, [event for pair in one["events"] for event in pair.items()]):
                return True
    return False


def is_in(version: Version, events: Sequence[tuple[str, str]]) -> bool:
    affected = False
    # "0" is before every version, also before 0.dev1.
    for name, text in sorted(events, key=lambda event: (event[1] != "0", Version(event[1]))):
        if name == "introduced" and (text == "0" or version >= Version(text)):
            affected = True
        elif (name == "fixed" and version >= Version(text)) or (name == "last_affected" and version > Version(text)):
            affected = False
    return affected


def first_fix(version: Version, saying: Sequence[Entries]) -> Version | None:
    """The lowest fix above *version* that nobody who says "affected" calls affected, else the lowest fix above."""
    fixes = {
        Version(event["fixed"])
        for entries in saying
        for entry in entries
        for one in entry.get("ranges", [])
        for event in one["events"]
        if one["type"] != "GIT" and "fixed" in event
    }
    above = sorted(fix for fix in fixes if fix > version)
    agreed = [fix for fix in above if not any(is_affected(fix, entries) for entries in saying)]
    return next(iter(agreed or above), None)


def parse(text: str) -> Version | None:
    try:
        return Version(text)
    except InvalidVersion:
        return None  # `0.1-bulbasaur`: no installed version equals it
