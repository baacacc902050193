"""The language of lists: what SQLite selects, what memory selects and what a naive reading selects are the same."""

import asyncio
import contextlib
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import BigInteger, Boolean, Column, MetaData, String, Table, create_engine, select
from sqlalchemy.ext.asyncio import create_async_engine

from entrepot.runtime.filters import (
    MAX_COMPARISONS,
    MAX_DEPTH,
    MAX_LENGTH,
    Field,
    FilterInvalidError,
    Kind,
    holds,
    parse_filter,
)
from entrepot.runtime.lists import Listing, part_of
from entrepot.runtime.pages import Columns
from entrepot.runtime.tables import Instant

NOW: Final = datetime(2030, 1, 1, tzinfo=UTC)
WORDS: Final = ("low", "medium", "high")
FIELDS: Final = {
    "name": Field(Kind.TEXT),
    "note": Field(Kind.TEXT, optional=True),
    "size": Field(Kind.BYTES),
    "count": Field(Kind.NUMBER, optional=True),
    "at": Field(Kind.INSTANT),
    "seen": Field(Kind.INSTANT, optional=True),
    "locked": Field(Kind.BOOLEAN),
    "grade": Field(Kind.RANKED, WORDS),
}
LISTING: Final = Listing(FIELDS, "name", "name")
TABLE: Final = Table(
    "item",
    MetaData(),
    Column("name", String, primary_key=True),
    Column("note", String),
    Column("size", BigInteger),
    Column("count", BigInteger),
    Column("at", Instant),
    Column("seen", Instant),
    Column("locked", Boolean),
    Column("grade", String),
)
COLUMNS: Final = Columns(LISTING, {name: TABLE.c[name] for name in FIELDS})
TEXTS: Final = ("", "a", "A", "ab", "b%", "a_b", 'q"\\', "none", "and", "1.0~rc1", "é", "É")
INSTANTS: Final = tuple(NOW - timedelta(hours=hours) for hours in (-5, 0, 1, 24, 25, 700))
NUMBERS: Final = (-1, 0, 1, 1024, 2048, 10**12)


def rows(seed: int, most: int = 30) -> list[dict[str, Any]]:
    """Items, each with a name of its own."""
    dice = random.Random(seed)  # noqa: S311  no secret
    return [
        {
            "name": f"n{number:02}",
            "note": dice.choice((None, *TEXTS)),
            "size": dice.choice(NUMBERS[1:]),
            "count": dice.choice((None, *NUMBERS)),
            "at": dice.choice(INSTANTS),
            "seen": dice.choice((None, *INSTANTS)),
            "locked": dice.random() < 0.5,
            "grade": dice.choice(WORDS),
        }
        for number in range(dice.randrange(most))
    ]


def quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


COMPARED: Final = {
    "=": lambda a, b: a == b,
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
}
ORDER: Final = ("=", "!=", "<", "<=", ">", ">=")
TURNED: Final = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}


@st.composite
def comparisons(draw: st.DrawFn) -> tuple[str, Any]:
    """A comparison as it is written, and what it means for an item."""
    name = draw(st.sampled_from(list(FIELDS)))
    kind = FIELDS[name].kind
    if draw(st.integers(0, 9)) == 0:
        sign = draw(st.sampled_from(("=", "!=")))
        return f"{name}{sign}none", lambda item: (item[name] is None) == (sign == "=")
    if kind is Kind.TEXT:
        sign, value = draw(st.sampled_from(("=", "!=", "~"))), draw(st.sampled_from((*TEXTS, "n01", "n1")))
        if sign == "~":
            return (
                f"{name} ~ {quoted(value)}",
                lambda item: item[name] is not None and lower(value) in lower(item[name]),
            )
        return f"{name}{sign}{quoted(value)}", lambda item: (item[name] == value) == (sign == "=")
    if kind is Kind.BOOLEAN:
        sign, flag = draw(st.sampled_from(("=", "!="))), draw(st.booleans())
        return f"{name} {sign} {str(flag).lower()}", lambda item: (item[name] is flag) == (sign == "=")
    sign = draw(st.sampled_from(ORDER))
    if kind is Kind.RANKED:
        word = draw(st.sampled_from(WORDS))
        return f"{name}{sign}{word}", meaning(name, sign, WORDS.index(word), WORDS.index)
    if kind is Kind.INSTANT:
        hours = draw(st.sampled_from((0, 1, 24, 25, 48)))
        at = NOW - timedelta(hours=hours)
        if draw(st.booleans()):
            return f"{name}{sign}{hours}h", meaning(name, TURNED.get(sign, sign), at)
        return f"{name}{sign}{at.isoformat()}", meaning(name, sign, at)
    number = draw(st.sampled_from(NUMBERS if kind is Kind.NUMBER else NUMBERS[1:]))
    text = "2KiB" if kind is Kind.BYTES and number == 2048 else str(number)
    return f"{name}{sign}{text}", meaning(name, sign, number)


