"""The pace of bodies: only waiting for the client counts, at the limit it passes, below it ends."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta

import pytest

from entrepot.web.asgi import Message
from entrepot.web.limits.body import LOOKS, Incoming, Pace
from entrepot.web.limits.errors import BodyTooSlowError

RATE = 100
WINDOW = 30.0


@dataclass
class Client:
    """Sends what it is told to, when it is told to; *clock* is the time that passes for all."""

    clock: float = 0.0
    pieces: "asyncio.Queue[Message]" = field(default_factory=asyncio.Queue)

    async def __call__(self) -> Message:
        return await self.pieces.get()

    def send(self, size: int, *, more: bool = True) -> None:
        self.pieces.put_nowait({"type": "http.request", "body": bytes(size), "more_body": more})

    def now(self) -> float:
        return self.clock


@pytest.fixture
def client() -> Client:
    return Client()


def pace_of(client: Client) -> Pace:
    return Pace(RATE, timedelta(seconds=WINDOW), client.now)


async def settle() -> None:
    """Lets everything that is ready run."""
    for _ in range(5):
        await asyncio.sleep(0)


async def read_all(incoming: Incoming, work: Callable[[], object] = lambda: None) -> int:
    """Reads as the registry does; *work* is what it does with each piece."""
    size = 0
    while True:
        message = await incoming()
        size += len(message.get("body", b""))
        work()
        if not message.get("more_body", False):
            return size


async def pass_seconds(client: Client, pace: Pace, seconds: float, each_look: Callable[[], object]) -> None:
    """Time passes, with a look of the pace each thirtieth of the window."""
    step = WINDOW / LOOKS
    for _ in range(round(seconds / step)):
        each_look()
        await settle()
        client.clock += step
        pace._look()
        await settle()


async def test_a_body_at_the_least_rate_is_read_however_long_it_takes(client: Client) -> None:
    pace = pace_of(client)
    reading = asyncio.ensure_future(read_all(Incoming(client, pace)))
    await settle()
    await pass_seconds(client, pace, 10 * WINDOW, lambda: client.send(RATE))
    client.send(0, more=False)

    assert await reading == RATE * 10 * WINDOW


async def test_a_body_below_the_least_rate_ends_when_the_window_is_over(client: Client) -> None:
    pace = pace_of(client)
    reading = asyncio.ensure_future(read_all(Incoming(client, pace)))
    await settle()
    await pass_seconds(client, pace, WINDOW - 1, lambda: client.send(RATE - 1))
    assert not reading.done()
    await pass_seconds(client, pace, 1, lambda: client.send(RATE - 1))

    with pytest.raises(BodyTooSlowError, match="slower than 100 bytes a second, over 30 s"):
        await reading


async def test_a_body_of_which_nothing_comes_ends_when_the_window_is_over(client: Client) -> None:
    pace = pace_of(client)
    reading = asyncio.ensure_future(read_all(Incoming(client, pace)))
    await settle()
    await pass_seconds(client, pace, WINDOW, lambda: None)

    with pytest.raises(BodyTooSlowError):
        await reading


async def test_a_fast_beginning_does_not_buy_a_slow_end(client: Client) -> None:
    pace = pace_of(client)
    reading = asyncio.ensure_future(read_all(Incoming(client, pace)))
    client.send(1_000_000)
    await settle()
    await pass_seconds(client, pace, 2 * WINDOW, lambda: client.send(RATE // 2))

    with pytest.raises(BodyTooSlowError):
        await reading


async def test_time_that_our_side_takes_does_not_count(client: Client) -> None:
    """The disk takes ten windows with each piece, and the next piece lies ready when we ask for it."""
    pace = pace_of(client)

    def slow_disk() -> None:
        for _ in range(10 * LOOKS):
            client.clock += WINDOW / LOOKS
            pace._look()

    for _ in range(20):
        client.send(1)
    client.send(0, more=False)

    assert await read_all(Incoming(client, pace), slow_disk) == 20


async def test_time_in_which_the_event_loop_was_held_up_does_not_count(client: Client) -> None:
    pace = pace_of(client)
    reading = asyncio.ensure_future(read_all(Incoming(client, pace)))
    await settle()
    client.clock += 100 * WINDOW
    pace._look()
    await pass_seconds(client, pace, WINDOW - 2, lambda: None)

    assert not reading.done()
    reading.cancel()


async def test_who_is_cancelled_for_another_reason_is_cancelled(client: Client) -> None:
    reading = asyncio.ensure_future(read_all(Incoming(client, pace_of(client))))
    await settle()
    reading.cancel()

    with pytest.raises(asyncio.CancelledError):
        await reading


async def test_nothing_is_kept_of_bodies_that_ended(client: Client) -> None:
    pace = pace_of(client)
    incoming = Incoming(client, pace)
    client.send(1, more=False)
    await read_all(incoming)
    pace._look()

    assert incoming.whole
    assert (pace._bodies, pace._timer) == (set(), None)


async def test_a_long_body_is_remembered_in_bounded_space(client: Client) -> None:
    pace = pace_of(client)
    incoming = Incoming(client, pace)
    reading = asyncio.ensure_future(read_all(incoming))
    await settle()
    await pass_seconds(client, pace, 20 * WINDOW, lambda: client.send(2 * RATE))

    assert len(incoming._past) <= LOOKS + 2
    reading.cancel()


async def test_after_the_answer_the_rest_is_read_and_thrown_away(client: Client) -> None:
    incoming = Incoming(client, pace_of(client))
    lingering = asyncio.ensure_future(incoming.linger())
    client.send(1_000)
    client.send(1_000)
    await settle()
    assert not lingering.done()
    client.send(0, more=False)
    await lingering

    assert incoming.whole


async def test_nobody_lingers_for_a_client_that_left_or_says_nothing(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("entrepot.web.limits.body.LINGER_GAP_SECONDS", 0.01)
    gone, silent = Incoming(client, pace_of(client)), Incoming(client, pace_of(client))
    client.pieces.put_nowait({"type": "http.disconnect"})
    await gone.linger()
    await silent.linger()

    assert (gone.whole, silent.whole) == (True, False)
