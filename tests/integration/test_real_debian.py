"""A Debian 12 made in this run: it comes back as it was pushed, with dpkg's packages and dpkg's findings.

The findings are those of a second implementation, the plainest that the documented rules allow: raw records in, `dpkg
--compare-versions` for each comparison, (id, source package, version) out.
"""

import functools
import hashlib
import json
import re
import subprocess
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from tests.real.cli import entrepot_json
from tests.real.clients import Podman, Skopeo
from tests.real.feeds import EXTRACTS, RawFeed, read_raw, variants, write_raw
from tests.real.layout import Layout, layer_from_files, write_layout
from tests.real.server import Credential, Server, new_server, running
from tests.real.systems import STEP, Rootfs

pytestmark = pytest.mark.xdist_group("real-debian")

EXTRACT = "debian-12-minbase.jsonl.zst"
FEEDS = variants(EXTRACT, "osv/Debian-12.jsonl.zst")
STATUS = "var/lib/dpkg/status"
AGED = "COPY status /var/lib/dpkg/status"
Finding = tuple[str, str, str]
Said = tuple[str, bool]


def test_a_debian_system_comes_back_as_it_was_pushed(
    shared_server: Server, skopeo: Skopeo, podman: Podman, debian_rootfs: Rootfs, tmp_path: Path
) -> None:
    layout = write_layout(tmp_path / "pushed", {"linux/amd64": [debian_rootfs.layer]})
    shared_server.create_project("debian-trip")
    pusher = shared_server.create_robot("debian-trip", "ci")
    viewer = shared_server.create_robot("debian-trip", "reader", "viewer")
    image = f"{shared_server.host}/debian-trip/base:12"

    skopeo.signed_in(shared_server.host, pusher.login, pusher.secret).copy(layout.source, f"docker://{image}")
    reader = skopeo.signed_in(shared_server.host, viewer.login, viewer.secret)
    reader.copy(f"docker://{image}", f"oci:{tmp_path / 'pulled'}:it")
    podman = podman.signed_in(shared_server.host, viewer.login, viewer.secret)
    podman.pull(image)

    assert f"sha256:{hashlib.sha256(reader.manifest(f'docker://{image}')).hexdigest()}" == layout.digest
    assert podman.digest(image) == layout.digest
    assert blobs(tmp_path / "pulled") == blobs(layout.folder)
    assert json.loads((tmp_path / "pulled/index.json").read_text())["manifests"][0]["digest"] == layout.digest


def blobs(layout: Path) -> dict[str, str]:
    """File name → digest of the content, of each blob of an OCI layout."""
    files = (layout / "blobs/sha256").iterdir()
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


@dataclass(frozen=True, slots=True)
class Loaded:
    """A server with a feed in force, a robot that pushes, and what the feed's records say."""

    server: Server
    pusher: Credential
    records: Sequence[Mapping[str, Any]]


@pytest.fixture(scope="module", params=[*FEEDS, "errata"])
def loaded(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Loaded]:
    """`errata`: the extract without its CVE records, so that the DSAs alone decide."""
    folder = tmp_path_factory.mktemp("debian")
    file = FEEDS[request.param][0] if request.param in FEEDS else errata_alone(folder / "errata.jsonl")
    with running(new_server(folder / "server")) as server:
        begin = time.perf_counter()
        server.import_feed("", file)
        print(f"\nfeed {request.param}: in force after {time.perf_counter() - begin:.2f} s")
        server.create_project("debian")
        yield Loaded(server, server.create_robot("debian", "ci"), read_raw(file).records)


def errata_alone(target: Path) -> Path:
    feed = read_raw(EXTRACTS / EXTRACT)
    kept = [record for record in feed.records if not record["id"].startswith("CVE-")]
    return write_raw(target, RawFeed(feed.header, kept))