def lower(text: str) -> str:
    return "".join(chr(ord(each) + 32) if "A" <= each <= "Z" else each for each in text)


def meaning(name: str, sign: str, value: Any, scale: Any = lambda found: found) -> Any:
    def is_true(item: dict[str, Any]) -> bool:
        found = item[name]
        if sign == "!=":
            return found is None or scale(found) != value
        return found is not None and bool(COMPARED[sign](scale(found), value))

    return is_true


def joined(parts: list[tuple[str, Any]], word: str) -> tuple[str, Any]:
    text = f" {word} ".join(f"({part})" for part, _ in parts)
    gather = all if word == "and" else any
    return text, lambda item: gather(means(item) for _, means in parts)


FILTERS: Final = st.recursive(
    comparisons(),
    lambda inner: st.one_of(
        inner.map(lambda part: (f"not ({part[0]})", lambda item: not part[1](item))),
        st.tuples(st.lists(inner, min_size=2, max_size=3), st.sampled_from(("and", "or"))).map(lambda p: joined(*p)),
    ),
    max_leaves=6,
)


@pytest.fixture(scope="module")
def connection() -> Iterator[Any]:
    engine = create_engine("sqlite://")
    TABLE.metadata.create_all(engine)
    with engine.connect() as opened:
        yield opened
    engine.dispose()


@given(FILTERS, st.integers(0, 2**32))
def test_every_reading_of_a_filter_selects_the_same(connection: Any, wanted: tuple[str, Any], seed: int) -> None:
    text, means = wanted
    if len(text) > MAX_LENGTH:
        return
    items = rows(seed)
    node = parse_filter(text, FIELDS, NOW)
    if items:
        connection.execute(TABLE.insert(), items)
    selected = set(connection.execute(select(TABLE.c.name).where(COLUMNS.condition(node))).scalars())
    connection.rollback()

    assert selected == {item["name"] for item in items if means(item)}
    assert selected == {item["name"] for item in items if holds(node, FIELDS, item.__getitem__)}


@given(st.integers(0, 2**32), st.sampled_from(list(FIELDS)), st.booleans(), st.integers(1, 7))
def test_pages_hold_every_item_once_in_order_from_the_database_and_from_memory(
    seed: int, name: str, descending: bool, limit: int
) -> None:
    items, sort = rows(seed), f"{'-' if descending else ''}{name}"
    from_database = asyncio.run(pages_of(items, sort, limit))
    from_memory = list(walk(items, sort, limit))

    assert sorted(from_database) == sorted(from_memory) == sorted(item["name"] for item in items)
    places = {item["name"]: place(name, item[name]) for item in items}
    for found in (from_database, from_memory):
        assert [places[each] for each in found] == sorted(places.values(), reverse=descending)


def place(name: str, value: Any) -> Any:
    kind = FIELDS[name].kind
    if kind is Kind.RANKED:
        return WORDS.index(value)
    if value is None:
        return "" if kind is Kind.TEXT else float("-inf")
    return value.timestamp() if kind is Kind.INSTANT else value


async def pages_of(items: list[dict[str, Any]], sort: str, limit: int) -> list[str]:
    engine = create_async_engine("sqlite+aiosqlite://")
    found, after = [], ""
    async with engine.connect() as opened:
        await opened.run_sync(TABLE.metadata.create_all)
        if items:
            await opened.execute(TABLE.insert(), items)
        while True:
            wanted = LISTING.wanted(NOW, sort=sort, after=after, limit=limit, total=True)
            part = await COLUMNS.page(opened, select(TABLE.c.name), wanted)
            found += [row.name for row in part.items]
            assert part.total == len(items)
            if part.next is None:
                break
            after = part.next
    await engine.dispose()
    return found


def walk(items: list[dict[str, Any]], sort: str, limit: int) -> Iterator[str]:
    after = ""
    while True:
        wanted = LISTING.wanted(NOW, sort=sort, after=after, limit=limit)
        part = part_of(items, LISTING, wanted, lambda item, name: item[name], lambda item: str(item["name"]))
        yield from (item["name"] for item in part.items)
        if part.next is None:
            return
        after = part.next


