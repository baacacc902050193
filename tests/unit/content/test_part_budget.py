"""Memory for parts: never more than the limit, given back when the last who holds a part lets go, in turn."""

import asyncio
import threading

import pytest

from entrepot.content.part_budget import PartBudget


async def settled(budget: PartBudget, used: int) -> None:
    """Waits until *used* bytes are taken: parts are given back in the loop's next turn."""
    async with asyncio.timeout(10):
        while budget.used != used:  # noqa: ASYNC110  nobody says when
            await asyncio.sleep(0)


async def test_a_part_that_is_let_go_gives_its_bytes_back() -> None:
    budget = PartBudget(10)
    part = await budget.part(7)
    taken = budget.used
    del part
    await settled(budget, 0)

    assert taken == 7


async def test_who_asks_for_more_than_there_is_waits() -> None:
    budget = PartBudget(10)
    held = [await budget.part(6)]
    waiting = asyncio.create_task(budget.part(6))
    await asyncio.sleep(0)
    waited = not waiting.done()
    held.clear()
    part = await waiting

    assert waited
    assert (budget.used, len(part)) == (6, 0)


async def test_all_who_wait_come_in_turn_also_the_large() -> None:
    budget, order = PartBudget(10), list[str]()
    held = [await budget.part(10)]

    async def one(name: str, size: int) -> None:
        part = await budget.part(size)
        order.append(name)
        del part

    tasks = [asyncio.create_task(one(name, size)) for name, size in (("large", 10), ("small", 1), ("other", 1))]
    await asyncio.sleep(0)
    held.clear()
    await asyncio.gather(*tasks)

    assert order == ["large", "small", "other"]


async def test_a_part_larger_than_all_there_is_gets_all_there_is() -> None:
    budget = PartBudget(10)
    part = await budget.part(25)

    assert budget.used == 10
    del part


async def test_who_stops_waiting_leaves_no_trace() -> None:
    budget = PartBudget(10)
    held = [await budget.part(10)]
    waiting = asyncio.create_task(budget.part(5))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    held.clear()
    await settled(budget, 0)

    assert await budget.part(10) == b""


async def test_a_part_may_be_let_go_in_another_thread() -> None:
    budget = PartBudget(10)
    held = [await budget.part(10)]
    thread = threading.Thread(target=held.clear)
    thread.start()
    thread.join()

    async with asyncio.timeout(10):
        assert await budget.part(10) == b""
