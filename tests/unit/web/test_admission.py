"""What stands before and behind a request: whose turn, and whether the rest of a body is waited for."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest

from entrepot.access.model import Principal
from entrepot.runtime.events.model import Actor
from entrepot.web.admission import Admission, address_block, part
from entrepot.web.asgi import Message
from entrepot.web.limits.body import Pace
from entrepot.web.limits.errors import TooManyRequestsError
from entrepot.web.limits.turns import Turns
from entrepot.web.request import Request

HOME = "192.0.2.7"


def admission(per_principal: int = 2, per_address: int = 1) -> Admission:
    turns, pace = Turns(100, timedelta(0)), Pace(10_000, timedelta(seconds=30))
    return Admission(turns, pace, 8192, 32768, 100, per_principal, per_address)


def request(headers: Mapping[str, str] = {}, client: str = HOME, pieces: int = 1) -> Request:
    """A request whose body comes in *pieces* of one byte."""
    left = [pieces]

    async def receive() -> Message:
        left[0] -= 1
        return {"type": "http.request", "body": b"x", "more_body": left[0] > 0}

    async def send(message: Message) -> None:
        raise AssertionError(message)

    scope: dict[str, Any] = {
        "method": "PUT",
        "path": "/v2/",
        "raw_path": b"/v2/",
        "query_string": b"",
        "http_version": "1.1",
        "client": (client, 1),
        "headers": [(b"host", b"x"), *((name.encode(), value.encode()) for name, value in headers.items())],
    }
    return Request.of(scope, receive, send)


def principal(account: int | None) -> Principal:
    return Principal(Actor("ci", "robot", account, "", HOME, "", ""))


async def test_an_account_has_its_own_turns_from_wherever_it_comes() -> None:
    doors = admission()
    for client in (HOME, "198.51.100.1"):
        await doors.by_principal(request(client=client), principal(7))

    with pytest.raises(TooManyRequestsError):
        await doors.by_principal(request(), principal(7))
    await doors.by_principal(request(), principal(8))


async def test_the_anonymous_are_counted_by_address_and_a_v6_network_is_one_address() -> None:
    doors = admission()
    await doors.by_principal(request(client="2001:db8:1:2::3"), principal(None))

    with pytest.raises(TooManyRequestsError):
        await doors.by_address(request(client="2001:db8:1:2:ffff::1"))
    await doors.by_address(request(client="2001:db8:1:3::3"))


async def test_who_turns_out_to_be_an_account_gives_the_turn_of_his_address_back() -> None:
    doors = admission()
    first = request()
    await doors.by_address(first)
    await doors.by_principal(first, principal(7))
    await doors.by_address(request())

    assert first.turn == 7


async def test_a_request_takes_one_turn_and_gives_it_back() -> None:
    doors = admission(per_principal=1)
    first = request()
    await doors.by_principal(first, principal(7))
    await doors.by_principal(first, principal(7))
    doors.leave(first)
    doors.leave(first)

    await doors.by_principal(request(), principal(7))
    assert doors.turns._total == 1


async def test_a_body_that_nobody_read_is_read_to_its_end() -> None:
    doors, given = admission(), request({"content-length": "3"}, pieces=3)
    doors.check(given)
    assert given.ends_connection()
    await doors.linger(given)

    assert given.incoming is not None
    assert given.incoming.whole


async def test_a_client_that_waits_for_100_continue_is_not_invited_after_the_answer() -> None:
    doors, given = admission(), request({"content-length": "3", "expect": "100-continue"}, pieces=3)
    doors.check(given)
    await doors.linger(given)

    assert given.incoming is not None
    assert not given.incoming.whole


async def test_nobody_lingers_beyond_the_turns_of_his_address() -> None:
    doors, given = admission(), request({"content-length": "3"}, pieces=3)
    doors.check(given)
    await doors.by_address(request())
    await doors.linger(given)

    assert given.incoming is not None
    assert not given.incoming.whole


async def test_a_request_without_a_body_has_none_to_look_after() -> None:
    doors = admission()
    for headers in ({}, {"content-length": "0"}):
        given = request(headers)
        doors.check(given)

        assert (given.incoming, given.ends_connection()) == (None, False)


@pytest.mark.parametrize(
    ("limit", "processes", "here"), [(2000, 1, 2000), (2000, 3, 667), (256, 64, 32), (3, 1, 3), (3, 8, 3), (32, 2, 32)]
)
def test_a_process_has_its_part_of_a_machine_s_limit(limit: int, processes: int, here: int) -> None:
    assert part(limit, processes) == here


@pytest.mark.parametrize(
    ("client", "block"),
    [("192.0.2.7", "192.0.2.7"), ("::ffff:192.0.2.7", "192.0.2.7"), ("2001:db8::1", "2001:db8::"), ("", "")],
)
def test_what_is_one_anonymous_client(client: str, block: str) -> None:
    assert address_block(client) == block
