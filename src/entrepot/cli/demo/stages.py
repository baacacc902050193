"""The demo's last part: a promotion refused, one approved by another person, and a tag moved and taken back."""

from collections.abc import Iterator
from typing import Final

from entrepot.cli.client import Client, project_path
from entrepot.cli.demo.report import Line
from entrepot.cli.demo.scene import ADMIN, NEW, OLD, PROJECT, Demo
from entrepot.cli.demo.server import DemoServer
from entrepot.cli.http import basic
from entrepot.cli.output import BlockedError
from entrepot.errors import DeniedError
from entrepot.oci.reference import Reference

PERSON: Final = "ann"
STAGE: Final = "production"
PROMOTED: Final = Reference(f"{PROJECT}/prod/web", NEW.tag, None)
LATEST: Final = Reference(NEW.name, "latest", None)


def stages(demo: Demo) -> Iterator[Line]:
    """The lines. Raises the first error that lets nothing follow."""
    ann = _person(demo)
    yield _refused(demo)
    id_ = _asked(demo)
    yield _own_approval(demo, id_)
    yield _promoted(demo, ann, id_)
    yield _pulled(demo)
    yield _restored(demo)
    yield _pages(demo)


def _person(demo: Demo) -> Client:
    made = demo.api.post("/accounts", {"name": PERSON})
    demo.api.change("PUT", f"{project_path(PROJECT)}/members/{PERSON}", {"role": "admin"})
    return Client(demo.server.http, basic(PERSON, str(made["password"])))


def _refused(demo: Demo) -> Line:
    claim = f"{OLD} is not promoted to {STAGE}, and why"
    try:
        demo.api.post("/promotions", _wish(OLD))
    except BlockedError as error:
        return Line(claim, error.message, held="blocked by policy" in error.message, figures={"text": error.message})
    return Line(claim, "it was taken", held=False)


def _asked(demo: Demo) -> str:
    return str(demo.api.post("/promotions", _wish(NEW))["id"])


def _own_approval(demo: Demo, id_: str) -> Line:
    claim = f"who asked for the promotion of {NEW} can't approve it"
    try:
        demo.api.post(f"/promotions/{id_}/approve", {})
    except DeniedError as error:
        return Line(claim, error.message, held=True, figures={"text": error.message})
    return Line(claim, "he did", held=False)


def _promoted(demo: Demo, ann: Client, id_: str) -> Line:
    before = demo.api.get("/storage").get("physical")
    done = ann.post(f"/promotions/{id_}/approve", {})
    moved = demo.api.get("/storage").get("physical") != before
    shown = f"{done.get('state')}: {done.get('target')}, {'bytes moved' if moved else '0 bytes moved'}"
    return Line(f"{PERSON} approves it, and it is promoted", shown, done.get("state") == "executed" and not moved)


def _pulled(demo: Demo) -> Line:
    pulled = demo.registry("puller").pull(PROMOTED)
    return Line(f"{PROMOTED} is pulled", f"{pulled.digest}", held=pulled.digest == demo.new.digest)


def _restored(demo: Demo) -> Line:
    """By mistake `latest` goes back to the old image; its history brings the new one back."""
    ci = demo.registry("ci")
    for image in (demo.new, demo.old):
        ci.push(LATEST, image)
    path = f"/repositories/{LATEST.name}/-/tags/{LATEST.tag}"
    history = list(demo.api.items(f"{path}/history"))
    restored = demo.api.post(f"{path}/restore", {"rev": 1})
    held = len(history) == 2 and restored.get("digest") == str(demo.new.digest)
    shown = f"move {restored.get('rev')} names what move 1 named"
    return Line(f"{LATEST} was moved by mistake, and is restored", shown, held)


def _pages(demo: Demo) -> Line:
    """A link signs a browser in, once."""
    server = demo.server
    page, _, code = sign_in_link(server).partition("?code=")
    path = page.removeprefix(server.url)
    shown = server.http.send("GET", path, headers={}, query={"code": code})
    form = {"Content-Type": "application/x-www-form-urlencoded", "Origin": server.url}
    answers = [server.http.send("POST", path, headers=form, body=f"code={code}".encode()) for _ in range(2)]
    cookie = {"Cookie": str(answers[0].headers.get("Set-Cookie")).partition(";")[0]}
    home = server.http.send("GET", "/home", headers=cookie)
    statuses = (shown.status, answers[0].status, home.status)
    text = f"{server.url}: link, sign-in and home answer {statuses}, the link again {answers[1].status}"
    return Line("a sign-in link opens the pages, once", text, statuses == (200, 303, 200) and answers[1].status == 401)


def sign_in_link(server: DemoServer) -> str:
    """An address that signs the administrator's browser in, once, within ten minutes. Raises as Client.post."""
    password = Client(server.http, basic(ADMIN, server.admin_password()))
    return str(password.post("/sign-in-links", {})["url"])


def _wish(image: Reference) -> dict[str, object]:
    return {"repository": image.name, "stage": STAGE, "items": [{"reference": image.tag}]}
