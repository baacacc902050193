"""The limits of registry.md, 2.1, and security.md, 11, on the real server: at the limit it serves, one past it refuses.

Times and numbers are set low (tests/real/hostile.py), so that a minute is a second and a crowd is six.
"""

import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from typing import Final

import pytest

from entrepot.access.secrets import ROBOT, new_secret
from tests.real.hostile import ADDRESS, BLOB, IDLE, MIB, PRINCIPAL, RATE, SEND, WINDOW, World, message, until
from tests.real.protocol import Registry, basic, sha256
from tests.real.raw import Reply, request, wires

pytestmark = pytest.mark.xdist_group("hostile-http")

SLACK: Final = 4.0


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


def test_a_feed_that_is_too_slow_ends_with_the_reason(world: World) -> None:
    """A feed is streamed through the framework, which must not swallow it."""
    who = world.server.admin
    headers = (f"Authorization: {basic(who.login, who.secret)}", "Content-Length: 100000")
    with world.wire(request("POST", "/api/v1/feeds?source=osv", *headers, body=b"{}")) as wire:
        (reply,) = wire.replies()

    assert (reply.status, reply.closes) == (408, True)
    assert reply.headers["content-type"] == "application/problem+json"


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


def test_who_reads_nothing_has_his_own_requests_waiting_and_nobody_elses(world: World) -> None:
    digest = sha256(BLOB)
    others = Registry(world.server.host).as_(world.server.create_robot("shop", "other"))
    with wires(world.port, PRINCIPAL) as readers:
        for each in readers:
            each.send(world.ask("GET", f"/v2/shop/web/blobs/{digest}"))
            assert each.line.recv(1) == b"H"
        assert others.ask("GET", f"/v2/shop/web/blobs/{digest}").body == BLOB
        with world.wire(world.ask("GET", f"/v2/shop/web/blobs/{digest}")) as wire:
            assert wire.reply().status == 429
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
    assert (reply.status, reply.headers["retry-after"]) == (429, "1")
    assert message(reply) == "too many of your requests at once: no turn came within 0.3 s; try again in 1 s"
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
        "1",
        "TOOMANYREQUESTS",
    )
    assert (problem.status, problem.headers["retry-after"]) == (429, "1")
    assert problem.headers["content-type"] == "application/problem+json"


# Slow readers


@pytest.mark.parametrize("part", [(), ("Range: bytes=1-",)])
def test_a_client_that_takes_nothing_of_its_answer_is_cut_off(world: World, part: tuple[str, ...]) -> None:
    before, began = world.breaches("send"), time.monotonic()
    with world.wire(world.ask("GET", f"/v2/shop/web/blobs/{sha256(BLOB)}", *part)) as wire:
        until("the answer is given up", lambda: world.breaches("send") == before + 1)
        assert SEND - 0.1 < time.monotonic() - began < SEND + SLACK
        came = 0
        with contextlib.suppress(ConnectionResetError):
            while data := wire.line.recv(1 << 20):
                came += len(data)

    assert 0 < came < len(BLOB)


def test_a_client_that_takes_its_time_is_served(world: World) -> None:
    with world.wire(world.ask("GET", f"/v2/shop/web/blobs/{sha256(BLOB)}", "Connection: close")) as wire:
        came = b""
        while data := wire.line.recv(1 << 20, socket.MSG_WAITALL):
            came += data
            time.sleep(SEND / 6)

    assert came.endswith(BLOB)


# Log-ins


def login(world: World, name: str, secret: str) -> Reply:
    with world.wire(request("GET", "/v2/auth", f"Authorization: {basic(name, secret)}")) as wire:
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
