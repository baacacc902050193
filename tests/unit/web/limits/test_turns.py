"""Turns: at the limit one enters, one past it waits, and who waits too long is refused; nobody is passed over."""

import asyncio
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from entrepot.web.limits.errors import TooManyRequestsError
from entrepot.web.limits.turns import Turns, Who

PATIENCE = timedelta(seconds=5)
AT_ONCE = timedelta(milliseconds=5)


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def take(turns: Turns, who: Who, limit: int) -> Who:
    if not turns.enter(who, limit):
        await turns.wait(who, limit)
    return who


def test_as_many_enter_as_the_limit_and_no_more() -> None:
    turns = Turns(100, PATIENCE)

    assert [turns.enter(1, 3) for _ in range(4)] == [True, True, True, False]
    assert turns.enter(2, 3)


async def test_who_is_one_too_many_gets_the_turn_that_is_given_back() -> None:
    turns = Turns(100, PATIENCE)
    turns.enter(1, 1)
    waiting = asyncio.ensure_future(turns.wait(1, 1))
    await settle()
    assert not waiting.done()
    turns.leave(1)
    await waiting

    assert not turns.enter(1, 1)


async def test_who_waits_in_vain_is_refused_with_a_time_to_come_back() -> None:
    turns = Turns(100, AT_ONCE)
    turns.enter(1, 1)
    with pytest.raises(TooManyRequestsError, match=r"no turn came within 0\.005 s") as refused:
        await turns.wait(1, 1)

    assert refused.value.retry_after_seconds == 1
    turns.leave(1)
    assert turns.enter(1, 1)


async def test_nobody_overtakes_those_who_wait_for_the_same() -> None:
    turns = Turns(100, PATIENCE)
    turns.enter(1, 1)
    first, second = (asyncio.ensure_future(take(turns, 1, 1)) for _ in range(2))
    await settle()
    turns.leave(1)

    assert not turns.enter(1, 1)
    await first
    assert not second.done()
    turns.leave(1)
    await second


async def test_who_is_cancelled_while_waiting_leaves_no_trace() -> None:
    turns = Turns(100, PATIENCE)
    turns.enter(1, 1)
    waiting = asyncio.ensure_future(turns.wait(1, 1))
    await settle()
    waiting.cancel()
    await settle()
    turns.leave(1)

    assert (turns._held, turns._total, len(turns._waiting)) == ({}, 0, 0)


async def test_a_turn_granted_to_one_who_is_cancelled_is_given_back() -> None:
    turns = Turns(100, PATIENCE)
    turns.enter(1, 1)
    waiting = asyncio.ensure_future(turns.wait(1, 1))
    await settle()
    turns.leave(1)  # grants it
    waiting.cancel()  # before it could run
    await settle()

    assert (turns._held, turns._total, len(turns._waiting)) == ({}, 0, 0)


def test_a_process_takes_no_more_than_its_capacity() -> None:
    turns = Turns(10, PATIENCE)

    assert sum(turns.enter(who, 5) for who in range(20)) == 10


def test_above_four_fifths_each_enters_only_up_to_an_equal_share() -> None:
    turns = Turns(10, PATIENCE)
    for _ in range(8):
        assert turns.enter("greedy", 100)

    assert turns.enter("modest", 100)
    assert not turns.enter("greedy", 100)


async def test_turns_go_around_between_those_who_wait() -> None:
    """Nine requests of one robot were there first; the person's only one is the second that is let in."""
    turns = Turns(10, PATIENCE)
    for _ in range(10):
        turns.enter("other", 100)
    order: list[Who] = []

    async def one(who: Who) -> None:
        order.append(await take(turns, who, 100))

    waiting = [asyncio.ensure_future(one("robot")) for _ in range(9)]
    await settle()
    waiting.append(asyncio.ensure_future(one("person")))
    await settle()
    for _ in range(10):
        turns.leave("other")
        await settle()

    assert order == ["robot", "person", *["robot"] * 8]
    await asyncio.gather(*waiting)


@given(st.data())
def test_no_limit_is_ever_passed_and_nothing_is_lost(data: st.DataObject) -> None:
    """Any order of entering, leaving and giving up, against a plain count."""

    async def play() -> None:
        turns = Turns(6, PATIENCE)
        inside: list[Who] = []
        waiting: list[tuple[Who, asyncio.Task[None]]] = []
        for _ in range(data.draw(st.integers(0, 60))):
            action = data.draw(st.sampled_from(["enter", "enter", "leave", "give up"]))
            if action == "enter":
                who = data.draw(st.sampled_from(["a", "b", "c"]))
                if turns.enter(who, 3):
                    inside.append(who)
                else:
                    waiting.append((who, asyncio.ensure_future(turns.wait(who, 3))))
            elif action == "leave" and inside:
                turns.leave(inside.pop(data.draw(st.integers(0, len(inside) - 1))))
            elif action == "give up" and waiting:
                waiting.pop(data.draw(st.integers(0, len(waiting) - 1)))[1].cancel()
            if data.draw(st.booleans()):
                await settle()
            inside += [who for who, task in waiting if task.done()]
            waiting = [each for each in waiting if not each[1].done()]
            assert turns._total == sum(turns._held.values()) <= 6
            assert all(held <= 3 for held in turns._held.values())
        await settle()
        inside += [who for who, task in waiting if task.done()]
        waiting = [each for each in waiting if not each[1].done()]
        while inside:
            turns.leave(inside.pop())
            await settle()
            inside += [who for who, task in waiting if task.done()]
            waiting = [each for each in waiting if not each[1].done()]

        assert (waiting, turns._held, turns._total, len(turns._waiting)) == ([], {}, 0, 0)

    asyncio.run(play())
