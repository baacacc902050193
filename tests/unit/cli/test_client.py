"""The API client against a real HTTP server on loopback."""

import contextlib
import json
import os
import stat
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import pytest

from entrepot.cli.client import Client, JobFailedError, TimedOutError, artifact_path
from entrepot.cli.credentials import Credentials, Login
from entrepot.cli.http import Http, Server
from entrepot.errors import (
    ConflictError,
    DeniedError,
    EntrepotError,
    InvalidError,
    LimitError,
    NotFoundError,
    UnauthenticatedError,
    UnavailableError,
)
from entrepot.oci.reference import Reference

pytestmark = pytest.mark.enable_socket

Answer = tuple[int, object]


@dataclass
class Request:
    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes


@dataclass
class Peer:
    """A server that answers what it is told to, and remembers what it was asked."""

    url: str = ""
    answer: Callable[[Request], Answer] = lambda _: (200, {})
    requests: list[Request] = field(default_factory=list)

    def client(self, authorization: str = "") -> Client:
        return Client(Http(Server.parse(self.url, insecure=False)), authorization)


@pytest.fixture
def peer() -> Iterator[Peer]:
    peer = Peer()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def serve(self) -> None:
            parts = urlsplit(self.path)
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            headers = {name.lower(): value for name, value in self.headers.items()}
            request = Request(self.command, parts.path, dict(parse_qsl(parts.query)), headers, body)
            peer.requests.append(request)
            status, document = peer.answer(request)
            data = document if isinstance(document, bytes) else json.dumps(document).encode()
            self.send_response(status)
            if status in {301, 307}:
                self.send_header("Location", "/elsewhere")
            self.send_header("Content-Length", str(len(data)))
            self.send_header("Connection", "close")
            self.end_headers()
            with contextlib.suppress(BrokenPipeError):  # a client that gave up
                self.wfile.write(data)

        do_GET = do_POST = do_PUT = serve  # noqa: N815  names of http.server

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    peer.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield peer
    server.shutdown()
    thread.join()
    server.server_close()


def problem(status: int, detail: str, **more: object) -> Answer:
    return status, {"type": "about:blank", "title": "t", "status": status, "detail": detail, **more}


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, InvalidError),
        (401, UnauthenticatedError),
        (403, DeniedError),
        (404, NotFoundError),
        (409, ConflictError),
        (413, LimitError),
        (422, InvalidError),
        (429, LimitError),
        (503, UnavailableError),
        (500, EntrepotError),
        (307, EntrepotError),
    ],
)
def test_a_problem_is_an_error_of_its_kind_with_the_servers_line(
    peer: Peer, status: int, kind: type[EntrepotError]
) -> None:
    peer.answer = lambda _: problem(status, "why it failed")

    with pytest.raises(EntrepotError, match="why it failed") as caught:
        peer.client().get("/whoami")
    assert type(caught.value) is kind
    assert len(peer.requests) == 1


def test_a_problem_names_every_faulty_field(peer: Peer) -> None:
    faults = [{"pointer": "/name", "message": "too long"}, {"pointer": "/days", "message": "too many"}]
    peer.answer = lambda _: problem(422, "the request is invalid", errors=faults)

    with pytest.raises(InvalidError) as caught:
        peer.client().post("/projects", {"name": "x"})
    assert caught.value.message == "the request is invalid; /name: too long; /days: too many"


@pytest.mark.parametrize("body", [b"<html>", b"[1]", b"\xff", b"[" * 100_000])
def test_an_answer_that_is_no_object_is_an_error(peer: Peer, body: bytes) -> None:
    peer.answer = lambda _: (200, body)

    with pytest.raises(EntrepotError, match="no JSON object"):
        peer.client().get("/whoami")


def test_a_server_that_is_not_there_is_unavailable() -> None:
    gone = Client(Http(Server.parse("http://127.0.0.1:1", insecure=False)), "")

    with pytest.raises(UnavailableError, match=r"no server answers at http://127\.0\.0\.1:1"):
        gone.get("/whoami")


def test_a_server_that_is_silent_is_given_up(peer: Peer) -> None:
    released = threading.Event()

    def stay_silent(_: Request) -> Answer:
        released.wait(10)
        return 200, {}

    peer.answer = stay_silent
    http = Http(Server.parse(peer.url, insecure=False), read_seconds=0.05)

    with pytest.raises(UnavailableError):
        Client(http, "").get("/whoami")
    released.set()