@dataclass(frozen=True, slots=True)
class Pushed:
    """A pushed image whose scan is over, and what dpkg-query lists for its database."""

    server: Server
    reference: str
    scan: Any
    packages: frozenset[tuple[str, str, str, str, str]]

    def rows(self, part: str) -> list[Any]:
        return self.server.items(f"/repositories/debian/base/-/artifacts/{self.reference}/{part}")

    def findings(self) -> dict[Finding, Said]:
        rows = self.rows("findings")
        found = {(row["id"], row["package"], row["version"]): (row["fixed_version"], row["counted"]) for row in rows}
        assert len(found) == len(rows)
        return found


@dataclass(frozen=True, slots=True)
class Image:
    """An image to push under *tag*, and the system it holds."""

    tag: str
    layout: Layout
    rootfs: Rootfs


@pytest.fixture(scope="module")
def images(debian_rootfs: Rootfs, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Image]:
    """`fresh`: as mmdebstrap made it. `aged`: under a second layer, where what advisories speak of has old versions."""
    folder = tmp_path_factory.mktemp("images")
    status = aged_status((debian_rootfs.admin_folder / "status").read_text(), old_versions())
    (folder / "dpkg").mkdir()
    (folder / "dpkg/status").write_text(status)
    layer = layer_from_files(folder / "layer", {STATUS: status.encode()}, AGED)
    fresh = write_layout(folder / "fresh", {"linux/amd64": [debian_rootfs.layer]})
    aged = write_layout(folder / "aged", {"linux/amd64": [debian_rootfs.layer, layer]})
    return {
        "fresh": Image("fresh", fresh, debian_rootfs),
        "aged": Image("aged", aged, replace(debian_rootfs, admin_folder=folder / "dpkg")),
    }


def old_versions() -> dict[str, str]:
    """The oldest version of each source that a record lists."""
    old: dict[str, str] = {}
    for record in read_raw(EXTRACTS / EXTRACT).records:
        for entry in record["affected"]:
            for version in entry.get("versions", [])[:1]:
                before = old.setdefault(entry["package"]["name"], version)
                old[entry["package"]["name"]] = version if is_lower(version, before) else before
    return old


@pytest.fixture
def fresh(loaded: Loaded, skopeo: Skopeo, images: Mapping[str, Image]) -> Pushed:
    return push(loaded, skopeo, images["fresh"])


@pytest.fixture
def aged(loaded: Loaded, skopeo: Skopeo, images: Mapping[str, Image]) -> Pushed:
    return push(loaded, skopeo, images["aged"])


def push(loaded: Loaded, skopeo: Skopeo, image: Image) -> Pushed:
    server, robot = loaded.server, loaded.pusher
    client = skopeo.signed_in(server.host, robot.login, robot.secret)
    client.copy(image.layout.source, f"docker://{server.host}/debian/base:{image.tag}")
    return Pushed(server, image.tag, server.wait_for_scan("debian/base", image.tag), image.rootfs.packages())


def aged_status(status: str, versions: Mapping[str, str]) -> str:
    """dpkg's *status* file with the version of each source in *versions* replaced."""
    paragraphs = []
    for paragraph in status.strip().split("\n\n"):
        fields = dict(line.split(": ", 1) for line in paragraph.splitlines() if re.match(r"(Package|Source): ", line))
        source = fields.get("Source", fields["Package"]).split()[0]
        lines = paragraph.splitlines()
        if source in versions:
            new = {"Version": versions[source], "Source": source}
            names = [line.partition(":")[0] for line in lines]
            lines = [f"{name}: {new[name]}" if name in new else line for name, line in zip(names, lines, strict=True)]
        paragraphs.append("\n".join(lines))
    return "\n\n".join(paragraphs) + "\n"


def test_packages_are_those_that_dpkg_query_lists(fresh: Pushed) -> None:
    listed = fresh.rows("packages")
    by_cli = entrepot_json(fresh.server, "artifact", "packages", f"debian/base:{fresh.reference}")
    print(f"\n{len(listed)} packages, {len({row['source_name'] for row in listed})} sources")

    assert by_cli == listed
    assert len(listed) == len(fresh.packages)
    assert {packages_row(row) for row in listed} == fresh.packages
    assert {(row["ecosystem"], row["namespace"], row["layer"], row["step"]) for row in listed} == {
        ("deb", "debian:12", 0, STEP)
    }