@given(st.text(max_size=60))
def test_no_text_brings_anything_but_a_filter_s_own_error(text: str) -> None:
    with contextlib.suppress(FilterInvalidError):
        parse_filter(text, FIELDS, NOW)


@given(st.text(max_size=60), st.sampled_from(list(FIELDS)))
def test_no_cursor_brings_anything_but_its_own_error(text: str, name: str) -> None:
    with contextlib.suppress(FilterInvalidError):
        LISTING.wanted(NOW, sort=name, after=text)


@given(
    st.lists(st.sampled_from(["name", "size", "=", "<", "~", "a", "1", "(", ")", "and", "or", "not", '"', "x y"])).map(
        " ".join
    )
)
def test_no_row_of_words_brings_anything_but_a_filter_s_own_error(text: str) -> None:
    with contextlib.suppress(FilterInvalidError):
        parse_filter(text, FIELDS, NOW)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("sizee>1", "at character 1: no such field; did you mean size?"),
        ("zzz=1", "at character 1: no such field; there are: name, note, size, count, at, seen, locked, grade"),
        ("name<a", "at character 5: expected an operator of name: = != ~"),
        ("locked>true", "at character 7: expected an operator of locked: = !="),
        ("name", "at character 5: expected an operator of name: = != ~"),
        ("name=", "at character 6: expected a value"),
        ("grade>=hgih", "at character 12: no such word; did you mean high?"),
        ("count>many", "at character 11: expected a whole number"),
        ("locked=yes", "at character 11: expected true or false"),
        ("at>yesterday", "at character 13: expected a time such as 2026-01-31, or an age such as 30d"),
        ("(name=a", "at character 8: expected )"),
        ("name=a)", "at character 7: expected and, or, or the end"),
        ("name=a b", "at character 8: expected and, or, or the end"),
        ("name=a and", "at character 11: expected a field"),
        ('name="a', "at character 6: expected a value"),
        ("name=a\0", "at character 1: a NUL"),
        ("(" * (MAX_DEPTH + 1) + "name=a" + ")" * (MAX_DEPTH + 1), f"nested deeper than {MAX_DEPTH}"),
        ("not " * (MAX_DEPTH + 1) + "name=a", f"nested deeper than {MAX_DEPTH}"),
        (" or ".join(["name=a"] * (MAX_COMPARISONS + 1)), f"more than {MAX_COMPARISONS} comparisons"),
        ("name=" + "a" * MAX_LENGTH, f"longer than {MAX_LENGTH} characters"),
    ],
)
def test_a_fault_says_where_it_is_and_what_was_meant(text: str, fault: str) -> None:
    with pytest.raises(FilterInvalidError) as caught:
        parse_filter(text, FIELDS, NOW)

    assert fault in caught.value.message
    assert caught.value.field == "filter"


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("locked=true or locked=false and name=n01", ["n00", "n01"]),
        ("(locked=true or locked=false) and name=n01", ["n01"]),
        ("not locked=true and not name=n01", []),
        ("NAME=n01", None),
        ("name=n01 AND NOT locked=true", ["n01"]),
    ],
)
def test_and_binds_tighter_than_or(text: str, names: list[str] | None) -> None:
    items = [{"name": "n00", "locked": True}, {"name": "n01", "locked": False}]
    if names is None:
        with pytest.raises(FilterInvalidError):
            parse_filter(text, FIELDS, NOW)
        return
    node = parse_filter(text, FIELDS, NOW)

    assert [item["name"] for item in items if holds(node, FIELDS, item.__getitem__)] == names


@pytest.mark.parametrize(
    "text", ["(" * (MAX_DEPTH - 1) + "name=a" + ")" * (MAX_DEPTH - 1), " or ".join(["name=a"] * 50)]
)
def test_what_is_at_the_limit_is_read(text: str) -> None:
    parse_filter(text, FIELDS, NOW)


def test_a_cursor_is_of_its_order_alone() -> None:
    cursor = LISTING.cursor(LISTING.wanted(NOW, sort="size").sort, 5, "n01")

    assert LISTING.wanted(NOW, sort="size", after=cursor).after is not None
    for sort in ("-size", "name", "count"):
        with pytest.raises(FilterInvalidError):
            LISTING.wanted(NOW, sort=sort, after=cursor)
