"""Chromium of the system, and a registry with something on every page."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Dialog, Page, Request, sync_playwright

from tests.real.feeds import EXTRACTS
from tests.real.layout import Layout, layer_from_files, write_layout
from tests.real.programs import require_program
from tests.real.protocol import Registry, sha256
from tests.real.server import Credential, Server, new_server, running

AXE: Final = Path(__file__).with_name("axe.min.js")
PATIENCE_MS: Final = 15_000
WIDTH: Final = 1280
HEIGHT: Final = 900
PROJECT: Final = "shop"
REPOSITORY: Final = "shop/web"
OLD: Final = {"libc6": ("glibc", "2.36-9"), "perl-base": ("perl", "5.36.0-7"), "libgnutls30": ("gnutls28", "3.7.9-2")}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """One browser and one registry for all tests of a file."""
    for item in items:
        if item.path.parent == Path(__file__).parent:
            item.add_marker(pytest.mark.xdist_group(f"browser-{item.path.stem}"))


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """The browser, without a window. While it is there its event loop runs in this thread, and no other can: so it is
    gone before the tests of another file begin.
    """
    path = require_program("chromium")
    flags = ["--no-sandbox"] if os.geteuid() == 0 else []  # as root it starts no other way
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=flags)
        yield browser
        browser.close()


@dataclass(frozen=True, slots=True)
class Site:
    """A registry with a project: images that pass and are blocked, an index, a referrer, a robot, members, promotions,
    trash.

    digest: of the blocked image; waiting, executed: ids of promotions; deleted: of an operation in the trash; viewer:
    one who may only look at the project.
    """

    server: Server
    digest: str
    waiting: str
    executed: str
    deleted: str
    viewer: Credential


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The registry of all browser tests."""
    folder = tmp_path_factory.mktemp("site")
    with running(new_server(folder / "server")) as server:
        server.import_feed("", EXTRACTS / "debian-12-minbase.jsonl.zst")
        server.create_project(PROJECT)
        server.set_mode(PROJECT, "enforce")
        server.create_robot(PROJECT, "ci")
        viewer, developer, approver = (member(server, role) for role in ("viewer", "developer", "admin"))
        old, new = image(folder, "old", OLD), image(folder, "new", {})
        both = write_layout(
            folder / "both",
            {
                f"linux/{each}": [layer_from_files(folder / f"both-{each}", {"srv/x": each.encode()}, f"COPY {each} /")]
                for each in ("amd64", "arm64")
            },
        )
        for tag, layout in (("1.0", old), ("1.1", new), ("1.0", new), ("1.0", old), ("1.2", new), ("multi", both)):
            push(server, REPOSITORY, tag, layout)
        refer(server, REPOSITORY, old.digest, "application/vnd.example.sbom")
        for tag in ("1.0", "1.1", "multi"):
            server.wait_for_scan(REPOSITORY, tag)
        server.api("PUT", f"/repositories/{REPOSITORY}/-/tags/1.1/lock")
        executed, waiting = (ask(server, who, tag) for who, tag in ((developer, "1.1"), (developer, "multi")))
        server.api("POST", f"/promotions/{executed}/approve", {}, credential=approver)
        deleted = server.api("DELETE", f"/repositories/{REPOSITORY}/-/artifacts/1.2")["operation"]
        yield Site(server, old.digest, waiting, executed, deleted, viewer)


def ask(server: Server, who: Credential, tag: str) -> str:
    """The id of a new promotion to production that *who* asked for."""
    body = {"repository": REPOSITORY, "stage": "production", "items": [{"reference": tag}]}
    return str(server.api("POST", "/promotions", body, credential=who)["id"])


def push(server: Server, repository: str, tag: str, layout: Layout) -> str:
    """*layout* is in *repository* under *tag*; its digest."""
    registry = Registry(server.host).as_(personal_token(server))
    files = {f"sha256:{each.name}": each.read_bytes() for each in (layout.folder / "blobs/sha256").iterdir()}
    top = json.loads(files[layout.digest])
    listed = [each["digest"] for each in top.get("manifests", [])]
    for digest, data in files.items():
        if digest not in {layout.digest, *listed}:
            registry.push_blob(repository, data)
    for digest in listed:
        document = json.loads(files[digest])
        assert registry.put_manifest(repository, digest, files[digest], document["mediaType"]).status == 201
    assert registry.put_manifest(repository, tag, files[layout.digest], top["mediaType"]).status == 201
    return layout.digest