def test_a_list_is_read_page_after_page(peer: Peer) -> None:
    pages = {None: ([{"n": 1}, {"n": 2}], "c1"), "c1": ([{"n": 3}], None)}

    def answer(request: Request) -> Answer:
        items, cursor = pages[request.query.get("after")]
        return 200, {"items": items, "next": cursor}

    peer.answer = answer
    found = list(peer.client().items("/jobs", {"state": "done"}))

    assert [item["n"] for item in found] == [1, 2, 3]
    assert [request.query["state"] for request in peer.requests] == ["done", "done"]


def test_a_list_ends_at_the_number_wanted_and_asks_for_no_more(peer: Peer) -> None:
    peer.answer = lambda request: (200, {"items": [{}] * int(request.query["limit"]), "next": "more"})

    assert len(list(peer.client().items("/audit", {}, 700))) == 700
    assert [request.query["limit"] for request in peer.requests] == ["500", "200"]


def test_a_server_that_gives_more_than_was_asked_for_is_not_believed(peer: Peer) -> None:
    peer.answer = lambda _: (200, {"items": [{}] * 9, "next": "more"})

    assert len(list(peer.client().items("/audit", {}, 4))) == 4


def test_a_total_is_asked_for_with_the_filter_and_one_item(peer: Peer) -> None:
    peer.answer = lambda _: (200, {"items": [{}], "next": "more", "total": 7})

    assert peer.client().total("/jobs", {"filter": "state=done"}) == 7
    assert [each.query for each in peer.requests] == [{"filter": "state=done", "limit": "1", "count": "true"}]


def test_an_answer_without_a_total_is_an_error(peer: Peer) -> None:
    peer.answer = lambda _: (200, {"items": [], "next": None, "total": None})

    with pytest.raises(EntrepotError, match="no list"):
        peer.client().total("/jobs")


def test_a_file_is_uploaded_as_it_is(peer: Peer, tmp_path: Path) -> None:
    file = tmp_path / "feed"
    file.write_bytes(os.urandom(300_000))
    peer.answer = lambda _: (202, {"job": "7"})

    assert peer.client().upload("/feeds", file, {"source": "s"}) == {"job": "7"}
    assert peer.requests[0].body == file.read_bytes()
    assert peer.requests[0].query == {"source": "s"}


def test_a_job_is_waited_for_until_it_is_done(peer: Peer) -> None:
    states = iter(["waiting", "running", "done"])
    peer.answer = lambda _: (200, {"id": "7", "state": next(states)})

    assert peer.client().wait_for_job("7")["state"] == "done"


def test_a_failed_job_fails_with_its_own_reason(peer: Peer) -> None:
    peer.answer = lambda _: (200, {"name": "feed.import", "state": "failed", "error": "line 3 is no record"})

    with pytest.raises(JobFailedError, match=r"feed\.import failed: line 3 is no record"):
        peer.client().wait_for_job("7")


def test_waiting_for_a_job_ends_in_time(peer: Peer) -> None:
    peer.answer = lambda _: (200, {"state": "running"})

    with pytest.raises(TimedOutError):
        peer.client().wait_for_job("7", 0.05)


def test_slashes_of_a_repository_stay_slashes() -> None:
    assert artifact_path(Reference.parse("shop/web:1.0")) == "/repositories/shop/web/-/artifacts/1.0"


@pytest.mark.parametrize("host", ["127.0.0.1:5000", "localhost", "[::1]:8080", "127.8.9.1", "a.localhost:80"])
def test_this_machine_needs_no_encryption(host: str) -> None:
    assert Server.parse(host, insecure=False).url.startswith("http://")


@pytest.mark.parametrize("host", ["registry.example.org", "10.0.0.7:5000", "localhost.example.org", "0.0.0.0:5000"])
def test_credentials_are_not_sent_to_another_machine_over_plain_http(host: str) -> None:
    with pytest.raises(DeniedError, match="plain HTTP"):
        Server.parse(f"http://{host}", insecure=False)
    assert Server.parse(f"http://{host}", insecure=True).url == f"http://{host}"
    assert Server.parse(host, insecure=False).url == f"https://{host}"


@pytest.mark.parametrize(
    "text",
    ["", "ftp://h", "http://", "https://h/path", "https://h?x=1", "https://u:p@h", "https://h:99999", "//", "[::"],
)
def test_what_is_no_address_is_refused_without_echo(text: str) -> None:
    with pytest.raises(InvalidError) as caught:
        Server.parse(text, insecure=True)
    assert "u:p" not in caught.value.message


