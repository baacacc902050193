"""What a policy does to pulls by real clients: refused with the reason, served with a warning, served again."""

import json
import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.real.cli import entrepot, entrepot_json
from tests.real.clients import Podman, Skopeo
from tests.real.feeds import EXTRACTS, RawFeed, read_raw, write_raw
from tests.real.layout import Layout, layer_from_files, write_layout
from tests.real.server import Credential, Server, new_server, running
from tests.real.worker import worker_stopped

pytestmark = pytest.mark.xdist_group("real-policy")

EXTRACT = EXTRACTS / "debian-12-minbase.jsonl.zst"
TAG = "1.0"
# Versions of Debian 12 at its release. The limits: no critical finding, no high one that has a fix.
INSTALLED = {"libc6": ("glibc", "2.36-9"), "perl-base": ("perl", "5.36.0-7"), "libgnutls30": ("gnutls28", "3.7.9-2")}
BLOCKED = re.compile(
    r'blocked by policy "baseline" \(rule (?P<rule>[a-z-]+)\): (?P<id>CVE-\d{4}-\d+) \((?P<severity>[a-z]+)\)'
    r" in (?P<package>\S+) (?P<version>\S+), fixed in (?P<fix>[^ ;]+) \(\+(?P<more>\d+) more\); update (?P=package) and"
)
WAITS = "waits for its scan (since "


@dataclass(frozen=True, slots=True)
class Project:
    """A project with a pushed image, by those who push and pull there."""

    server: Server
    name: str
    pusher: Credential
    viewer: Credential

    @property
    def image(self) -> str:
        return f"{self.server.host}/{self.name}/app:{TAG}"

    def manifest(self, method: str, who: Credential, reference: str = TAG) -> Any:
        path = f"/v2/{self.name}/app/manifests/{reference}"
        return self.server.request(method, path, credential=who)

    def scan(self) -> Any:
        return self.server.wait_for_scan(f"{self.name}/app", TAG)

    def findings(self) -> list[Any]:
        return self.server.items(f"/repositories/{self.name}/app/-/artifacts/{TAG}/findings")

    def wait_for_outcome(self, outcome: str) -> None:
        said = f"{self.name} comes to {outcome}"
        path = f"{self.name}/app"
        self.server.wait_until(said, lambda: bool(self.server.artifact(path, TAG, "/scan")["outcome"] == outcome), 20)


@pytest.fixture(scope="module")
def fed_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running(new_server(tmp_path_factory.mktemp("policy") / "server")) as server:
        server.import_feed("", EXTRACT)
        yield server


@pytest.fixture
def old(tmp_path: Path) -> Layout:
    """An image with packages as old as Debian 12."""
    status = "\n".join(
        f"Package: {name}\nStatus: install ok installed\nArchitecture: amd64\nSource: {source}\nVersion: {version}\n"
        for name, (source, version) in INSTALLED.items()
    )
    files = {"etc/os-release": b'ID=debian\nVERSION_ID="12"\n', "var/lib/dpkg/status": status.encode()}
    return write_layout(tmp_path / "old", {"linux/amd64": [layer_from_files(tmp_path / "layer", files, "COPY / /")]})


def make(server: Server, name: str, mode: str) -> Project:
    server.create_project(name)
    server.set_mode(name, mode)
    return Project(server, name, server.create_robot(name, "ci"), server.create_robot(name, "reader", "viewer"))


def push(project: Project, skopeo: Skopeo, layout: Layout) -> None:
    client = skopeo.signed_in(project.server.host, project.pusher.login, project.pusher.secret)
    client.copy(layout.source, f"docker://{project.image}")


def by(client: Podman, project: Project, who: Credential) -> Podman:
    return client.signed_in(project.server.host, who.login, who.secret)


def test_podman_prints_rule_advisory_package_and_fix_of_what_is_blocked(
    fed_server: Server, skopeo: Skopeo, podman: Podman, old: Layout
) -> None:
    project = make(fed_server, "told", "enforce")
    push(project, skopeo, old)
    project.scan()
    breaking = [row for row in project.findings() if row["severity"] in {"high", "critical"} and row["counted"]]

    refused = by(podman, project, project.viewer).pull(project.image, check=False)
    print(f"\n{refused.stderr.strip()}")
    said = BLOCKED.search(refused.stderr)

    assert refused.returncode != 0
    assert said is not None
    assert said["rule"] == "high-fixable"
    assert (said["package"], said["version"]) in INSTALLED.values()
    assert (said["id"], said["package"], said["fix"]) in {
        (row["id"], row["package"], row["fixed_version"]) for row in breaking
    }
    assert int(said["more"]) + 1 == len([row for row in breaking if row["fixed_version"]])
    assert f"{fed_server.url}/why/{project.name}/app@sha256:" in refused.stderr
    denied = fed_server.items(
        f"/audit?repository={project.name}/app&outcome=denied&actor={project.viewer.login.replace('+', '%2B')}"
    )
    assert {(row["action"], row["reference"]) for row in denied} == {("access.denied", TAG)}
    assert BLOCKED.search(denied[0]["reason"]) is not None


