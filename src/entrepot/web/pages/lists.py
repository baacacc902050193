"""The one list of all pages: filtered in its address, sorted, paged, and exported exactly as it is shown.

Everything is in the address: `filter` in the language of `runtime/filters.py`, `sort`, `after`, `limit`, `columns`, and
`format`, which gives the same rows and columns as CSV or JSON.
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
from entrepot.runtime.filters import MAX_LENGTH, OPS, FilterInvalidError, Kind, suggestion
from entrepot.runtime.lists import Listing, Part, Wanted, part_of
from entrepot.runtime.spreadsheet import harmless
from entrepot.web.pages.visit import Visit

T = TypeVar("T")
LENGTH: Final = 50
LONGEST: Final = 1_000
MAX_CURSOR: Final = 2_048


class Shown(StrEnum):
    """How a value is shown. LONG: sentences; STEP: code as long as sentences; DIGEST: one or several, shortened."""

    TEXT = "text"
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
    link: the page a cell leads to, empty for none; sorts: whether its head offers to sort by it, if that is possible;
    is_usual: whether it is shown unless the address says which are.
    """

    name: str
    title: str
    value: Callable[[T], Any]
    shown: Shown = Shown.TEXT
    link: Callable[[T], str] | None = None
    sorts: bool = True
    is_usual: bool = True


@dataclass(frozen=True, slots=True)
class Act:
    """What can be done to several rows at once. word: by which the page that is asked knows it; refused: why who looks
    can't do it, empty if he can.
    """

    word: str
    title: str
    refused: str = ""


@dataclass(frozen=True, slots=True)
class Bulk(Generic[T]):
    """What can be done to chosen rows: *path* is asked what would become of them (`pages/several.py`).

    key: what tells a row from all others there.
    """

    path: str
    key: Callable[[T], str]
    acts: Sequence[Act]


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
class Row:
    """A row as it is shown. key: what it is chosen by, empty where nothing is chosen."""

    cells: Sequence[Cell]
    buttons: Sequence[Button]
    key: str


@dataclass(frozen=True, slots=True)
class View:
    """A list as it is shown. fault: why the filter can't be read; addresses of other views of it, empty for none.

    columns: all there are: name, title, whether it is shown; chosen: the names of those that the address asks for.
    """

    caption: str
    headings: Sequence[Heading]
    rows: Sequence[Row]
    names: Sequence[str]
    columns: Sequence[tuple[str, str, bool]]
    chosen: str
    acts: bool
    bulk: Bulk[Any] | None
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
    bulk: Bulk[T] | None = None,
    others: Sequence[str] = (),
    hint: str = "",
) -> View:
    """The list that the request's address asks for.

    empty: what is said where there is nothing to filter; others: fields of the address that belong to the page; hint: a
    filter that somebody may want.
    """
    wanted_columns = _columns(visit, columns)
    shown = [each for each in columns if (each.name in wanted_columns if wanted_columns else each.is_usual)]
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
    chosen = ",".join(each.name for each in shown) if wanted_columns else ""
    kept = {"filter": query["filter"], "sort": query["sort"], "columns": chosen, **dict(extra)}

    def address(**changes: str) -> str:
        fields = {name: value for name, value in {**kept, **changes}.items() if value}
        return "?" + urlencode(fields)

    return View(
        caption=caption,
        headings=[_heading(each, listing, sort, address) for each in shown],
        rows=[Row(_cells(each, shown), _buttons(each, actions), bulk.key(each) if bulk else "") for each in part.items],
        names=[column.name for column in shown],
        columns=[(each.name, each.title, each in shown) for each in columns],
        chosen=chosen,
        acts=bool(actions),
        bulk=bulk,
        empty=empty,
        where=query["filter"],
        sort=query["sort"],
        hint=hint or _hint(listing),
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
            rows = [{name: _plain(cell) for name, cell in zip(view.names, row.cells, strict=True)} for row in view.rows]
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
    for row in view.rows:
        values = ["" if (value := _plain(cell)) is None else str(value) for cell in row.cells]
        writer.writerow([harmless(value) for value in values])
    return text.getvalue().encode()


def _plain(cell: Cell) -> Any:
    value = cell.value
    if isinstance(value, datetime):
        return value.isoformat()
    return ", ".join(str(each) for each in value) if isinstance(value, tuple | list) else value


def _columns(visit: Visit, columns: Sequence[Column[T]]) -> set[str]:
    """The columns that the address asks for, as `columns=a,b` or as several fields; none for the usual ones."""
    given = {name for text in visit.words("columns", MAX_LENGTH) for name in text.split(",") if name}
    known = [each.name for each in columns]
    for name in given:
        if name not in known:
            raise InvalidError(f"no such column{suggestion(name, known)}", "columns")
    return given


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
    number = int(text) if text.isascii() and text.isdigit() else 0
    if not 1 <= number <= LONGEST:
        raise InvalidError(f"a number from 1 to {LONGEST}", "limit")
    return number


def _hint(listing: Listing) -> str:
    if not listing.filters:
        return ""
    texts = [each for each in listing.filters if listing.fields[each].kind is Kind.TEXT]
    name = next((each for each in texts if each not in {"id", "digest"}), listing.filters[0])
    return f"{name}{OPS[listing.fields[name].kind][-1]}…"


def _kind(listing: Listing, name: str) -> str:
    field = listing.fields[name]
    return ", ".join(field.words) if field.kind is Kind.RANKED else field.kind.value
