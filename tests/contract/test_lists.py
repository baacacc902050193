"""The language of lists on PostgreSQL: it selects and sorts as memory does. SQLite: tests/property/test_filters.py."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from entrepot.runtime.database import open_database
from entrepot.runtime.filters import holds, parse_filter
from entrepot.runtime.lists import part_of
from tests.property.test_filters import COLUMNS, FIELDS, LISTING, NOW, TABLE, rows
from tests.real.postgres import Postgres

SEED = 5
FILTERS = (
    "name=n01",
    "name!=n01 and name~N1",
    'note=""',
    "note=none or note!=a",
    'note~"%"',
    'note~"_"',
    'note~"\\""',
    "note=1.0~rc1",
    "size>=1KiB and size<2049",
    "count=none",
    "not count>0",
    "count<=-1 or count>1000000",
    "at<1d and at>0h",
    "at<=24h",
    "at>2029-12-31T00:00:00+01:00",
    "seen>1d",
    "seen!=none and not seen<2d",
    "locked=true",
    "locked!=true or grade>low",
    "grade<=medium and (locked=false or size=0)",
)


@pytest.fixture
async def connection(postgres: Postgres) -> AsyncIterator[AsyncConnection]:
    """A table of items, gone after."""
    database = open_database(postgres.url)
    async with database.reading() as opened:
        await opened.run_sync(TABLE.metadata.create_all)
        await opened.execute(TABLE.insert(), rows(SEED, 60))
        yield opened
        await opened.rollback()
    await database.close()


async def test_a_filter_selects_what_it_selects_in_memory(connection: AsyncConnection) -> None:
    items = rows(SEED, 60)
    for text in FILTERS:
        node = parse_filter(text, FIELDS, NOW)
        found = (await connection.execute(select(TABLE.c.name).where(COLUMNS.condition(node)))).scalars().all()

        assert set(found) == {item["name"] for item in items if holds(node, FIELDS, item.__getitem__)}, text


async def test_pages_hold_every_item_once_in_the_order_of_memory(connection: AsyncConnection) -> None:
    items = rows(SEED, 60)
    for sort in (each for name in FIELDS for each in (name, f"-{name}")):
        name = sort.removeprefix("-")
        found = await walk(connection, sort)
        wanted = LISTING.wanted(NOW, sort=sort, limit=1_000)
        memory = part_of(items, LISTING, wanted, lambda item, field: item[field], lambda item: str(item["name"]))

        assert sorted(each for each, _ in found) == sorted(item["name"] for item in items)
        if name != "note":  # whose order is the database's language's
            assert [value for _, value in found] == [item[name] for item in memory.items], sort


async def walk(connection: AsyncConnection, sort: str) -> list[tuple[str, Any]]:
    """Name and sorted value of every item, page after page."""
    found, after = list[tuple[str, Any]](), ""
    while True:
        wanted = LISTING.wanted(NOW, sort=sort, after=after, limit=7)
        part = await COLUMNS.page(connection, select(TABLE), wanted)
        found += [(row.name, getattr(row, sort.removeprefix("-"))) for row in part.items]
        if part.next is None:
            return found
        after = part.next
