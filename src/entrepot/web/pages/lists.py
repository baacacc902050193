"""The one list of all pages: filtered in its address, sorted, paged, and exported exactly as it is shown.

Everything is in the address: `filter` in the language of `runtime/filters.py`, `sort`, `after`, `limit`, and `format`,
which gives the same rows as CSV or JSON.
"""

import csv
import io
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final, Generic, TypeVar
from urllib.parse import urlencode

import msgspec
from starlette.responses import Response

from entrepot.errors import InvalidError
from entrepot.runtime.filters import MAX_LENGTH, OPS, FilterInvalidError, Kind
from entrepot.runtime.lists import Listing, Part, Wanted, part_of
from entrepot.runtime.spreadsheet import harmless
from entrepot.web.pages.visit import Visit

T = TypeVar("T")
LENGTH: Final = 50
LONGEST: Final = 1_000
MAX_CURSOR: Final = 2_048


class Shown(StrEnum):
    """How a value is shown. NAME: short, on one line; LONG: sentences; STEP: code as long as sentences."""

    TEXT = "text"
    NAME = "name"
    LONG = "long"
    STEP = "step"
    CODE = "code"
    TIME = "time"
    BYTES = "bytes"
    DIGEST = "digest"
    BADGE = "badge"
    BOOLEAN = "boolean"


@dataclass(frozen=True, slots=True)
class Column(Generic[T]):
    """A column. name: as exported, and as filtered and sorted if the listing has such a field; value: of a row;
    link: the page a cell leads to, empty for none; sorts: whether its head offers to sort by it, if that is possible.
    """

    name: str
    title: str
    value: Callable[[T], Any]
    shown: Shown = Shown.TEXT
    link: Callable[[T], str] | None = None
    sorts: bool = True


@dataclass(frozen=True, slots=True)
class Action(Generic[T]):
    """A button in each row: a form that is sent to *path*. refused: why it can't be, empty if it can."""

    title: str
    path: Callable[[T], str]
    name: Callable[[T], str]
    refused: Callable[[T], str]


@dataclass(frozen=True, slots=True)
class Cell:
    """A value in a row, and the page it leads to."""

    value: Any
    shown: Shown
    link: str


@dataclass(frozen=True, slots=True)
class Button:
    """An action on one row. name: of what it acts on."""

    title: str
    path: str
    name: str
    refused: str


@dataclass(frozen=True, slots=True)
class Heading:
    """The head of a column; sort: the address that sorts by it, empty if none does; order: as it is sorted now."""

    title: str
    sort: str
    order: str


@dataclass(frozen=True, slots=True)
class View:
    """A list as it is shown. fault: why the filter can't be read; addresses of other views of it, empty for none."""

    caption: str
    headings: Sequence[Heading]
    rows: Sequence[tuple[Sequence[Cell], Sequence[Button]]]
    names: Sequence[str]
    acts: bool
    empty: str
    where: str
    sort: str
    hint: str
    fields: Sequence[tuple[str, str]]
    fault: str
    next: str
    first: str
    csv: str
    json: str
    extra: Sequence[tuple[str, str]]


async def listed(
    visit: Visit,
    caption: str,
    listing: Listing,
    columns: Sequence[Column[T]],
    ask: Callable[[Wanted], Awaitable[Part[T]]],
    *,
    empty: str,
    actions: Sequence[Action[T]] = (),
    others: Sequence[str] = (),
) -> View:
    """The list that the request's address asks for.

    empty: what is said where there is nothing to filter; others: fields of the address that belong to the page.
    """
    query = {
        name: visit.word(name, most) for name, most in (("filter", MAX_LENGTH), ("sort", 64), ("after", MAX_CURSOR))
    }
    fault = ""
    part: Part[T] = Part([], None, None)
    try:
        wanted = listing.wanted(
            visit.context.now, where=query["filter"], sort=query["sort"], after=query["after"], limit=_limit(visit)
        )
        part = await ask(wanted)
        sort = str(wanted.sort)
    except FilterInvalidError as error:
        fault, sort = error.message, listing.default
    extra = [(name, visit.word(name)) for name in ("limit", *others)]
    kept = {"filter": query["filter"], "sort": query["sort"], **dict(extra)}

    def address(**changes: str) -> str:
        fields = {name: value for name, value in {**kept, **changes}.items() if value}
        return "?" + urlencode(fields)

    return View(
        caption=caption,
        headings=[_heading(each, listing, sort, address) for each in columns],
        rows=[(_cells(each, columns), _buttons(each, actions)) for each in part.items],
        names=[column.name for column in columns],
        acts=bool(actions),
        empty=empty,
        where=query["filter"],
        sort=query["sort"],
        hint=_hint(listing),
        fields=[(name, _kind(listing, name)) for name in listing.filters],
        fault=fault,
        next=address(after=part.next) if part.next else "",
        first=address() if query["after"] else "",
        csv=address(after=query["after"], format="csv"),
        json=address(after=query["after"], format="json"),
        extra=[(name, value) for name, value in extra if value],
    )


