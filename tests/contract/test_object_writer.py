"""What a writer to an object store promises beyond every store's contract: how much memory it takes."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from entrepot.content.backends.object_store import ObjectBlobs
from entrepot.content.model import Body, Upload
from entrepot.content.object_writer import PART, ObjectWriter
from entrepot.content.part_budget import PartBudget
from entrepot.ids import ulid
from tests.real.blob_store import MIB, RealStore, each

pytestmark = pytest.mark.parametrize("real_store", ["moto"], indirect=True)
SECONDS = 60


async def test_a_body_of_many_parts_never_holds_more_than_one_that_is_filled(real_store: RealStore) -> None:
    """With memory for one part alone: whoever held on to a part that is stored would wait for itself for ever."""
    assert isinstance(real_store.blobs, ObjectBlobs)
    writer = ObjectWriter(real_store.blobs, PartBudget(PART), 64 * MIB)
    async with asyncio.timeout(SECONDS):
        size = await writer.append(Upload(ulid(), 1, 1, 0, 0), writer.place(), Body(each([bytes(MIB)] * 40)))

    assert size == 40 * MIB


async def test_slow_clients_do_not_lock_out_each_other(real_store: RealStore) -> None:
    """Each holds a part that fills slowly; there is memory for two of them."""
    assert isinstance(real_store.blobs, ObjectBlobs)
    budget = PartBudget(2 * PART)
    writer = ObjectWriter(real_store.blobs, budget, 64 * MIB)
    async with asyncio.timeout(SECONDS):
        sizes = await asyncio.gather(
            *(
                writer.append(Upload(ulid(), 1, 1, 0, 0), writer.place(), Body(each([bytes(MIB)] * 17)))
                for _ in range(6)
            )
        )

    assert sizes == [17 * MIB] * 6


async def test_a_small_announced_body_takes_only_its_size(real_store: RealStore) -> None:
    assert isinstance(real_store.blobs, ObjectBlobs)
    budget, seen = PartBudget(2 * PART), list[int]()
    writer = ObjectWriter(real_store.blobs, budget, 64 * MIB)

    async def body() -> AsyncIterator[bytes]:
        yield b"x"
        seen.append(budget.used)
        yield b"y"

    await writer.append(Upload(ulid(), 1, 1, 0, 0), writer.place(), Body(body(), 2))

    assert seen == [2]