def test_a_redirect_elsewhere_gets_no_credentials(peer: Peer) -> None:
    http = Http(Server.parse(peer.url, insecure=False))

    with pytest.raises(DeniedError):
        http.send("GET", "http://127.0.0.1:1/token", headers={"Authorization": "secret"})
    assert peer.requests == []


def user(tmp_path: Path, **environment: str) -> dict[str, str]:
    return {"XDG_CONFIG_HOME": str(tmp_path), **environment}


def saved(tmp_path: Path, *logins: Login) -> Credentials:
    credentials = Credentials.of_user(user(tmp_path))
    for login in logins:
        credentials.save(login)
    return credentials


LOCAL = Login("http://127.0.0.1:5000", "ada", "ent_pat_local", "2030-01-01T00:00:00Z")
REMOTE = Login("https://registry.example.org", "ada", "ent_pat_remote", "2030-01-01T00:00:00Z")


def test_without_anything_the_server_is_this_machines_and_nobody_asks(tmp_path: Path) -> None:
    client = Client.of_user(None, user(tmp_path), insecure=False)

    assert (client.http.server.url, client.authorization) == ("http://127.0.0.1:5000", "")


def test_the_flag_precedes_the_environment_which_precedes_the_last_login(tmp_path: Path) -> None:
    saved(tmp_path, LOCAL, REMOTE)
    environment = user(tmp_path, ENTREPOT_URL="http://127.0.0.1:7000")

    urls = [
        Client.of_user("http://127.0.0.1:6000", environment, insecure=False).http.server.url,
        Client.of_user(None, environment, insecure=False).http.server.url,
        Client.of_user(None, user(tmp_path), insecure=False).http.server.url,
    ]

    assert urls == ["http://127.0.0.1:6000", "http://127.0.0.1:7000", "https://registry.example.org"]


def test_a_saved_token_goes_to_its_own_server_only(tmp_path: Path) -> None:
    saved(tmp_path, LOCAL, REMOTE)

    own = Client.of_user("127.0.0.1:5000", user(tmp_path), insecure=False)
    other = Client.of_user("https://other.example.org", user(tmp_path), insecure=False)

    assert (own.authorization, other.authorization) == ("Bearer ent_pat_local", "")


def test_a_name_and_password_of_the_environment_precede_a_saved_token(tmp_path: Path) -> None:
    saved(tmp_path, LOCAL)
    environment = user(tmp_path, ENTREPOT_USERNAME="shop+ci", ENTREPOT_PASSWORD="s:ß")

    assert Client.of_user(None, environment, insecure=False).authorization == "Basic c2hvcCtjaTpzOsOf"


def test_a_name_without_a_password_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidError, match="together"):
        Client.of_user(None, user(tmp_path, ENTREPOT_USERNAME="ci"), insecure=False)


def test_consent_to_plain_http_is_kept_with_the_login(tmp_path: Path) -> None:
    saved(tmp_path, Login("http://10.0.0.7:5000", "ada", "t", "", insecure=True))

    assert Client.of_user(None, user(tmp_path), insecure=False).http.server.url == "http://10.0.0.7:5000"


def test_saved_logins_are_readable_by_their_owner_only(tmp_path: Path) -> None:
    path = saved(tmp_path, LOCAL).path

    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert [each.name for each in path.parent.iterdir()] == ["credentials.json"]


def test_a_second_login_at_a_server_replaces_the_first(tmp_path: Path) -> None:
    again = Login(LOCAL.url, "bob", "ent_pat_new", "")
    credentials = saved(tmp_path, LOCAL, REMOTE, again)

    assert (credentials.of(LOCAL.url), credentials.current()) == (again, again)


def test_a_login_that_ended_leaves_the_one_before_as_current(tmp_path: Path) -> None:
    credentials = saved(tmp_path, LOCAL, REMOTE)

    assert credentials.forget(REMOTE.url)
    assert not credentials.forget(REMOTE.url)
    assert credentials.current() == LOCAL


@pytest.mark.parametrize("text", ["", "{}", '{"logins": [{"url": 1}]}', "[" * 100_000, "\x00"])
def test_damaged_logins_are_an_error_that_says_what_to_do(tmp_path: Path, text: str) -> None:
    credentials = saved(tmp_path, LOCAL)
    credentials.path.write_text(text)

    with pytest.raises(InvalidError, match="delete it and log in again"):
        credentials.current()