def image(folder: Path, name: str, packages: dict[str, tuple[str, str]], step: str = "COPY / /") -> Layout:
    """An image of Debian 12 in *folder* with *packages* (name → source and version)."""
    status = "\n".join(
        f"Package: {each}\nStatus: install ok installed\nArchitecture: amd64\nSource: {source}\nVersion: {version}\n"
        for each, (source, version) in packages.items()
    )
    files = {
        "etc/os-release": b'ID=debian\nVERSION_ID="12"\n',
        "var/lib/dpkg/status": status.encode(),
        "srv/name": name.encode(),
    }
    return write_layout(folder / name, {"linux/amd64": [layer_from_files(folder / f"{name}-layer", files, step)]})


def refer(server: Server, repository: str, digest: str, artifact_type: str) -> int:
    """What pushing an artifact of that type with the subject *digest* is answered with."""
    registry = Registry(server.host).as_(personal_token(server))
    found = registry.ask("GET", f"/v2/{repository}/manifests/{digest}", headers={"Accept": "*/*"})
    media_type = "application/vnd.oci.image.manifest.v1+json"
    subject = {"mediaType": media_type, "digest": digest, "size": len(found.body)}
    body = registry.image(repository, (b"{}",), artifactType=artifact_type, subject=subject)
    return registry.put_manifest(repository, sha256(body), body).status


def person(server: Server, name: str) -> Credential:
    """A new person without a role."""
    made = server.api("POST", "/accounts", {"name": name})
    return Credential(made["name"], made["password"])


def member(server: Server, role: str) -> Credential:
    """A new person with *role* on the project."""
    who = person(server, f"a-{role}")
    server.api("PUT", f"/projects/{PROJECT}/members/{who.login}", {"role": role})
    return who


def personal_token(server: Server) -> Credential:
    """A personal token of the administrator: /v2 takes no password."""
    return Credential("admin", server.api("POST", "/auth/tokens", {"name": "test"})["token"])


@dataclass(slots=True)
class Watched:
    """A page that is being watched. faults: whatever ran, was refused by the policy of contents, or failed to load."""

    page: Page
    base: str
    faults: list[str] = field(default_factory=list)

    def open(self, path: str) -> int:
        """The status of the page at *path*."""
        response = self.page.goto(self.base + path)
        assert response is not None
        return response.status

    def axe(self, *rules: str) -> list[str]:
        """What axe finds against WCAG 2.2 AA and its best practices, as texts. rules: only by these, if given."""
        if not self.page.evaluate("'axe' in window"):
            self.page.evaluate(AXE.read_text() + ";null")
        asked: dict[str, Any] = {"resultTypes": ["violations"]}  # it tells no more of what is well
        asked |= {"runOnly": {"type": "rule", "values": rules}} if rules else {}
        found: Any = self.page.evaluate("asked => axe.run(asked)", asked)
        return [
            f"{rule['id']}: {node['target']} {node['failureSummary']}"
            for rule in found["violations"]
            for node in rule["nodes"][:3]
        ]

    def sign_in(self, who: Credential) -> None:
        """*who* is signed in by the form."""
        self.open("/sign-in")
        self.page.get_by_label("Name").fill(who.login)
        self.page.get_by_label("Password").fill(who.secret)
        self.page.get_by_role("button", name="Sign in").click()
        self.page.wait_for_url(lambda url: "sign-in" not in url)


def watched(context: BrowserContext, base: str) -> Watched:
    """A new page of *context*."""
    context.set_default_timeout(PATIENCE_MS)
    page = context.new_page()
    seen = Watched(page, base)

    def heard(message: ConsoleMessage) -> None:
        # A page that answers 4xx is an error to the console, and what a test may ask for.
        if message.type == "error" and "the server responded with a status of" not in message.text:
            seen.faults.append(f"console: {message.text}")

    def failed(request: Request) -> None:
        if request.failure != "net::ERR_ABORTED":
            seen.faults.append(f"not loaded: {request.url} {request.failure}")

    def asked(dialog: Dialog) -> None:
        seen.faults.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    page.on("console", heard)
    page.on("requestfailed", failed)
    page.on("pageerror", lambda error: seen.faults.append(f"error: {error}"))
    page.on("dialog", asked)
    return seen


@contextmanager
def visitor(
    chromium: Browser, site: Site, who: Credential | None, *, scheme: Any = "light", script: bool = True
) -> Iterator[Watched]:
    """A browser in which *who* is signed in, on any page of *site*."""
    size: Any = {"width": WIDTH, "height": HEIGHT}
    context = chromium.new_context(
        color_scheme=scheme, java_script_enabled=script, viewport=size, reduced_motion="reduce"
    )
    try:
        seen = watched(context, site.server.url)
        if who is not None:
            seen.sign_in(who)
        yield seen
    finally:
        context.close()
