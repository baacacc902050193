"""The scrubber and the check of the store, on SQLite and files: what is damaged is told of, and nothing is deleted."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from time import monotonic

import pytest
from sqlalchemy import select

from entrepot.audit.tables import audit_event
from entrepot.clock import FixedClock, SystemClock
from entrepot.content.tables import blob_copy
from entrepot.lifecycle.check import CheckStorage
from entrepot.lifecycle.scrub import Scrubbed, Scrubber
from tests.fakes.catalog import DAY, Catalog, catalog
from tests.real.sqlite import new_database

WEB = "shop/web"
MONTH = 30 * DAY


@pytest.fixture
async def shop(tmp_path: Path) -> AsyncIterator[Catalog]:
    """An empty catalog."""
    async with catalog(new_database(tmp_path / "catalog.db"), tmp_path / "blobs") as made:
        yield made


def scrubber(shop: Catalog) -> Scrubber:
    """One that is not slowed down."""
    return Scrubber(shop.work, shop.files, shop.clock, MONTH, 1 << 40)


async def keys(shop: Catalog) -> dict[str, str]:
    """The key of each copy, by digest."""
    async with shop.database.reading() as connection:
        rows = await connection.execute(select(blob_copy.c.digest, blob_copy.c.key))
        return {row.digest: row.key for row in rows}


async def test_a_copy_is_read_again_when_its_time_has_come_and_not_before(shop: Catalog) -> None:
    await shop.push_blob(WEB, b"layer")
    early = await scrubber(shop)()
    shop.clock.at += MONTH + timedelta(seconds=1)
    due = await scrubber(shop)()
    again = await scrubber(shop)()

    assert (early, due, again) == (Scrubbed(0, 0, 0), Scrubbed(1, 5, 0), Scrubbed(0, 0, 0))


@pytest.mark.parametrize("damage", [b"lay\x00r", b"lay", b"layer and more", None])
async def test_a_damaged_copy_is_given_up_and_told_of_and_a_push_heals_it(shop: Catalog, damage: bytes | None) -> None:
    digest = await shop.push_blob(WEB, b"layer")
    path = shop.files.path((await keys(shop))[str(digest)])
    path.unlink() if damage is None else path.write_bytes(damage)
    shop.clock.at += MONTH + timedelta(seconds=1)
    found = await scrubber(shop)()
    states = await shop.copies(digest)
    await shop.push_blob(WEB, b"layer")

    assert (found.copies, found.damaged, states) == (1, 1, ["suspect"])
    assert await shop.copies(digest) == ["trashed", "ready"]
    async with shop.database.reading() as connection:
        actions = (await connection.execute(select(audit_event.c.action))).scalars().all()
    assert "copy.suspected" in actions


async def test_a_slow_scrubber_reads_no_faster_than_its_rate(shop: Catalog) -> None:
    for number in range(4):
        await shop.push_blob(WEB, bytes([number]) * 50_000)
    shop.clock.at += MONTH + timedelta(seconds=1)
    begun = monotonic()
    found = await replace(scrubber(shop), rate_bytes=2_000_000)()

    assert found.bytes == 200_000
    assert monotonic() - begun >= 0.1


async def test_a_store_that_agrees_with_the_rows_is_reported_so(shop: Catalog) -> None:
    await shop.push_image(WEB, [b"layer"])
    found = await CheckStorage(shop.work, shop.files, shop.files, shop.clock)()

    assert (found.objects, found.rows, found.bytes) == (3, 3, found.row_bytes)
    assert (found.orphans, found.missing, found.resized) == (0, 0, 0)


async def test_what_differs_is_reported_and_left_alone(shop: Catalog) -> None:
    lost, short = await shop.push_blob(WEB, b"lost"), await shop.push_blob(WEB, b"short")
    by_digest = await keys(shop)
    shop.files.path(by_digest[str(lost)]).unlink()
    shop.files.path(by_digest[str(short)]).write_bytes(b"sho")
    orphan = shop.files.root / "sha256" / "00" / f"{'0' * 64}.01ORPHAN"
    orphan.parent.mkdir(parents=True, exist_ok=True)
    orphan.write_bytes(b"orphan")
    fresh = await check(shop, timedelta(0))()
    old = await check(shop, 2 * DAY)()

    assert (fresh.missing, fresh.resized) == (1, 1)
    assert (old.orphans, old.orphan_bytes, old.missing, old.missing_bytes, old.resized) == (1, 6, 1, 4, 1)
    assert orphan.exists()
    assert await shop.copies(lost) == ["ready"]


def check(shop: Catalog, later: timedelta) -> CheckStorage:
    """A check by the machine's clock, by which files are dated, put forward."""
    return CheckStorage(shop.work, shop.files, shop.files, FixedClock(SystemClock().now() + later))