def test_the_text_is_the_same_for_every_client_and_on_the_header_of_head(
    fed_server: Server, skopeo: Skopeo, old: Layout, tmp_path: Path
) -> None:
    project = make(fed_server, "same", "enforce")
    push(project, skopeo, old)
    project.scan()

    got = project.manifest("GET", project.viewer)
    head = project.manifest("HEAD", project.viewer)
    by_digest = project.manifest("GET", project.viewer, old.digest)
    client = skopeo.signed_in(project.server.host, project.viewer.login, project.viewer.secret)
    copied = client.copy(f"docker://{project.image}", f"oci:{tmp_path / 'pulled'}:it", check=False)
    error = json.loads(got.data)["errors"][0]

    assert (got.status, head.status, by_digest.status) == (403, 403, 403)
    assert error["code"] == "DENIED"
    assert error["message"].isascii()
    assert len(error["message"]) <= 400
    assert head.data == b""
    assert head.headers["Warning"] == '299 - "{}"'.format(error["message"].replace('"', '\\"'))
    assert copied.returncode != 0
    assert BLOCKED.search(copied.stderr.replace('\\"', '"')) is not None


def test_monitor_serves_what_enforce_refuses(fed_server: Server, skopeo: Skopeo, podman: Podman, old: Layout) -> None:
    project = make(fed_server, "modes", "enforce")
    push(project, skopeo, old)
    project.scan()
    viewer = by(podman, project, project.viewer)
    enforced = viewer.pull(project.image, check=False)

    changed = entrepot_json(fed_server, "policy", "mode", project.name, "monitor", "--wait")
    viewer.pull(project.image)
    served = project.manifest("GET", project.viewer)
    entrepot(fed_server, "policy", "mode", project.name, "enforce", "--wait")
    again = viewer.pull(project.image, check=False)

    assert enforced.returncode != 0
    assert (changed["mode"], changed["wanted"]) == ("monitor", None)
    assert (served.status, served.headers.get("Warning")) == (200, None)
    assert again.returncode != 0
    assert BLOCKED.search(again.stderr) is not None


def test_warn_mode_serves_with_the_reason_as_a_warning(
    fed_server: Server, skopeo: Skopeo, podman: Podman, old: Layout
) -> None:
    project = make(fed_server, "warned", "warn")
    push(project, skopeo, old)
    project.scan()

    by(podman, project, project.viewer).pull(project.image)
    answers = [project.manifest(method, project.viewer) for method in ("GET", "HEAD")]
    warnings = [answer.headers["Warning"] for answer in answers]

    assert [answer.status for answer in answers] == [200, 200]
    assert warnings[0] == warnings[1]
    assert warnings[0].startswith('299 - "would be blocked by policy \\"baseline\\" (rule high-fixable): CVE-')


def test_the_pusher_reads_back_what_others_may_not_pull(
    fed_server: Server, skopeo: Skopeo, podman: Podman, old: Layout
) -> None:
    project = make(fed_server, "pushers", "enforce")
    push(project, skopeo, old)
    project.scan()
    other = fed_server.create_robot(project.name, "other")

    by(podman, project, project.pusher).pull(project.image)
    refused = by(podman, project, other).pull(project.image, check=False)
    head, got = project.manifest("HEAD", project.pusher), project.manifest("GET", project.pusher)

    assert (head.status, got.status) == (200, 200)
    assert lasting(head.headers) == lasting(got.headers)
    assert (head.data, got.headers["Docker-Content-Digest"]) == (b"", old.digest)
    assert refused.returncode != 0
    assert BLOCKED.search(refused.stderr) is not None


def lasting(headers: Mapping[str, str]) -> dict[str, str]:
    """Those that do not differ from one answer to the next."""
    return {name.lower(): text for name, text in headers.items() if name.lower() not in {"date", "x-request-id"}}


