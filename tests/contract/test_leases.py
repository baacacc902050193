"""The contract of leases, on both databases: one holder at a time, and a late one is told apart."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from sqlalchemy import update

from entrepot.clock import SystemClock
from entrepot.runtime.database import open_database
from entrepot.runtime.errors import LeaseLostError
from entrepot.runtime.events.model import SYSTEM
from entrepot.runtime.leases import Leases, fence
from entrepot.runtime.tables import EPOCH, lease
from entrepot.runtime.unit_of_work import Work

MINUTE = timedelta(minutes=1)


@pytest.fixture
async def work(url: str) -> AsyncIterator[Work]:
    """Units on each database."""
    database = open_database(url)
    yield Work(database, SystemClock())
    await database.close()


def holder(work: Work) -> Leases:
    """One more process."""
    return Leases.of_process(work, work.clock)


async def expire(work: Work) -> None:
    """Every lease is over."""
    async with work(SYSTEM) as unit:
        await unit.execute(update(lease).values(until=EPOCH))


async def test_a_name_has_one_holder(work: Work) -> None:
    first, second = holder(work), holder(work)
    taken = await first.take("gc")

    assert taken is not None
    assert await second.take("gc") is None
    assert await second.take("other") is not None


async def test_of_many_who_ask_at_once_one_gets_it(work: Work) -> None:
    taken = await asyncio.gather(*(holder(work).take("gc") for _ in range(8)))

    assert sum(each is not None for each in taken) == 1


async def test_a_holder_renews_under_the_same_token(work: Work) -> None:
    first = holder(work)

    assert await first.take("gc") == await first.take("gc")


async def test_a_lease_that_is_over_or_given_back_is_anybody_s_under_another_token(work: Work) -> None:
    first, second = holder(work), holder(work)
    one = await first.take("gc")
    await expire(work)
    two = await second.take("gc")
    assert one is not None
    assert two is not None
    await second.give_back(two)
    three = await first.take("gc")

    assert three is not None
    assert one.token < two.token < three.token


async def test_who_lost_his_lease_commits_nothing_under_it(work: Work) -> None:
    first, second = holder(work), holder(work)
    late = await first.take("gc")
    await expire(work)
    now = await second.take("gc")
    assert late is not None
    assert now is not None
    with pytest.raises(LeaseLostError):
        async with work(SYSTEM) as unit:
            await fence(unit, late)
    async with work(SYSTEM) as unit:
        await fence(unit, now)


async def test_a_held_context_gives_back_at_its_end(work: Work) -> None:
    first, second = holder(work), holder(work)
    async with first.hold("gc") as held:
        assert held is not None
        async with second.hold("gc") as other:
            assert other is None

    assert await second.take("gc") is not None


async def test_once_is_true_for_one_and_once_in_its_period_also_for_the_same_holder(work: Work) -> None:
    first, second = holder(work), holder(work)

    async def due(leases: Leases) -> bool:
        async with work(SYSTEM) as unit:
            return await leases.once(unit, "check", MINUTE)

    assert [await due(first), await due(first), await due(second)] == [True, False, False]
    await expire(work)
    assert [await due(second), await due(first)] == [True, False]
