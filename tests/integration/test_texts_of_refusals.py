"""What the users of podman and skopeo read: one test for each row of the error texts (product.md, section 5).

Rows that can't occur yet: an upstream that fails (there are none), and a fault of a policy's own rule (projects can't
write rules). Seen elsewhere: every way into a stage by tests/integration/test_ways_into_a_stage.py.

The warning of a pull that is served is asked for over HTTP: podman 4.3 and skopeo 1.9, which Debian 12 has, do not
print the header. A push begins with a HEAD, which has no text, so who may not even know of a repository reads
`403 (Forbidden)` there; his pull has the text.
"""

import contextlib
import json
import re
import sqlite3
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from tests.fakes.tars import END, member
from tests.real.clients import Podman, Skopeo
from tests.real.feeds import EXTRACTS
from tests.real.layout import Layout, layer_from_files, write_layout
from tests.real.protocol import Registry, basic, sha256
from tests.real.raw import request, wires
from tests.real.server import Credential, Server, new_server, running
from tests.real.small_image import push_image, tar
from tests.real.worker import worker_stopped

pytestmark = pytest.mark.xdist_group("texts-of-refusals")

AT_ONCE: Final = 8
MOST: Final = 400
STATUS: Final = b"Package: libc6\nStatus: install ok installed\nArchitecture: amd64\nSource: glibc\nVersion: 2.36-9\n"
OLD: Final = member("etc/os-release", b'ID=debian\nVERSION_ID="12"\n') + member("var/lib/dpkg/status", STATUS) + END


@dataclass(frozen=True, slots=True)
class Site:
    """A server with the projects `shop` (monitor), `strict` (enforce) and `warned` (warn), and robots of `shop`."""

    server: Server
    pusher: Credential
    viewer: Credential
    stranger: Credential

    def registry(self) -> Registry:
        """As the administrator."""
        return Registry(self.server.host).as_(self.admin())

    def admin(self) -> Credential:
        return Credential("admin", self.server.api("POST", "/auth/tokens", {"name": "texts"})["token"])

    def at(self, image: str) -> str:
        return f"docker://{self.server.host}/{image}"

    def push(self, repository: str, tag: str, layer: bytes | None = None) -> str:
        """The digest of a judged image."""
        digest = push_image(self.registry(), repository, tag, layer or tar(f"{repository}:{tag}"))
        self.server.wait_for_scan(repository, tag)
        return digest


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    few = {
        "ENTREPOT_SERVER__WEB_WORKERS": "1",
        "ENTREPOT_SERVER__LIMITS__IN_FLIGHT_PRINCIPAL": str(AT_ONCE),
        "ENTREPOT_SERVER__LIMITS__QUEUE": "300ms",
    }
    with running(new_server(tmp_path_factory.mktemp("texts") / "server", **few)) as server:
        server.import_feed("", EXTRACTS / "debian-12-minbase.jsonl.zst")
        for project, mode in (("shop", "monitor"), ("strict", "enforce"), ("warned", "warn")):
            server.create_project(project)
            server.set_mode(project, mode)
        pusher, viewer = server.create_robot("shop", "ci"), server.create_robot("shop", "k8s", "viewer")
        yield Site(server, pusher, viewer, server.create_robot("warned", "other"))


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    """A small image to push."""
    layer = layer_from_files(tmp_path / "layer", {"hello": tmp_path.name.encode()}, "COPY hello /")
    return write_layout(tmp_path / "layout", {"linux/amd64": [layer]})


@pytest.fixture
def reader(site: Site, skopeo: Skopeo) -> Skopeo:
    return skopeo.signed_in(site.server.host, site.viewer.login, site.viewer.secret)


@pytest.fixture
def writer(site: Site, skopeo: Skopeo) -> Skopeo:
    return skopeo.signed_in(site.server.host, site.pusher.login, site.pusher.secret)


def said(done: subprocess.CompletedProcess[str], code: str = "denied") -> str:
    """What a failed client printed behind *code*: our text, and nothing after it."""
    assert done.returncode != 0
    (line,) = [each for each in done.stderr.replace('\\"', '"').splitlines() if f"{code}: " in each]
    text = line.rpartition(f"{code}: ")[2].rstrip().removesuffix('"' if "msg=" in line else "")
    assert text.isascii()
    assert len(text) <= MOST
    return text