def test_a_feed_without_the_advisories_frees_the_image_and_the_old_one_blocks_it_again(
    server: Server, skopeo: Skopeo, podman: Podman, old: Layout, tmp_path: Path
) -> None:
    server.import_feed("", EXTRACT)
    project = make(server, "fed", "enforce")
    push(project, skopeo, old)
    project.scan()
    viewer = by(podman, project, project.viewer)
    at_first = viewer.pull(project.image, check=False)
    breaking = [
        row
        for row in project.findings()
        if row["counted"] and (row["severity"] == "critical" or (row["severity"] == "high" and row["fixed_version"]))
    ]
    newer = write_raw(tmp_path / "newer.jsonl", without({id_ for row in breaking for id_ in row["advisories"]}))
    print(f"\n{len(breaking)} findings block, by {len({id_ for row in breaking for id_ in row['advisories']})} records")

    entrepot(server, "feed", "import", str(newer))
    begin = time.perf_counter()
    project.wait_for_outcome("pass")
    print(f"judged anew {time.perf_counter() - begin:.2f} s after the import")
    viewer.pull(project.image)
    older = entrepot(server, "feed", "import", str(EXTRACT), check=False)
    still = project.manifest("GET", project.viewer)
    entrepot(server, "feed", "import", str(EXTRACT), "--force")
    project.wait_for_outcome("block")
    again = viewer.pull(project.image, check=False)

    assert at_first.returncode != 0
    assert older.returncode != 0
    assert "is older than the one in force" in older.stderr
    assert still.status == 200
    assert again.returncode != 0
    assert BLOCKED.search(again.stderr) is not None


def without(ids: set[str]) -> RawFeed:
    """The extract of a day later, which has no record of *ids*."""
    feed = read_raw(EXTRACT)
    assert feed.header is not None
    kept = [record for record in feed.records if record["id"] not in ids]
    return RawFeed({**feed.header, "built_at": "2025-02-13T18:06:49Z"}, kept)


def test_what_no_feed_covers_is_an_error_and_not_clean(
    server: Server, skopeo: Skopeo, podman: Podman, old: Layout, tmp_path: Path
) -> None:
    header = {"source": "nothing", "built_at": "2025-02-12T18:06:49Z", "packages": {"debian:12": []}}
    server.import_feed("", write_raw(tmp_path / "nothing.jsonl", RawFeed(header, [])))
    project = make(server, "uncovered", "enforce")
    push(project, skopeo, old)

    scan = project.scan()
    refused = by(podman, project, project.viewer).pull(project.image, check=False)

    assert (scan["status"], scan["outcome"], scan["reasons"]) == ("partial", "error", ["no_feed:debian:12"])
    assert refused.returncode != 0
    assert "needs a complete scan, this one is not: no_feed:debian:12" in refused.stderr


def test_until_there_is_a_verdict_enforce_refuses_and_the_other_modes_warn(
    server: Server, skopeo: Skopeo, podman: Podman, old: Layout
) -> None:
    server.import_feed("", EXTRACT)
    projects = {mode: make(server, f"in-{mode}", mode) for mode in ("monitor", "warn", "enforce")}

    with worker_stopped(server):
        for project in projects.values():
            push(project, skopeo, old)
        states = {mode: server.artifact(f"{each.name}/app", TAG, "/scan") for mode, each in projects.items()}
        by_viewer = {mode: each.manifest("GET", each.viewer) for mode, each in projects.items()}
        heads = {mode: each.manifest("HEAD", each.viewer) for mode, each in projects.items()}
        by_pusher = {mode: each.manifest("GET", each.pusher) for mode, each in projects.items()}
        refused = by(podman, projects["enforce"], projects["enforce"].viewer).pull(
            projects["enforce"].image, check=False
        )
        by(podman, projects["enforce"], projects["enforce"].pusher).pull(projects["enforce"].image)
    for project in projects.values():
        project.wait_for_outcome("block")
    later = {mode: each.manifest("GET", each.viewer) for mode, each in projects.items()}

    assert {(state["status"], state["outcome"]) for state in states.values()} == {("queued", "pending")}
    assert {mode: answer.status for mode, answer in by_viewer.items()} == {"monitor": 200, "warn": 200, "enforce": 403}
    assert {mode: answer.status for mode, answer in heads.items()} == {"monitor": 200, "warn": 200, "enforce": 403}
    for mode in ("monitor", "warn"):
        assert re.match(r'299 - "sha256:[0-9a-f]{12} waits for its scan \(since', by_viewer[mode].headers["Warning"])
    assert WAITS in json.loads(by_viewer["enforce"].data)["errors"][0]["message"]
    assert f"entrepot scan wait in-enforce/app:{TAG}" in refused.stderr
    assert WAITS in refused.stderr
    assert {(answer.status, answer.headers.get("Warning")) for answer in by_pusher.values()} == {(200, None)}
    assert {mode: answer.status for mode, answer in later.items()} == {"monitor": 200, "warn": 200, "enforce": 403}
    assert BLOCKED.search(json.loads(later["enforce"].data)["errors"][0]["message"]) is not None
