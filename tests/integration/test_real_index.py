"""An image of two platforms: whole after a pull, each child scanned, judged as its worst child."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.real.cli import entrepot_json
from tests.real.clients import Podman, Skopeo
from tests.real.feeds import EXTRACTS
from tests.real.layout import Layout, layer_from_files, write_layout
from tests.real.server import Credential, Server, new_server, running

pytestmark = pytest.mark.xdist_group("real-index")

OLD, NEW = "2.36-9", "2.36-9+deb12u13"  # glibc of Debian 12: at its release (CVE-2023-4911 and others), and much later
AMD, ARM = "linux/amd64", "linux/arm64"
RELEASE = b'ID=debian\nVERSION_ID="12"\n'
STATUS = """Package: libc6
Status: install ok installed
Architecture: {architecture}
Source: glibc
Version: {version}

Package: libc-bin
Status: install ok installed
Architecture: {architecture}
Source: glibc
Version: {version}
"""


@dataclass(frozen=True, slots=True)
class Site:
    """A server with the Debian extract in force, and robots of its project in enforce mode."""

    server: Server
    pusher: Credential
    viewer: Credential

    def name(self, tag: str = "") -> str:
        return f"{self.server.host}/multi/app{':' * bool(tag)}{tag}"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with running(new_server(tmp_path_factory.mktemp("index") / "server")) as server:
        server.import_feed("", EXTRACTS / "debian-12-minbase.jsonl.zst")
        server.create_project("multi")
        server.set_mode("multi", "enforce")
        yield Site(server, server.create_robot("multi", "ci"), server.create_robot("multi", "reader", "viewer"))


@pytest.fixture
def pusher(site: Site, skopeo: Skopeo) -> Skopeo:
    return skopeo.signed_in(site.server.host, site.pusher.login, site.pusher.secret)


@pytest.fixture
def viewer(site: Site, podman: Podman) -> Podman:
    return podman.signed_in(site.server.host, site.viewer.login, site.viewer.secret)


def image(folder: Path, versions: Mapping[str, str]) -> Layout:
    """An image of a system with glibc of the version given for each platform."""
    layers = {}
    for platform, version in versions.items():
        architecture = architecture_of(platform)
        status = STATUS.format(architecture=architecture, version=version).encode()
        files = {"etc/os-release": RELEASE, "var/lib/dpkg/status": status}
        layers[platform] = [layer_from_files(folder / f"layer-{architecture}", files, "COPY / /")]
    return write_layout(folder / f"image-{'-'.join(architecture_of(each) for each in versions)}", layers)


def architecture_of(platform: str) -> str:
    return platform.removeprefix("linux/")


def children(layout: Layout) -> dict[str, str]:
    """Platform → digest of its manifest, as the index lists them."""
    index = json.loads((layout.folder / "blobs/sha256" / layout.digest.removeprefix("sha256:")).read_text())
    listed = index["manifests"]
    return {f"{each['platform']['os']}/{each['platform']['architecture']}": each["digest"] for each in listed}


def test_an_index_is_whole_after_a_pull_and_each_platform_can_be_pulled(
    site: Site, pusher: Skopeo, viewer: Podman, skopeo: Skopeo, tmp_path: Path
) -> None:
    layout = image(tmp_path, {AMD: NEW, ARM: NEW})

    pusher.copy(layout.source, f"docker://{site.name('good')}", "--all")
    scan = site.server.wait_for_scan("multi/app", "good")
    reader = skopeo.signed_in(site.server.host, site.viewer.login, site.viewer.secret)
    reader.copy(f"docker://{site.name('good')}", f"oci:{tmp_path / 'pulled'}:it", "--all")
    raw = reader.manifest(f"docker://{site.name('good')}")
    pulled = {platform: pull(viewer, site.name("good"), platform) for platform in (AMD, ARM)}

    assert (scan["digest"], scan["status"], scan["outcome"]) == (layout.digest, "complete", "pass")
    assert f"sha256:{hashlib.sha256(raw).hexdigest()}" == layout.digest
    assert json.loads((tmp_path / "pulled/index.json").read_text())["manifests"][0]["digest"] == layout.digest
    for platform, digest in children(layout).items():
        assert (pulled[platform]["Os"], pulled[platform]["Architecture"]) == ("linux", architecture_of(platform))
        assert {each.partition("@")[2] for each in pulled[platform]["RepoDigests"]} == {layout.digest, digest}


def pull(client: Podman, reference: str, platform: str) -> Any:
    """What podman says of the image that it pulled for *platform*."""
    client.pull(reference, "--platform", platform)
    return json.loads(client.run("image", "inspect", reference).stdout)[0]


def test_each_child_is_scanned_and_the_worst_decides(site: Site, pusher: Skopeo, tmp_path: Path) -> None:
    layout = image(tmp_path, {AMD: NEW, ARM: OLD})
    good, bad = children(layout)[AMD], children(layout)[ARM]

    pusher.copy(layout.source, f"docker://{site.name('bad')}", "--all")
    scan = site.server.wait_for_scan("multi/app", "bad")
    shown = entrepot_json(site.server, "artifact", "show", "multi/app:bad")

    assert shown["digest"] == scan["digest"] == layout.digest
    assert (scan["status"], scan["outcome"]) == ("complete", "block")
    assert [(child["platform"], child["digest"], child["outcome"]) for child in shown["children"]] == [
        (AMD, good, "pass"),
        (ARM, bad, "block"),
    ]
    for digest, version in ((good, NEW), (bad, OLD)):
        listed = site.server.items(f"/repositories/multi/app/-/artifacts/{digest}/packages")
        assert {(row["name"], row["version"]) for row in listed} == {("libc6", version), ("libc-bin", version)}


def test_a_blocked_index_is_refused_and_its_good_child_is_not(
    site: Site, pusher: Skopeo, viewer: Podman, tmp_path: Path
) -> None:
    layout = image(tmp_path, {AMD: NEW, ARM: OLD})
    pusher.copy(layout.source, f"docker://{site.name('mixed')}", "--all")
    site.server.wait_for_scan("multi/app", "mixed")

    refused = viewer.pull(site.name("mixed"), "--platform", AMD, check=False)
    bad = viewer.pull(f"{site.name()}@{children(layout)[ARM]}", check=False)
    good = viewer.pull(f"{site.name()}@{children(layout)[AMD]}", check=False)

    for attempt in (refused, bad):
        assert attempt.returncode != 0
        assert 'blocked by policy "baseline"' in attempt.stderr
        assert f"in glibc {OLD}, fixed in 2.36-9+deb12u" in attempt.stderr
    assert good.returncode == 0, good.stderr


def test_an_index_that_podman_made_is_judged_too(site: Site, podman: Podman, viewer: Podman, tmp_path: Path) -> None:
    maker = podman.signed_in(site.server.host, site.pusher.login, site.pusher.secret)
    maker.run("manifest", "create", "localhost/multi")
    for platform in (AMD, ARM):
        single = maker.run("pull", "--quiet", image(tmp_path, {platform: NEW}).source).stdout.strip()
        maker.run("manifest", "add", "localhost/multi", f"containers-storage:{single}")

    maker.run("manifest", "push", "--all", "--tls-verify=false", "localhost/multi", f"docker://{site.name('podman')}")
    scan = site.server.wait_for_scan("multi/app", "podman")
    shown = site.server.artifact("multi/app", "podman")

    assert (scan["status"], scan["outcome"]) == ("complete", "pass")
    assert {(child["platform"], child["outcome"]) for child in shown["children"]} == {(AMD, "pass"), (ARM, "pass")}
    assert pull(viewer, site.name("podman"), ARM)["Architecture"] == "arm64"
