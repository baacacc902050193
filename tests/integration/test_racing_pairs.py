"""Pairs of requests that race on PostgreSQL: never is a live reference left over hidden, deleted or removed content.

`ENTREPOT_TEST_RACES` sets the rounds of each pair (200 if it is not set); each prints how they ended.
"""

import asyncio
import os
import sys
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import pytest
from sqlalchemy import update

from entrepot.catalog import operations, reviews
from entrepot.catalog.errors import (
    BlobUnknownError,
    ManifestBlobUnknownError,
    ManifestUnknownError,
    OperationOverError,
    StillReferencedError,
    UndoImpossibleError,
)
from entrepot.catalog.tables import repo_blob
from entrepot.errors import EntrepotError
from entrepot.oci.digest import Digest
from tests.fakes.catalog import IMAGE, INDEX, Catalog, catalog, image, index
from tests.real.postgres import Postgres

ROUNDS: Final = int(os.environ.get("ENTREPOT_TEST_RACES", "200"))
LANES: Final = 4
STEPS: Final = 21
STEP_SECONDS: Final = 0.003
SECONDS: Final = 30

# What may be answered to one who came too late.
LATE: Final = (
    BlobUnknownError,
    ManifestBlobUnknownError,
    ManifestUnknownError,
    OperationOverError,
    StillReferencedError,
    UndoImpossibleError,
)

Action = Callable[[], Awaitable[Any]]


@pytest.fixture
async def shop(postgres: Postgres, tmp_path: Path) -> Any:
    async with catalog(postgres.url, tmp_path / "blobs", pool=2 * LANES + 2) as made:
        yield made


async def put_against_blob_delete(shop: Catalog, name: str, data: bytes) -> tuple[Action, Action]:
    """A manifest comes while one of its blobs is deleted."""
    for each in (b"{}", data):
        await shop.push_blob(name, each)
    put = await shop.ready_to_push(name, image(b"{}", [data]), IMAGE)
    return put, lambda: shop.delete_blob(name, Digest.of(data))


async def put_against_manifest_delete(shop: Catalog, name: str, data: bytes) -> tuple[Action, Action]:
    """An index comes while what it lists is deleted."""
    child = await shop.push_image(name, [data])
    put = await shop.ready_to_push(name, index([(child, len(shop.bodies[str(child)]))]), INDEX)
    return put, lambda: shop.delete(name, child)


async def put_again_against_manifest_delete(shop: Catalog, name: str, data: bytes) -> tuple[Action, Action]:
    """A manifest comes again, under a tag, while it is deleted."""
    digest = await shop.push_image(name, [data])
    put = await shop.ready_to_push(name, shop.bodies[str(digest)], IMAGE, "v1")
    return put, lambda: shop.delete(name, digest)


async def put_against_undo(shop: Catalog, name: str, data: bytes) -> tuple[Action, Action]:
    """A deleted manifest comes again while its deletion is undone."""
    digest = await shop.push_image(name, [data], "v1")
    op = await shop.delete(name, digest)
    return await shop.ready_to_push(name, shop.bodies[str(digest)], IMAGE, "v1"), lambda: shop.undo(op)


async def undo_against_blob_delete(shop: Catalog, name: str, data: bytes) -> tuple[Action, Action]:
    """A manifest is brought back while one of its blobs is deleted."""
    op = await shop.delete(name, await shop.push_image(name, [data], "v1"))
    return lambda: shop.undo(op), lambda: shop.delete_blob(name, Digest.of(data))


async def put_against_collector_of_links(shop: Catalog, name: str, data: bytes) -> tuple[Action, Action]:
    """A manifest comes when the leases of its blobs are over."""
    digests = [await shop.push_blob(name, each) for each in (data + b"{}", data)]
    await end_leases(shop, name, digests)
    put = await shop.ready_to_push(name, image(data + b"{}", [data]), IMAGE)
    return put, lambda: shop.collector.work_off(50)


async def put_against_purge(shop: Catalog, name: str, data: bytes) -> tuple[Action, Action]:
    """A manifest comes again when its trash is over, its blobs with it."""
    digest = await shop.push_image(name, [data], "v1")
    op = await shop.delete(name, digest)
    needed = [Digest.of(b'{"layers":"' + data + b'"}'), Digest.of(data)]
    await end_leases(shop, name, needed)
    past = shop.clock.now() - timedelta(seconds=1)
    async with shop.work(shop.actor) as unit:
        await operations.end_trash(unit, op, past)
        place = ((await shop.repository(name)).resource.id, str(digest))
        await reviews.ask(unit, reviews.Kind.MANIFEST, [place], past, "purged")
    put = await shop.ready_to_push(name, shop.bodies[str(digest)], IMAGE, "v1")

    async def collect() -> None:
        for _ in range(3):
            await shop.collector.work_off(50)

    return put, collect


async def end_leases(shop: Catalog, name: str, digests: Sequence[Digest]) -> None:
    """Nothing but manifests keeps the blobs, and they are to be looked at."""
    repo_id, past = (await shop.repository(name)).resource.id, shop.clock.now() - timedelta(seconds=1)
    there = (repo_blob.c.repo_id == repo_id) & repo_blob.c.digest.in_([str(digest) for digest in digests])
    async with shop.work(shop.actor) as unit:
        await unit.execute(update(repo_blob).where(there).values(leased_until=past))
        await reviews.ask(unit, reviews.Kind.LINK, [(repo_id, str(digest)) for digest in digests], past, "lease")


PAIRS: Final = (
    put_against_blob_delete,
    put_against_manifest_delete,
    put_again_against_manifest_delete,
    put_against_undo,
    undo_against_blob_delete,
    put_against_collector_of_links,
    put_against_purge,
)


@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: pair.__name__)
async def test_no_live_reference_is_left_over_what_is_gone(
    shop: Catalog, pair: Callable[[Catalog, str, bytes], Awaitable[tuple[Action, Action]]]
) -> None:
    ends: Counter[str] = Counter()
    await asyncio.gather(*(lane(shop, pair, number, ends) for number in range(LANES)))
    broken = await shop.dangling()
    used, counted = await shop.quota("lane0")
    sys.stdout.write(f"{pair.__name__}: {sum(ends.values())} rounds, {dict(ends)}\n")

    assert broken == []
    assert used == counted
    assert sum(ends.values()) == ROUNDS // LANES * LANES
    assert all("DatabaseUnavailable" not in end for end in ends)


async def lane(
    shop: Catalog,
    pair: Callable[[Catalog, str, bytes], Awaitable[tuple[Action, Action]]],
    number: int,
    ends: Counter[str],
) -> None:
    name = f"lane{number}/web"
    for each in range(ROUNDS // LANES):
        async with asyncio.timeout(SECONDS):
            first, second = await pair(shop, name, f"{number} {each}".encode())
            # Now one, now the other has a head start, so that each step of one meets each step of the other.
            head = (each % STEPS - STEPS // 2) * STEP_SECONDS
            results = await asyncio.gather(ended(first, max(0.0, -head)), ended(second, max(0.0, head)))
        ends[" / ".join(results)] += 1


async def ended(action: Action, after: float) -> str:
    """How *action* ended, begun *after* so many seconds."""
    await asyncio.sleep(after)
    try:
        await action()
    except LATE as error:
        return type(error).__name__
    except EntrepotError as error:
        return f"{type(error).__name__}: {error.message}"
    return "ok"
