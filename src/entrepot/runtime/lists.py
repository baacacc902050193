"""Pages of lists, as somebody asks for them: filtered, in an order, behind a cursor.

A cursor is the place of an item, its value of the sorted field and its key, never a number of items: what comes and
goes before it shifts nothing.
"""

import base64
import binascii
import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Final, Generic, TypeVar

import msgspec

from entrepot.runtime.filters import (
    MAX_NUMBER,
    Field,
    FilterInvalidError,
    Kind,
    Node,
    holds,
    parse_filter,
    suggestion,
)

T = TypeVar("T")
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Sort:
    """By which field, and whether the highest come first."""

    field: str
    descending: bool

    def __str__(self) -> str:
        return f"-{self.field}" if self.descending else self.field


@dataclass(frozen=True, slots=True)
class Cursor:
    """Behind which item a page begins: its value of the sorted field, and its key."""

    value: str | int | None
    key: str


@dataclass(frozen=True, slots=True)
class Wanted:
    """A page of a list, as somebody asks for it. limit: most items; total: whether to count all that match."""

    where: Node | None
    sort: Sort
    after: Cursor | None
    limit: int
    total: bool


@dataclass(frozen=True, slots=True)
class Part(Generic[T]):
    """A page: its items, the cursor behind it (None: it is the last), and how many match, if that was asked."""

    items: Sequence[T]
    next: str | None
    total: int | None


@dataclass(frozen=True, slots=True)
class Listing:
    """What a list can be asked for. key: the field, a text, that no two items share; default: the usual order."""

    fields: Mapping[str, Field]
    key: str
    default: str

    @property
    def filters(self) -> list[str]:
        """The fields it can be filtered by."""
        return [name for name, field in self.fields.items() if field.filters]

    @property
    def sorts(self) -> list[str]:
        """The fields it can be sorted by."""
        return [name for name, field in self.fields.items() if field.sorts]

    def wanted(
        self,
        now: datetime,
        *,
        where: str = "",
        sort: str = "",
        after: str = "",
        limit: int = 100,
        total: bool = False,
    ) -> Wanted:
        """The page that these texts ask for, empty ones for nothing. now: from which ages are counted.

        Raises FilterInvalidError.
        """
        order = self._sort(sort or self.default)
        node = parse_filter(where, self.fields, now) if where.strip() else None
        return Wanted(node, order, self._cursor(after, order) if after else None, limit, total)

    def cursor(self, sort: Sort, value: Any, key: str) -> str:
        """The cursor behind an item with that *value* of the sorted field."""
        document = msgspec.json.encode([str(sort), as_plain(value), key])
        return base64.urlsafe_b64encode(document).decode().rstrip("=")

    def _sort(self, text: str) -> Sort:
        name = text.removeprefix("-")
        if name not in self.sorts:
            raise FilterInvalidError(f"no such order{suggestion(name, self.sorts)}", "sort")
        return Sort(name, text.startswith("-"))

    def _cursor(self, text: str, sort: Sort) -> Cursor:
        try:
            padded = text + "=" * (-len(text) % 4)
            document = msgspec.json.decode(base64.b64decode(padded, altchars=b"-_", validate=True))
            order, value, key = document
        except (binascii.Error, ValueError, TypeError, msgspec.DecodeError):
            raise FilterInvalidError("not a cursor: send the `next` of the page before", "after") from None
        field = self.fields[sort.field]
        is_text = field.kind in {Kind.TEXT, Kind.RANKED}
        is_value = isinstance(value, str if is_text else int) or (field.optional and value is None)
        is_value = is_value and (field.kind is not Kind.RANKED or value in {*field.words, None})
        is_in_range = not isinstance(value, int) or abs(value) <= MAX_NUMBER
        if order != str(sort) or not is_value or not is_in_range or not isinstance(key, str) or "\0" in f"{value}{key}":
            raise FilterInvalidError("a cursor of another order: send the `next` of the page before", "after")
        return Cursor(value, key)


def part_of(
    items: Sequence[T], listing: Listing, wanted: Wanted, get: Callable[[T, str], Any], key: Callable[[T], str]
) -> Part[T]:
    """The page *wanted* of *items* that are at hand, with the values that *get* gives.

    key: of an item, unique among those of equal value; items of equal value come in its order.
    """
    field = listing.fields[wanted.sort.field]
    where, descending = wanted.where, wanted.sort.descending
    matching = items if where is None else [each for each in items if holds(where, listing.fields, partial(get, each))]
    found = sorted(((rank(field, get(each, wanted.sort.field)), key(each), each) for each in matching), key=_second)
    found.sort(key=_first, reverse=descending)
    start = 0
    if (after := wanted.after) is not None:
        place = rank(field, after.value)
        compare = operator.lt if descending else operator.gt
        beyond = (
            n for n, row in enumerate(found) if compare(row[0], place) or (row[0] == place and row[1] > after.key)
        )
        start = next(beyond, len(found))
    page = found[start : start + wanted.limit]
    more = start + wanted.limit < len(found)
    following = listing.cursor(wanted.sort, get(page[-1][2], wanted.sort.field), page[-1][1]) if more else None
    return Part([item for _, _, item in page], following, len(found) if wanted.total else None)


def rank(field: Field, value: Any) -> Any:
    """What *value* is sorted by: what there is not before all else."""
    if value is None:
        return "" if field.kind is Kind.TEXT else -MAX_NUMBER
    return field.words.index(value) if field.kind is Kind.RANKED else as_plain(value)


def as_plain(value: Any) -> Any:
    """*value* as JSON has it: an instant as its microseconds since 1970."""
    return (value - EPOCH) // timedelta(microseconds=1) if isinstance(value, datetime) else value


def _first(row: tuple[Any, str, Any]) -> Any:
    return row[0]


def _second(row: tuple[Any, str, Any]) -> str:
    return row[1]