def pulled(client: Skopeo, image: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return client.copy(image, f"dir:{folder / 'pulled'}", check=False)


def test_policy(site: Site, podman: Podman) -> None:
    digest = site.push("strict/web", "1.0", OLD)
    robot = site.server.create_robot("strict", "reader", "viewer")
    done = podman.signed_in(site.server.host, robot.login, robot.secret).pull(
        f"{site.server.host}/strict/web:1.0", check=False
    )

    assert re.fullmatch(
        r'blocked by policy "baseline" \(rule [a-z-]+\): CVE-\d{4}-\d+ \((high|critical)\) in glibc 2\.36-9, '
        r"fixed in [^ ;]+( \(\+\d+ more\))?; update glibc and push again; "
        rf"{site.server.url}/why/strict/web@{digest}",
        said(done),
    )


def test_warn_phase(site: Site) -> None:
    digest = site.push("warned/web", "1.0", OLD)
    robot = Registry(site.server.host).as_(site.server.create_robot("warned", "reader", "viewer"))
    answers = [robot.ask(method, "/v2/warned/web/manifests/1.0") for method in ("GET", "HEAD")]
    texts = {answer.header("Warning") for answer in answers}

    assert [answer.status for answer in answers] == [200, 200]
    assert len(texts) == 1
    assert re.fullmatch(
        r'299 - "would be blocked by policy \\"baseline\\" \(rule [a-z-]+\): CVE-.*; update glibc and push again; '
        rf'{site.server.url}/why/warned/web@{digest}"',
        texts.pop(),
    )


def test_quarantine(site: Site, skopeo: Skopeo, tmp_path: Path) -> None:
    robot = site.server.create_robot("strict", "early", "viewer")
    client = skopeo.signed_in(site.server.host, robot.login, robot.secret)
    with worker_stopped(site.server):
        digest = push_image(site.registry(), "strict/web", "2.0", tar("not judged"))
        done = pulled(client, site.at("strict/web:2.0"), tmp_path)

    assert re.fullmatch(
        rf"{digest[:19]} waits for its scan \(since \d+ s\); try again in a few seconds, "
        r"or: entrepot scan wait strict/web:2\.0",
        said(done),
    )


def test_locked_tag(site: Site, writer: Skopeo, layout: Layout) -> None:
    site.push("shop/locked", "1.0")
    site.server.api("PUT", "/repositories/shop/locked/-/tags/1.0/lock", {})

    assert said(writer.copy(layout.source, site.at("shop/locked:1.0"), check=False)) == (
        'tag "1.0" of shop/locked is locked by admin: use another tag, or ask who may unlock it '
        "(entrepot tag unlock shop/locked 1.0)"
    )


def test_stage(site: Site, writer: Skopeo, layout: Layout) -> None:
    assert said(writer.copy(layout.source, site.at("shop/prod/web:1.0"), check=False)) == (
        'shop/prod/web is in stage "production", where tags change by promotion only: push shop/web, '
        "then: entrepot promote request shop/web:TAG production"
    )


def test_quota(site: Site, skopeo: Skopeo, layout: Layout) -> None:
    site.server.create_project("full")
    robot = site.server.create_robot("full", "ci")
    site.server.api("PUT", "/projects/full/quota", {"limit": 10})
    client = skopeo.signed_in(site.server.host, robot.login, robot.secret)

    assert re.fullmatch(
        r"project full keeps 0\.0 MB of 0\.0 MB, and 0\.0 MB more do not fit; delete some, "
        r"or ask an admin of this registry for more: entrepot quota show full; largest: full/web \(0\.0 MB\)",
        said(client.copy(layout.source, site.at("full/web:1.0"), check=False)),
    )


def test_right(site: Site, podman: Podman, layout: Layout) -> None:
    site.push("shop/web", "1.0")
    image = podman.run("pull", "--quiet", layout.source).stdout.strip()
    viewer = podman.signed_in(site.server.host, site.viewer.login, site.viewer.secret)

    assert said(viewer.push(image, f"{site.server.host}/shop/web:2.0", check=False)) == (
        f'robot "{site.viewer.login}" lacks repo.push on shop/web (has viewer); granted by an admin of this registry'
    )


@pytest.mark.parametrize("name", ["shop/web", "shop/none", "none/web"])
def test_absent_or_private(site: Site, skopeo: Skopeo, tmp_path: Path, name: str) -> None:
    site.push("shop/web", "1.0")
    stranger = skopeo.signed_in(site.server.host, site.stranger.login, site.stranger.secret)

    assert said(pulled(stranger, site.at(f"{name}:1.0"), tmp_path)) == "no such repository, or not visible to you"


def test_expired_credential(site: Site, podman: Podman) -> None:
    """podman 4.3 prints `invalid username/password` alone at a login; at a pull the text too."""
    robot = site.server.create_robot("shop", "old")
    with contextlib.closing(sqlite3.connect(site.server.data / "entrepot.db", timeout=20)) as database:
        owner = "SELECT id FROM account WHERE name = ?"
        database.execute(f"UPDATE secret SET expires_at = 86400000000 WHERE account_id = ({owner})", [robot.login])  # noqa: S608
        database.commit()
    client = podman.signed_in(site.server.host, robot.login, robot.secret)

    assert said(client.pull(f"{site.server.host}/shop/web:1.0", check=False), "unauthorized") == (
        f"secret ent_rbt_...{robot.secret[-4:]} expired on 1970-01-02; make a new one: entrepot robot create"
    )


@pytest.mark.parametrize("by", ["tag", "digest"])
def test_deleted(site: Site, reader: Skopeo, tmp_path: Path, by: str) -> None:
    digest = site.push(f"shop/deleted-{by}", "1.0")
    what = "1.0" if by == "tag" else digest
    path = f"/repositories/shop/deleted-{by}/-/artifacts/{what}"
    operation = site.server.api("DELETE", path)["operation"]
    image = f"shop/deleted-{by}{':' if by == 'tag' else '@'}{what}"

    assert re.fullmatch(
        rf'"{what}" was removed (now|\d+ s ago) by admin; who may delete there restores it: entrepot undo {operation}',
        said(pulled(reader, site.at(image), tmp_path), "manifest unknown"),
    )
    site.server.api("POST", f"/operations/{operation}/undo")
    assert pulled(reader, site.at(image), tmp_path).returncode == 0


def test_missing_blob(site: Site, writer: Skopeo, tmp_path: Path) -> None:
    """An index alone, without what it lists: it is what a client can leave out."""
    layers = [layer_from_files(tmp_path / each, {"hello": each.encode()}, "COPY hello /") for each in ("one", "two")]
    index = write_layout(tmp_path / "index", {f"linux/{n}": [layer] for n, layer in enumerate(layers)})
    first = json.loads((index.folder / "blobs/sha256" / index.digest.removeprefix("sha256:")).read_bytes())
    done = writer.copy(index.source, site.at("shop/missing:1.0"), "--multi-arch", "index-only", check=False)

    assert done.returncode != 0
    assert (  # the first of what skopeo prints, behind `errors:`
        f"errors:\\nmanifest blob unknown: {first['manifests'][0]['digest']} is not in shop/missing (and 1 more); "
        "push it again\\n"
    ) in done.stderr


def test_too_many(site: Site, skopeo: Skopeo, tmp_path: Path) -> None:
    """skopeo 1.9 has words of its own where it meets a 429 on its way to a token; who asks by HTTP reads ours."""
    crowd = site.server.create_robot("shop", "crowd")
    upload = request(
        "POST",
        f"/v2/shop/web/blobs/uploads/?digest={sha256(b'never')}",
        f"Authorization: {basic(crowd.login, crowd.secret)}",
        "Content-Length: 900000",
        body=bytes(4096),
    )
    with wires(site.server.port, AT_ONCE) as many:
        for each in many:
            each.send(upload)
        by_hand = Registry(site.server.host).as_(crowd)
        site.server.wait_until("all turns are taken", lambda: by_hand.ask("GET", "/v2/").status == 429, 20)
        client = skopeo.signed_in(site.server.host, crowd.login, crowd.secret)
        done = pulled(client, site.at("shop/web:1.0"), tmp_path)
        asked = by_hand.ask("GET", "/v2/shop/web/manifests/1.0")

    assert done.returncode != 0
    assert "too many requests to registry" in done.stderr
    assert (asked.refusal, asked.header("Retry-After")) == ((429, "TOOMANYREQUESTS"), "1")
    assert asked.message == "too many of your requests at once: no turn came within 0.3 s; try again in 1 s"
