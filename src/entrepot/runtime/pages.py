"""Pages of lists out of the database: the language of `filters.py` as conditions, paged by keys, never by offset."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Select,
    and_,
    case,
    false,
    func,
    literal,
    not_,
    or_,
    select,
    tuple_,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from entrepot.runtime.filters import (
    COMPARE,
    MAX_NUMBER,
    Both,
    Comparison,
    Either,
    Field,
    Kind,
    Node,
    Not,
    Op,
)
from entrepot.runtime.lists import Listing, Part, Wanted
from entrepot.runtime.tables import EPOCH

SORTED: Final = "sorted_by"
KEY: Final = "sorted_key"
NUMBERS: Final = frozenset({Kind.NUMBER, Kind.BYTES})
FIRST: Final = datetime(1, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Columns:
    """Which expression of a question each field of *listing* is."""

    listing: Listing
    of: Mapping[str, ColumnElement[Any]]

    async def page(self, connection: AsyncConnection, question: Select[Any], wanted: Wanted) -> Part[Any]:
        """The page *wanted* of what *question*, unordered, gives. Its rows have two more columns at the end."""
        if wanted.where is not None:
            question = question.where(self.condition(wanted.where))
        total = None
        if wanted.total:
            bare = question.with_only_columns(self.of[self.listing.key].label(KEY))
            counted = select(func.count()).select_from(bare.subquery())
            total = int((await connection.execute(counted)).scalar_one())
        rows = (await connection.execute(self._ordered(question, wanted))).all()
        page = rows[: wanted.limit]
        following = None
        if len(rows) > wanted.limit:
            last = page[-1]
            following = self.listing.cursor(wanted.sort, getattr(last, SORTED), getattr(last, KEY))
        return Part(page, following, total)

    def condition(self, node: Node) -> ColumnElement[bool]:
        """*node* as a condition that is true or false, never NULL."""
        match node:
            case Both(parts):
                return and_(*(self.condition(part) for part in parts))
            case Either(parts):
                return or_(*(self.condition(part) for part in parts))
            case Not(part):
                return not_(self.condition(part))
            case Comparison():
                return self._comparison(node)

    def _comparison(self, node: Comparison) -> ColumnElement[bool]:
        field, column = self.listing.fields[node.field], self.of[node.field]
        if node.op is Op.UNEQUAL:
            return not_(self._comparison(Comparison(node.field, Op.EQUAL, node.value)))
        if node.value is None:
            return column.is_(None) if field.optional else false()
        found = _compared(field, column, node.op, node.value)
        return and_(column.is_not(None), found) if field.optional else found

    def _ordered(self, question: Select[Any], wanted: Wanted) -> Select[Any]:
        key = self.of[self.listing.key]
        field = self.listing.fields[wanted.sort.field]
        value = _ranked(field, self.of[wanted.sort.field])
        question = question.add_columns(self.of[wanted.sort.field].label(SORTED), key.label(KEY))
        if (after := wanted.after) is not None:
            last = literal(after.key, key.type)
            if wanted.sort.field == self.listing.key:
                question = question.where(key < last if wanted.sort.descending else key > last)
            else:
                place = tuple_(literal(_plain_rank(field, after.value), _type(field, value)), last)
                here = tuple_(value, key)
                question = question.where(here < place if wanted.sort.descending else here > place)
        orders = [key] if wanted.sort.field == self.listing.key else [value, key]
        question = question.order_by(*(each.desc() if wanted.sort.descending else each for each in orders))
        return question.limit(wanted.limit + 1)


def _compared(field: Field, column: ColumnElement[Any], op: Op, value: Any) -> ColumnElement[bool]:
    if op is Op.CONTAINS:
        return column.icontains(value, autoescape=True)
    if field.kind is Kind.RANKED:
        least = field.words.index(value)
        return column.in_([word for n, word in enumerate(field.words) if COMPARE[op](n, least)])
    if field.kind is Kind.BOOLEAN:
        return column if value else not_(column)
    # Numbers are as long as they were written; the column's own type may hold less.
    wanted = literal(value, BigInteger()) if field.kind in NUMBERS else value
    compared: ColumnElement[bool] = COMPARE[op](column, wanted)
    return compared


def _ranked(field: Field, column: ColumnElement[Any]) -> ColumnElement[Any]:
    """What a field is sorted by: an index serves it where every item has a value."""
    if field.kind is Kind.RANKED:
        return case({word: n for n, word in enumerate(field.words)}, value=column, else_=-1)
    if field.kind is Kind.BOOLEAN:
        return case((column, 1), else_=0)
    if not field.optional:
        return column
    return func.coalesce(column, literal(_nothing(field), _type(field, column)), type_=_type(field, column))


def _type(field: Field, value: ColumnElement[Any]) -> Any:
    return BigInteger() if field.kind in NUMBERS else value.type


def _plain_rank(field: Field, value: Any) -> Any:
    """A cursor's *value* as `_ranked` has it."""
    if value is None:
        return _nothing(field)
    if field.kind is Kind.RANKED:
        return field.words.index(value)
    if field.kind is Kind.BOOLEAN:
        return int(value)
    return EPOCH + timedelta(microseconds=value) if field.kind is Kind.INSTANT else value


def _nothing(field: Field) -> Any:
    """What stands for a value that is not there: it comes before all others."""
    return FIRST if field.kind is Kind.INSTANT else "" if field.kind is Kind.TEXT else -MAX_NUMBER
