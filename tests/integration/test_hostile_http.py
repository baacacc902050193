"""Block F of registry.md, 11: clients that keep no rules of HTTP, byte for byte against the real server.

Each case ends in a clean answer or a closed connection. After each the server is well, and holds no file, socket or
upload more than before: the fixture `world` sees to that. The limits of block F are in test_request_limits.py.
"""

import contextlib
import time
from typing import Final

import pytest

from tests.real.hostile import BLOB, MIB, SMALL, World, message, until
from tests.real.protocol import sha256
from tests.real.raw import chunked, request

pytestmark = pytest.mark.xdist_group("hostile-http")

FEWEST_CASES: Final = 60
SMUGGLED: Final = request("GET", "/v2/smuggled")


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
    digest = sha256(SMALL)
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


def test_who_takes_a_part_and_hangs_up_may_come_a_hundred_times(world: World) -> None:
    """containerd, pulling in parallel: `bytes=N-`, and away after its own part."""
    for number in range(100):
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
    with world.wire(world.ask("GET", f"/v2/shop/web/blobs/{sha256(SMALL)}", f"Range: {given}")) as wire:
        reply = wire.reply()

    assert reply.status == status
    assert len(reply.body) <= len(SMALL)
    assert status != 416 or reply.headers["content-range"] == f"bytes */{len(SMALL)}"


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
        reply = wire.reply()

        # A whole address without a path is, to the specification, that of our own first page.
        assert 400 <= reply.status < 500 or (reply.status, reply.headers["location"]) == (303, "/sign-in")


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


def test_block_f_has_its_cases(request: pytest.FixtureRequest) -> None:
    """All of them were collected, unless one was asked for by name."""
    files = {"test_hostile_http.py", "test_request_limits.py"}
    cases = [item for item in request.session.items if item.path.name in files]
    print(f"block F, hostile HTTP: {len(cases) - 1} cases")

    assert len(cases) > FEWEST_CASES or len({item.path.name for item in request.session.items}) < 3