def at_hand(
    rows: Sequence[T],
    listing: Listing,
    get: Callable[[T, str], Any] = getattr,
    key: Callable[[T], str] | None = None,
) -> Callable[[Wanted], Awaitable[Part[T]]]:
    """What `listed` asks where all *rows* are there already. key: unique, where the listing's own key is not."""

    def own_key(row: T) -> str:
        return str(get(row, listing.key))

    async def ask(wanted: Wanted) -> Part[T]:
        return part_of(rows, listing, wanted, get, key or own_key)

    return ask


def answer(visit: Visit, template: str, view: View, **values: Any) -> Response:
    """The page *template* around *view*, or its rows alone in the format that the address asks for."""
    match visit.word("format"):
        case "":
            return visit.page(template, 422 if view.fault else 200, view=view, **values)
        case _ if view.fault:
            raise InvalidError(view.fault, "filter")
        case "csv":
            return _file(_as_csv(view), "text/csv; charset=utf-8", "csv")
        case "json":
            rows = [
                {name: _plain(cell) for name, cell in zip(view.names, cells, strict=True)} for cells, _ in view.rows
            ]
            return _file(msgspec.json.format(msgspec.json.encode(rows)), "application/json", "json")
        case _:
            raise InvalidError("csv or json", "format")


def _file(body: bytes, media_type: str, ending: str) -> Response:
    name = f'attachment; filename="entrepot.{ending}"'
    return Response(body, media_type=media_type, headers={"content-disposition": name})


def _as_csv(view: View) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(view.names)
    for cells, _ in view.rows:
        values = ["" if (value := _plain(cell)) is None else str(value) for cell in cells]
        writer.writerow([harmless(value) for value in values])
    return text.getvalue().encode()


def _plain(cell: Cell) -> Any:
    value = cell.value
    if isinstance(value, datetime):
        return value.isoformat()
    return ", ".join(str(each) for each in value) if isinstance(value, tuple | list) else value


def _cells(row: T, columns: Sequence[Column[T]]) -> list[Cell]:
    return [Cell(each.value(row), each.shown, each.link(row) if each.link else "") for each in columns]


def _buttons(row: T, actions: Sequence[Action[T]]) -> list[Button]:
    return [Button(each.title, each.path(row), each.name(row), each.refused(row)) for each in actions]


def _heading(column: Column[Any], listing: Listing, sort: str, address: Callable[..., str]) -> Heading:
    if column.name not in listing.sorts or not column.sorts:
        return Heading(column.title, "", "")
    descending = f"-{column.name}"
    order = {column.name: "ascending", descending: "descending"}.get(sort, "")
    return Heading(column.title, address(sort=descending if sort == column.name else column.name), order)


def _limit(visit: Visit) -> int:
    text = visit.word("limit") or str(LENGTH)
    if not (text.isascii() and text.isdigit() and 1 <= int(text[:9]) <= LONGEST):
        raise InvalidError(f"a number from 1 to {LONGEST}", "limit")
    return int(text)


def _hint(listing: Listing) -> str:
    if not listing.filters:
        return ""
    name = next((each for each in listing.filters if listing.fields[each].kind is Kind.TEXT), listing.filters[0])
    return f"{name}{OPS[listing.fields[name].kind][-1]}…"


def _kind(listing: Listing, name: str) -> str:
    field = listing.fields[name]
    return ", ".join(field.words) if field.kind is Kind.RANKED else field.kind.value
