"""Block F of registry.md, 11: clients that keep no rules of HTTP, byte for byte against the real server.

Each case ends in a clean answer or a closed connection. After each the server is well, and holds no file, socket or
upload more than before: the fixture `world` sees to that. Times are set low, so that a minute is a second.
"""

import base64
import contextlib
import json
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import pytest

from entrepot.access.secrets import ROBOT, new_secret
from tests.real.protocol import Registry, sha256
from tests.real.raw import SECONDS, Reply, Wire, chunked, request, wires
from tests.real.server import Credential, Server, new_server, running

pytestmark = pytest.mark.xdist_group("hostile-http")

IDLE: Final = 2.0
WINDOW: Final = 1.5
RATE: Final = 10_000
PRINCIPAL: Final = 6
ADDRESS: Final = 4
SLACK: Final = 4.0
STEADY: Final = 20
FEWEST_CASES: Final = 60
MIB: Final = 1 << 20
BLOB: Final = os.urandom(64) * (16 * MIB // 64)
SMUGGLED: Final = request("GET", "/v2/smuggled")
LIMITS: Final = {
    "WEB_WORKERS": "1",
    "LIMITS__IDLE": f"{IDLE:.0f}s",
    "LIMITS__BODY_WINDOW": f"{WINDOW * 1000:.0f}ms",
    "LIMITS__QUEUE": "300ms",
    "LIMITS__IN_FLIGHT_PRINCIPAL": str(PRINCIPAL),
    "LIMITS__IN_FLIGHT_ADDRESS": str(ADDRESS),
}


@dataclass(frozen=True)
class World:
    """The server, a robot of the project `shop`, the web worker, and how many sockets that has open with no client."""

    server: Server
    robot: Credential
    worker: int
    open: int = 0

    @property
    def port(self) -> int:
        return self.server.port

    @property
    def auth(self) -> str:
        secret = f"{self.robot.login}:{self.robot.secret}".encode()
        return "Authorization: Basic " + base64.b64encode(secret).decode()

    @property
    def registry(self) -> Registry:
        return Registry(self.server.host).as_(self.robot)

    def wire(self, *data: bytes) -> Wire:
        """A new connection, on which *data* was sent."""
        made = Wire(self.port)
        for each in data:
            made.send(each)
        return made

    def ask(self, method: str, target: str, *headers: str, body: bytes = b"", version: str = "HTTP/1.1") -> bytes:
        """A request of the robot."""
        return request(method, target, self.auth, *headers, body=body, version=version)

    def uploads(self) -> int:
        """Uploads that somebody is writing to."""
        with contextlib.closing(sqlite3.connect(self.server.data / "entrepot.db")) as database:
            return int(database.execute("SELECT count(*) FROM upload WHERE lease != ''").fetchone()[0])

    def files(self) -> int:
        """Sockets and files of the store that the web worker has open."""
        found = 0
        for link in Path(f"/proc/{self.worker}/fd").iterdir():
            with contextlib.suppress(OSError):
                target = str(link.readlink())
                found += target.startswith("socket:") or "/blobs/" in target
        return found

    def breaches(self, limit: str) -> float:
        """How often a limit was passed, as the server counts it."""
        with self.wire(request("GET", "/metrics")) as wire:
            lines = wire.reply().body.decode().splitlines()
        name = f'entrepot_limit_breaches_total{{limit="{limit}"}} '
        return sum(float(line.removeprefix(name)) for line in lines if line.startswith(name))


@pytest.fixture(scope="module")
def whole_world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    limits = {f"ENTREPOT_SERVER__{name}": value for name, value in LIMITS.items()}
    with running(new_server(tmp_path_factory.mktemp("hostile"), **limits)) as server:
        server.create_project("shop")
        robot = server.create_robot("shop", "ci")
        workers = [pid for pid, command in server.processes().items() if "--role web" in command]
        registry = Registry(server.host).as_(robot)
        registry.push_image("shop/web", "v1", [b"layer", BLOB])
        server.http.clear()
        world = World(server, robot, max(workers, key=lambda pid: len(ancestors(pid))))
        seen = list(range(STEADY))

        def steady() -> bool:
            seen.append(world.files())
            return len(set(seen[-STEADY:])) == 1

        until("no client is left", steady)
        yield replace(world, open=seen[-1])


@pytest.fixture
def world(whole_world: World) -> Iterator[World]:
    """The server, which is as it was when the test is over."""
    yield whole_world
    with whole_world.wire(request("GET", "/readyz")) as wire:
        assert wire.reply().status == 200
    until("every file and socket is closed", lambda: whole_world.files() <= whole_world.open)
    until("no upload is held", lambda: whole_world.uploads() == 0)


def ancestors(pid: int) -> list[int]:
    """The parents of a process, up to the first."""
    found = []
    while pid > 1:
        pid = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
        found.append(pid)
    return found


def until(claim: str, holds: Callable[[], bool], seconds: float = SECONDS) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, f"not within {seconds} s: {claim}"
        time.sleep(0.02)


def message(reply: Reply) -> str:
    """The text of a refusal, on either face."""
    document = reply.json
    return str(document["errors"][0]["message"] if "detail" not in document else document["detail"])


# What two servers could read in two ways

AMBIGUOUS: Final = {
    "two hosts": ("Host: other",),
    "two types": ("Content-Type: a/b", "Content-Type: c/d", "Content-Length: 0"),
    "two transfer codings": ("Transfer-Encoding: chunked", "Transfer-Encoding: chunked"),
    "gzip before chunked": ("Transfer-Encoding: gzip, chunked",),
    "two credentials": ("Authorization: Basic eDp5",),
    "two ranges": ("Range: bytes=0-1", "Range: bytes=2-3"),
    "two content ranges": ("Content-Range: 0-1", "Content-Range: 1-2"),
}


@pytest.mark.parametrize("case", AMBIGUOUS)
def test_what_could_be_read_in_two_ways_is_refused_with_the_reason(world: World, case: str) -> None:
    before = world.breaches("framing")
    body = chunked(b"abc") if "oding" in case or "gzip" in case else b""
    with world.wire(world.ask("POST", "/v2/shop/web/blobs/uploads/", *AMBIGUOUS[case], body=body)) as wire:
        (reply,) = wire.replies()

    assert (reply.status, reply.closes) == (400, True)
    assert message(reply)
    assert world.breaches("framing") == before + 1


BROKEN: Final = {
    "two lengths that differ": ("Content-Length: 3", "Content-Length: 4"),
    "a list of lengths": ("Content-Length: 3, 3",),
    "a signed length": ("Content-Length: +3",),
    "a negative length": ("Content-Length: -3",),
    "a hexadecimal length": ("Content-Length: 0x3",),
    "a length without end": ("Content-Length: 99999999999999999999999",),
    "the largest length": ("Content-Length: 18446744073709551615",),
    "an unknown coding": ("Transfer-Encoding: xchunked",),
    "chunked is not the last": ("Transfer-Encoding: chunked, gzip",),
    "a space before the colon": ("Transfer-Encoding : chunked",),
    "a vertical tab": ("Transfer-Encoding: \x0bchunked",),
    "NUL in a value": ("X: a\0b",),
    "NUL in a name": ("X\0: a",),
    "a folded line": ("X: a", " b"),
    "a bare CR": ("X: a\rY: b",),
    "no colon": ("Xy",),
}


@pytest.mark.parametrize("case", BROKEN)
def test_what_is_no_http_is_refused(world: World, case: str) -> None:
    data = world.ask("POST", "/v2/shop/web/blobs/uploads/", *BROKEN[case], body=chunked(b"abc"))
    with world.wire(data + SMUGGLED) as wire:
        (reply,) = wire.replies()

    assert reply.status in {400, 431}


def test_a_length_beside_a_transfer_coding_ends_the_connection_and_smuggles_nothing(world: World) -> None:
    """RFC 9112, 6.1: the coding counts, the length is dropped, and the connection ends after the answer."""
    for order in (
        ("Content-Length: 4", "Transfer-Encoding: chunked"),
        ("Transfer-Encoding: chunked", "Content-Length: 4"),
    ):
        data = world.ask("POST", "/v2/shop/web/blobs/uploads/", *order, body=chunked() + SMUGGLED)
        with world.wire(data) as wire:
            (reply,) = wire.replies()

        assert (reply.status, reply.closes) == (202, True)


def test_a_length_twice_the_same_is_one_length(world: World) -> None:
    data = world.ask("POST", "/v2/shop/web/blobs/uploads/", "Content-Length: 3", "Content-Length: 3", body=b"abc")
    with world.wire(data) as wire:
        (reply,) = wire.replies()

    assert reply.status == 202


@pytest.mark.parametrize("form", ["all lines", "one header"])
def test_a_bare_line_feed_splits_no_request(world: World, form: str) -> None:
    """The server takes it for a line end, as RFC 9112, 2.2, allows: then everybody behind it must see one request."""
    data = world.ask("GET", "/v2/", "X: a\nY: b")
    with world.wire(data.replace(b"\r\n", b"\n") if form == "all lines" else data) as wire:
        assert wire.reply().status == 200
        assert wire.is_open()


@pytest.mark.parametrize("version", ["HTTP/1.1", "HTTP/1.0"])
def test_a_missing_host_is_refused_where_the_version_has_one(world: World, version: str) -> None:
    data = request("GET", "/healthz", version=version, host="")
    with world.wire(data) as wire:
        (reply,) = wire.replies()

    assert reply.status == (400 if version == "HTTP/1.1" else 200)


@pytest.mark.parametrize(
    "first",
    [
        b"GET /v2/\r\n\r\n",
        b"GET /v2/ HTTP/1.2\r\nHost: x\r\n\r\n",
        b"GET /v2/ HTTP/2.0\r\nHost: x\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET  /v2/ HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /v2/ HTTP/1.1\r\n X: y\r\nHost: x\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(200),
        b"SSH-2.0-OpenSSH_9.2\r\n",
        bytes(1000),
    ],
    ids=["0.9", "1.2", "2.0", "h2", "spaces", "space first", "TLS", "SSH", "zeros"],
)
def test_other_protocols_are_told_or_cut_off(world: World, first: bytes) -> None:
    with world.wire(first) as wire:
        replies = wire.replies()

    assert [reply.status for reply in replies] in ([], [400])


@pytest.mark.parametrize("wanted", ["h2c", "websocket"])
def test_nobody_is_upgraded(world: World, wanted: str) -> None:
    with world.wire(
        world.ask("GET", "/v2/", "Connection: Upgrade", f"Upgrade: {wanted}", "Sec-WebSocket-Version: 13")
    ) as wire:
        assert wire.reply().status == 200
        assert wire.is_open()


# How large


def test_a_request_line_at_the_limit_is_read_and_a_byte_more_is_not(world: World) -> None:
    before = world.breaches("request_line")
    path = "/v2/shop/" + "a" * (8192 - len("GET /v2/shop/ HTTP/1.1\r\n"))
    with world.wire(world.ask("GET", path)) as wire:
        assert wire.reply().status == 404
        assert wire.is_open()
    with world.wire(world.ask("GET", path + "a")) as wire:
        (reply,) = wire.replies()

    assert (reply.status, reply.closes) == (414, True)
    assert message(reply) == "the request line is longer than the limit of 8192 bytes"
    assert world.breaches("request_line") == before + 1


def test_headers_at_the_limit_are_read_and_a_byte_more_is_not(world: World) -> None:
    before = world.breaches("headers")
    rest = 32768 - len(f"Host: registry.example\r\n{world.auth}\r\nX: \r\n")
    with world.wire(world.ask("GET", "/v2/", "X: " + "a" * rest)) as wire:
        assert wire.reply().status == 200
    with world.wire(world.ask("GET", "/v2/", "X: " + "a" * (rest + 1))) as wire:
        (reply,) = wire.replies()

    assert (reply.status, reply.closes) == (431, True)
    assert message(reply) == "the headers have more than 32768 bytes"
    assert world.breaches("headers") == before + 1


def test_a_hundred_headers_are_read_and_one_more_is_not(world: World) -> None:
    with world.wire(world.ask("GET", "/v2/", *(f"X{number}: a" for number in range(98)))) as wire:
        assert wire.reply().status == 200
    with world.wire(world.ask("GET", "/v2/", *(f"X{number}: a" for number in range(99)))) as wire:
        (reply,) = wire.replies()

    assert reply.status == 431


@pytest.mark.parametrize("size", [200_000, 300_000, 5_000_000])
def test_a_header_without_end_is_refused(world: World, size: int) -> None:
    with world.wire(world.ask("GET", "/v2/", "X: " + "a" * size)) as wire:
        (reply,) = wire.replies()

    assert reply.status == 431


def test_ten_thousand_headers_are_refused(world: World) -> None:
    with world.wire(world.ask("GET", "/v2/", *(f"X{number}: a" for number in range(10_000)))) as wire:
        (reply,) = wire.replies()

    assert reply.status == 431


@pytest.mark.parametrize("target", ["/v2/shop/web/manifests/big", "/api/v1/projects"])
def test_who_sends_a_gigabyte_too_much_sees_why_while_it_is_under_way(world: World, target: str) -> None:
    method = "PUT" if "manifests" in target else "POST"
    wire = world.wire(world.ask(method, target, f"Content-Length: {1 << 30}", "Content-Type: application/json"))
    with wire:
        wire.send(bytes(MIB))
        reply = wire.reply()
        assert (reply.status, reply.closes) == (413, True)
        assert "larger than the limit" in message(reply)
        assert wire.send(bytes(8 * MIB))  # one who does not listen is borne with for a while


def test_who_is_not_known_hears_so_while_his_gigabyte_is_under_way(world: World) -> None:
    data = request("PATCH", "/v2/shop/web/blobs/uploads/01M88CHGFX2GDFHNDXR18CDDZD", "Transfer-Encoding: chunked")
    with world.wire(data, b"100000\r\n" + bytes(MIB) + b"\r\n") as wire:
        reply = wire.reply()
        assert (reply.status, reply.closes) == (401, True)
        assert wire.send(b"100000\r\n" + bytes(MIB) + b"\r\n")
        wire.send(b"0\r\n\r\n")
        assert wire.replies() == []


def test_who_asks_before_he_sends_is_told_to_go_on(world: World) -> None:
    data = b"expected"
    target = f"/v2/shop/web/blobs/uploads/?digest={sha256(data)}"
    with world.wire(world.ask("POST", target, f"Content-Length: {len(data)}", "Expect: 100-continue")) as wire:
        assert wire.reply().status == 100
        wire.send(data)
        assert wire.reply().status == 201
        assert wire.is_open()


def test_who_asks_before_he_sends_is_refused_without_sending(world: World) -> None:
    data = request("PUT", "/v2/shop/web/manifests/v2", f"Content-Length: {1 << 30}", "Expect: 100-continue")
    with world.wire(data) as wire:
        (reply,) = wire.replies()

    assert (reply.status, reply.closes) == (401, True)


# How slow


def test_a_connection_that_says_nothing_ends(world: World) -> None:
    with world.wire() as wire:
        seconds = wire.closed_after()

    assert IDLE - 0.1 < seconds < IDLE + SLACK


def test_a_connection_that_says_nothing_more_ends(world: World) -> None:
    with world.wire(world.ask("GET", "/v2/")) as wire:
        assert wire.reply().status == 200
        seconds = wire.closed_after()

    assert IDLE - 0.1 < seconds < IDLE + SLACK


def test_headers_that_drip_end(world: World) -> None:
    began = time.monotonic()
    with world.wire() as wire:
        assert not wire.drip(world.ask("GET", "/v2/", "X: " + "a" * 1000), 0.05)
        assert wire.replies() == []

    assert IDLE - 0.1 < time.monotonic() - began < IDLE + SLACK


def test_two_hundred_idle_connections_end(world: World) -> None:
    with wires(world.port, 200) as many:
        for each in many[:100]:
            each.send(b"GET /v2/ HT")
        assert sum(each.closed_after() for each in many) < IDLE + SLACK


SLOW: Final = {
    "nothing comes": ("PUT", "/v2/shop/web/manifests/slow", "Content-Length: 1000", b""),
    "a byte at a time": ("PUT", "/v2/shop/web/manifests/slow", "Content-Length: 1000", b"{" * 900),
    "a chunk at a time": ("PUT", "/v2/shop/web/manifests/slow", "Transfer-Encoding: chunked", b"1\r\n{\r\n" * 200),
    "half a chunk": ("PUT", "/v2/shop/web/manifests/slow", "Transfer-Encoding: chunked", b"ffffffff\r\nabc"),
    "the longest chunk": ("PUT", "/v2/shop/web/manifests/slow", "Transfer-Encoding: chunked", b"FFFFFFFFFFFFFFFF\r\na"),
    "a form": ("POST", "/v2/auth", "Content-Length: 1000", b"grant_type=password"),
    "a document of the API": ("POST", "/api/v1/projects", "Content-Length: 1000", b'{"name":'),
}


@pytest.mark.parametrize("case", SLOW)
def test_a_body_that_is_too_slow_ends_with_the_reason(world: World, case: str) -> None:
    method, target, framing, data = SLOW[case]
    kind = "application/x-www-form-urlencoded" if case == "a form" else "application/json"
    before, began = world.breaches("body_rate"), time.monotonic()
    with world.wire(world.ask(method, target, framing, f"Content-Type: {kind}")) as wire:
        wire.drip(data, 0.01)
        (reply,) = wire.replies()

    assert (reply.status, reply.closes) == (408, True)
    assert message(reply) == f"the body came slower than {RATE} bytes a second, over {WINDOW:g} s"
    assert WINDOW - 0.1 < time.monotonic() - began < WINDOW + SLACK
    assert world.breaches("body_rate") == before + 1


@pytest.mark.parametrize("framing", ["Content-Length: 1000000", "Transfer-Encoding: chunked"])
def test_an_upload_that_is_too_slow_ends_and_another_may_go_on_with_it(world: World, framing: str) -> None:
    location = world.registry.begin("shop/web")
    with world.wire(world.ask("PATCH", location, framing)) as wire:
        wire.drip(b"1\r\na\r\n" * 50, 0.01)
        (reply,) = wire.replies()
    assert reply.status == 408
    again = world.registry.ask("PATCH", location, b"all of it", {"Content-Range": "0-8"})

    assert (again.status, again.header("Range")) == (202, "0-8")


def test_a_body_a_little_faster_than_the_least_is_read(world: World) -> None:
    """For three times the window, in pieces of a tenth of a second."""
    pieces, size = round(3 * WINDOW * 10), RATE // 10 + 500
    data = b"x" * pieces * size
    target = f"/v2/shop/web/blobs/uploads/?digest={sha256(data)}"
    with world.wire(world.ask("POST", target, f"Content-Length: {len(data)}")) as wire:
        for _ in range(pieces):
            wire.send(b"x" * size)
            time.sleep(0.1)
        assert wire.reply().status == 201


def test_who_reads_nothing_keeps_nobody_else_from_reading(world: World) -> None:
    digest = sha256(BLOB)
    with wires(world.port, 20) as readers:
        for each in readers:
            each.send(world.ask("GET", f"/v2/shop/web/blobs/{digest}"))
            assert each.line.recv(1) == b"H"
        assert world.registry.ask("GET", f"/v2/shop/web/blobs/{digest}").body == BLOB
        with world.wire(request("GET", "/healthz")) as wire:
            assert wire.reply().status == 200


# How many


@contextlib.contextmanager
def stalled(world: World, count: int, target: str, *headers: str) -> Iterator[None]:
    """*count* requests in flight, whose bodies come just fast enough."""
    stop = threading.Event()
    with wires(world.port, count) as many:
        for each in many:
            each.send(request("POST", target, *headers, "Content-Length: 900000", body=bytes(4096)))

        def feed() -> None:
            while not stop.wait(0.1):
                for each in many:
                    each.send(bytes(2048))

        feeder = threading.Thread(target=feed)
        feeder.start()
        try:
            time.sleep(0.2)
            yield
        finally:
            stop.set()
            feeder.join()


def test_one_request_more_than_an_account_may_have_waits_and_is_then_refused(world: World) -> None:
    before = world.breaches("in_flight")
    target = f"/v2/shop/web/blobs/uploads/?digest={sha256(b'never')}"
    with stalled(world, PRINCIPAL - 1, target, world.auth):
        with world.wire(world.ask("GET", "/v2/")) as wire:
            assert wire.reply().status == 200
        with stalled(world, 1, target, world.auth):
            began = time.monotonic()
            with world.wire(world.ask("GET", "/v2/")) as wire:
                reply = wire.reply()
            assert time.monotonic() - began >= 0.3
            assert world.server.request("GET", "/api/v1/projects").status == 200  # another account
    assert (reply.status, reply.headers["retry-after"]) == (429, "5")
    assert message(reply) == "too many of your requests at once: no turn came within 0.3 s; try again later"
    assert world.breaches("in_flight") == before + 1
    until("the account is served again", lambda: world.registry.ask("GET", "/v2/").status == 200)
    world.server.http.clear()


def test_a_request_that_waits_for_its_turn_is_answered_when_it_comes(world: World) -> None:
    target = f"/v2/shop/web/blobs/uploads/?digest={sha256(b'never')}"
    with contextlib.ExitStack() as held:
        held.enter_context(stalled(world, PRINCIPAL, target, world.auth))
        wire = world.wire(world.ask("GET", "/v2/"))
        time.sleep(0.1)
    with wire:
        assert wire.reply().status == 200


def test_one_request_more_than_an_address_may_have_waits_and_is_then_refused(world: World) -> None:
    with stalled(world, ADDRESS, "/api/v1/projects", "Content-Type: application/json"):
        with world.wire(request("GET", "/v2/")) as wire:
            reply = wire.reply()
        with world.wire(request("GET", "/api/v1/projects")) as wire:
            problem = wire.reply()
        with world.wire(request("GET", "/healthz")) as wire:
            assert wire.reply().status == 200
        assert world.registry.ask("GET", "/v2/").status == 200

    assert (reply.status, reply.headers["retry-after"], reply.json["errors"][0]["code"]) == (
        429,
        "5",
        "TOOMANYREQUESTS",
    )
    assert (problem.status, problem.headers["retry-after"]) == (429, "5")
    assert problem.headers["content-type"] == "application/problem+json"


# Pipelines, bodies where there are none, ends before the end


def test_pipelined_requests_are_answered_one_after_the_other(world: World) -> None:
    paths = ["/v2/", "/v2/shop/web/manifests/v1", "/v2/shop/web/manifests/none"] * 30
    with world.wire(b"".join(world.ask("GET", path) for path in paths)) as wire:
        assert [wire.reply().status for _ in paths] == [200, 200, 404] * 30
        assert wire.is_open()


def test_after_a_bad_request_the_rest_of_the_pipeline_is_not_read(world: World) -> None:
    with world.wire(world.ask("GET", "/v2/") + world.ask("GET", "/v2/", "Host: other") + SMUGGLED) as wire:
        assert [reply.status for reply in wire.replies()] == [200, 400]


@pytest.mark.parametrize("method", ["GET", "HEAD", "DELETE"])
@pytest.mark.parametrize("framing", ["length", "chunks"])
def test_a_body_where_none_belongs_is_never_taken_for_a_request(world: World, method: str, framing: str) -> None:
    body = SMUGGLED if framing == "length" else chunked(SMUGGLED)
    header = f"Content-Length: {len(body)}" if framing == "length" else "Transfer-Encoding: chunked"
    with world.wire(world.ask(method, "/v2/shop/web/manifests/none", header, body=body) + SMUGGLED) as wire:
        reply = wire.reply(head=method == "HEAD")
        assert (reply.status in {403, 404}, reply.closes) == (True, True)
        assert wire.replies() == []


def test_the_length_of_an_answer_to_head_is_that_of_the_answer_to_get(world: World) -> None:
    digest = sha256(BLOB)
    for path in ("/v2/shop/web/manifests/v1", f"/v2/shop/web/blobs/{digest}"):
        with world.wire(world.ask("HEAD", path) + world.ask("GET", path)) as wire:
            head, get = wire.reply(head=True), wire.reply()
            assert wire.is_open()

        assert head.headers["content-length"] == get.headers["content-length"] == str(len(get.body))
        assert head.headers["docker-content-digest"] == get.headers["docker-content-digest"]


HEAD: Final = b"PATCH LOCATION HTTP/1.1\r\nHost: x\r\nAUTH\r\n"
LENGTH: Final = HEAD + b"Content-Length: 100000\r\n\r\n"
CHUNKED: Final = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
CUT: Final = {
    "in the request line": b"PATCH /v2/sh",
    "in a header": HEAD + b"Content-Le",
    "before the body": LENGTH,
    "in the body": LENGTH + bytes(50_000),
    "in a chunk": CHUNKED + b"ffff\r\nabc",
    "in a chunk's length": CHUNKED + b"3\r\nabc\r\nff",
    "before the last chunk": CHUNKED + b"3\r\nabc\r\n",
}


@pytest.mark.parametrize("how", ["closed", "reset"])
@pytest.mark.parametrize("case", CUT)
def test_who_leaves_early_leaves_an_upload_that_goes_on_where_it_stood(world: World, case: str, how: str) -> None:
    location = world.registry.begin("shop/web")
    data = CUT[case].replace(b"LOCATION", location.encode()).replace(b"AUTH", world.auth.encode())
    wire = world.wire(data)
    time.sleep(0.05)
    wire.reset() if how == "reset" else wire.line.close()
    until("nobody writes to it", lambda: world.uploads() == 0)
    state = world.registry.ask("GET", location)
    again = world.registry.ask("PATCH", location, b"all of it", {"Content-Range": "0-8"})

    assert (state.status, state.header("Range")) == (204, "0-0")
    assert (again.status, again.header("Range")) == (202, "0-8")


CHUNKS: Final = {
    "a bare line feed": b"3\nabc\n0\n\n",
    "a negative length": b"-3\r\nabc\r\n0\r\n\r\n",
    "a length with 0x": b"0x3\r\nabc\r\n0\r\n\r\n",
    "a length that overflows": b"ffffffffffffffffff\r\nabc\r\n0\r\n\r\n",
    "more than its length": b"3\r\nabcd\r\n0\r\n\r\n",
    "no length": b"\r\nabc\r\n0\r\n\r\n",
    "an extension of 20 KB": b"3;" + b"a" * 20_000 + b"\r\nabc\r\n0\r\n\r\n",
    "trailers of 100 KB": b"3\r\nabc\r\n0\r\nX: " + b"y" * 100_000 + b"\r\n\r\n",
    "ten thousand trailers": b"3\r\nabc\r\n0\r\n" + b"X: y\r\n" * 10_000 + b"\r\n",
}


@pytest.mark.parametrize("case", CHUNKS)
def test_chunks_that_are_none_are_refused_and_add_nothing(world: World, case: str) -> None:
    location = world.registry.begin("shop/web")
    with world.wire(world.ask("PATCH", location, "Transfer-Encoding: chunked", body=CHUNKS[case]) + SMUGGLED) as wire:
        (reply,) = wire.replies()
    state = world.registry.ask("GET", location)

    assert reply.status == 400
    assert message(reply) == "the body ended too early, or its chunks are not written as they must be"
    assert (state.status, state.header("Range")) == (204, "0-0")


@pytest.mark.parametrize(
    "body",
    [
        b"3;a=b\r\nabc\r\n0\r\n\r\n",
        b"0" * 100 + b"3\r\nabc\r\n0\r\n\r\n",
        b"3\r\nabc\r\n0\r\nContent-Length: 9\r\n\r\n",
    ],
    ids=["extension", "zeros", "trailer"],
)
def test_what_chunks_may_have_beside_them_changes_nothing(world: World, body: bytes) -> None:
    location = world.registry.begin("shop/web")
    with world.wire(world.ask("PATCH", location, "Transfer-Encoding: chunked", body=body)) as wire:
        reply = wire.reply()
        assert wire.is_open()

    assert (reply.status, reply.headers["range"]) == (202, "0-2")


@pytest.mark.parametrize("how", ["closed", "reset", "half closed"])
def test_who_hangs_up_during_a_blob_frees_file_and_socket(world: World, how: str) -> None:
    wire = world.wire(world.ask("GET", f"/v2/shop/web/blobs/{sha256(BLOB)}"))
    assert wire.line.recv(1000)
    if how == "reset":
        wire.reset()
    elif how == "closed":
        wire.line.close()
    else:
        wire.line.shutdown(1)
        with contextlib.suppress(ConnectionResetError):
            while wire.line.recv(MIB):
                pass
        wire.line.close()


def test_who_takes_a_part_and_hangs_up_may_come_a_thousand_times(world: World) -> None:
    """containerd, pulling in parallel: `bytes=N-`, and away after its own part."""
    for number in range(200):
        with world.wire(world.ask("GET", f"/v2/shop/web/blobs/{sha256(BLOB)}", f"Range: bytes={number}-")) as wire:
            assert wire.line.recv(100).startswith(b"HTTP/1.1 206")


# Ranges and chunks


@pytest.mark.parametrize(
    ("given", "status"),
    [
        ("bytes=5-2", 416),
        ("bytes=99999999-", 416),
        ("bytes=-0", 416),
        ("bytes=0-99999999999999999999999", 200),
        ("bytes=0-1,0-2,0-3", 200),
        ("bytes=" + ",".join(["0-0"] * 1000), 200),
        ("bytes=a-b", 200),
        ("lines=0-1", 200),
        ("bytes=--5", 200),
        ("bytes=0-0", 206),
    ],
)
def test_a_range_is_served_ignored_or_refused_and_never_more_than_the_blob(
    world: World, given: str, status: int
) -> None:
    with world.wire(world.ask("GET", f"/v2/shop/web/blobs/{sha256(BLOB)}", f"Range: {given}")) as wire:
        reply = wire.reply()

    assert reply.status == status
    assert len(reply.body) <= len(BLOB)
    assert status != 416 or reply.headers["content-range"] == f"bytes */{len(BLOB)}"


def test_chunks_out_of_order_change_nothing(world: World) -> None:
    first = world.registry.begin("shop/web")
    skipped = world.registry.ask("PATCH", first, b"later", {"Content-Range": "10-14"})
    taken = world.registry.ask("PATCH", first, b"0123456789", {"Content-Range": "0-9"})
    overlapping = world.registry.ask("PATCH", taken.header("Location"), b"89", {"Content-Range": "8-9"})
    repeated = world.registry.ask("PATCH", first, b"0123456789", {"Content-Range": "0-9"})
    longer = world.registry.ask("PATCH", taken.header("Location"), b"abc", {"Content-Range": "10-11"})
    backwards = world.registry.ask("PATCH", taken.header("Location"), b"abc", {"Content-Range": "12-10"})
    state = world.registry.ask("GET", taken.header("Location"))

    assert [each.status for each in (skipped, taken, overlapping, repeated)] == [416, 202, 416, 416]
    assert [each.status for each in (longer, backwards)] == [400, 400]
    assert overlapping.header("Range") == repeated.header("Range") == state.header("Range") == "0-9"


def test_of_writers_to_one_upload_at_once_one_is_taken(world: World) -> None:
    location = world.registry.begin("shop/web")
    with contextlib.ExitStack() as held:
        first = held.enter_context(world.wire(world.ask("PATCH", location, "Content-Length: 100", body=bytes(50))))
        until("the first one writes", lambda: world.uploads() == 1)
        others = [world.registry.ask("PATCH", location, b"other") for _ in range(5)]
        first.send(bytes(50))
        reply = first.reply()

    assert [other.status for other in others] == [416] * 5
    assert (reply.status, reply.headers["range"]) == (202, "0-99")


# Targets


@pytest.mark.parametrize(
    "target",
    [
        "/v2/shop%2Fweb/manifests/v1",
        "/v2/shop/web%2Fmanifests%2Fv1",
        "/v2/shop/../shop/web/manifests/v1",
        "/v2/shop//web/manifests/v1",
        "/v2//manifests/v1",
        "/v2/shop/web/manifests/%76%31",
        "/v2/shop/web/manifests/v1%00",
        "/v2/shop/web/manifests/..%2f..%2fetc%2fpasswd",
        "/v2/shop\\web/manifests/v1",
        "/v2/shop/web/blobs/sha256:..%2f..%2f..%2fentrepot.db",
        "/v2/shop/web/blobs/sha256:" + "0" * 64 + "/../../../entrepot.db",
        "/v2/shop/web/blobs/uploads/..%2f..%2fentrepot.db",
        "/v2/SHOP/web/manifests/v1",
        "/v2/shop/w\u00e9b/manifests/v1",
    ],
)
def test_a_target_in_disguise_names_nothing(world: World, target: str) -> None:
    with world.wire(world.ask("GET", target)) as wire:
        reply = wire.reply()

    assert reply.status in {400, 404}
    assert b"SQLite" not in reply.body


@pytest.mark.parametrize(
    "target", ["*", "registry.example:443", "http://other.example", "http://u:p@other.example/v2/x/"]
)
@pytest.mark.parametrize("method", ["OPTIONS", "CONNECT", "GET", "TRACE"])
def test_targets_meant_for_proxies_open_nothing(world: World, method: str, target: str) -> None:
    with world.wire(world.ask(method, target)) as wire, contextlib.suppress(EOFError):
        assert 400 <= wire.reply().status < 500


def test_no_host_that_a_client_names_comes_back(world: World) -> None:
    """Neither `Host`, nor an absolute target, nor a header of proxies moves where tokens are fetched or bytes sent."""
    forwarded = ("X-Forwarded-Host: evil.example", "X-Forwarded-Proto: https", "Forwarded: host=evil.example")
    with world.wire(request("GET", "http://evil.example/v2/", *forwarded, host="evil.example")) as wire:
        challenge = wire.reply().headers["www-authenticate"]
    data = request(
        "POST", "http://evil.example/v2/shop/web/blobs/uploads/", world.auth, *forwarded, host="evil.example"
    )
    with world.wire(data) as wire:
        location = wire.reply().headers["location"]

    assert f'realm="{world.server.url}/v2/auth"' in challenge
    assert location.startswith("/v2/shop/web/blobs/uploads/")


# Log-ins


def login(world: World, name: str, secret: str) -> Reply:
    basic = base64.b64encode(f"{name}:{secret}".encode()).decode()
    with world.wire(request("GET", "/v2/auth", f"Authorization: Basic {basic}")) as wire:
        return wire.reply()


def test_after_a_wrong_password_one_waits_and_others_do_not(world: World) -> None:
    before = world.breaches("log_in")
    replies = [login(world, "nobody", "wrong"), login(world, "nobody", "wrong again")]

    assert [reply.status for reply in replies] == [401, 429]
    assert replies[1].headers["retry-after"] == "1"
    assert message(replies[1]) == "wrong passwords were tried for this account from your network: try again in 1 s"
    assert login(world, "somebody", "wrong").status == 401
    assert world.breaches("log_in") == before + 1
    until("the wait is over", lambda: login(world, "nobody", "wrong").status == 401)
    assert login(world, "nobody", "wrong").headers["retry-after"] == "2"


def test_who_was_just_let_in_is_so_again_though_others_guess_at_his_password(world: World) -> None:
    good = world.server.admin
    assert login(world, good.login, good.secret).status == 200
    assert login(world, good.login, "a guess").status == 401

    assert login(world, good.login, "another").status == 429
    assert login(world, good.login, good.secret).status == 200
    assert login(world, good.login, "a guess").status == 401  # the wait began anew


def test_one_machine_with_an_old_secret_does_not_shut_out_the_others(world: World) -> None:
    old = new_secret(ROBOT)
    for _ in range(10):
        assert login(world, world.robot.login, old).status == 401

    assert login(world, world.robot.login, world.robot.secret).status == 200


def test_the_log_has_no_fault_of_ours(world: World) -> None:
    """No case above came to an error that nobody had thought of."""
    lines = [json.loads(line) for line in world.server.log.read_text().splitlines() if line.startswith("{")]

    assert [line for line in lines if line.get("event") == "request.failed" or line.get("level") == "error"] == []
    assert [line["path"] for line in lines if line.get("event") == "request" and line["status"] >= 500] == []


def test_block_f_has_its_cases(request: pytest.FixtureRequest) -> None:
    here = [item for item in request.session.items if item.path == request.path]
    print(f"block F, hostile HTTP: {len(here) - 1} cases")

    assert len(here) > FEWEST_CASES or len(here) < 3  # or one case was asked for by name