def test_each_package_belongs_to_the_layer_that_brought_its_version(fresh: Pushed, aged: Pushed) -> None:
    listed = aged.rows("packages")

    assert {packages_row(row) for row in listed} == aged.packages
    assert {row["name"] for row in listed if row["layer"] == 0} == {
        row[0] for row in aged.packages if row[:3] in {before[:3] for before in fresh.packages}
    }
    assert {(row["layer"], row["step"]) for row in listed} == {(0, STEP), (1, AGED)}


def packages_row(row: Mapping[str, str]) -> tuple[str, str, str, str, str]:
    return (row["name"], row["version"], row["arch"], row["source_name"], row["source_version"])


@pytest.mark.parametrize("image", ["fresh", "aged"])
def test_findings_are_those_that_dpkg_gives(loaded: Loaded, image: str, request: pytest.FixtureRequest) -> None:
    pushed: Pushed = request.getfixturevalue(image)
    found = pushed.findings()
    begin = time.perf_counter()
    expected = brute_force(loaded.records, {(row[3], row[4]) for row in pushed.packages})
    fixable = sum(bool(fix) for fix, _ in expected.values())
    uncounted = sum(not counted for _, counted in expected.values())
    seconds = time.perf_counter() - begin
    print(f"\n{image}: {len(expected)} findings, {fixable} with a fix, {uncounted} not counted, in {seconds:.1f} s")

    assert found == expected
    assert (pushed.scan["status"], pushed.scan["reasons"]) == ("complete", [])


def brute_force(records: Sequence[Mapping[str, Any]], sources: set[tuple[str, str]]) -> dict[Finding, Said]:
    """Finding → (fixed version, whether it counts). The record of a CVE decides; an erratum stands for CVEs without."""
    entries = defaultdict(list)
    for record in records:
        for entry in record["affected"]:
            entries[entry["package"]["name"]].append((record, entry))
    found: dict[Finding, Said] = {}
    for source, version in sources:
        decided = {record["id"] for record, _ in entries[source]}
        for record, entry in entries[source]:
            is_affected, fix = affected(entry, version)
            if is_affected and not record.get("withdrawn"):
                for id_ in ids(record) - (decided - {record["id"]}):
                    assert (id_, source, version) not in found, "two records decide: the rules say more than this does"
                    counted = entry.get("ecosystem_specific", {}).get("urgency") != "unimportant"
                    found[id_, source, version] = (fix, counted)
    return found


def ids(record: Mapping[str, Any]) -> set[str]:
    """The vulnerabilities that *record* speaks of: a CVE's record of itself, an erratum of the CVEs it names."""
    if record["id"].startswith("CVE-"):
        return {record["id"]}
    named = {name for name in record.get("upstream") or record.get("related", []) if name.startswith("CVE-")}
    return named or {record["id"]}


def affected(entry: Mapping[str, Any], version: str) -> tuple[bool, str]:
    """Whether *entry* names *version*, and the version that fixes it, if one above it does."""
    fixes = []
    is_affected = version in entry.get("versions", [])
    for one in entry["ranges"]:
        introduced, *fixed = one["events"]
        assert (introduced, len(fixed) <= 1) == ({"introduced": "0"}, True), "Debian's feed has one interval per range"
        fixes += [event["fixed"] for event in fixed]
        is_affected |= not fixed or is_lower(version, fixed[0]["fixed"])
    above = [fix for fix in fixes if is_lower(version, fix)]
    assert len(above) <= 1, "two fixes in one entry: the rules say more than this does"
    return is_affected, above[0] if above else ""


@functools.cache
def is_lower(left: str, right: str) -> bool:
    return subprocess.run(["dpkg", "--compare-versions", left, "lt", right], check=False).returncode == 0
