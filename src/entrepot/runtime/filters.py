r"""The one language in which lists are filtered: `filter=severity>=high and not locked=true`.

    filter     = term { ("and" | "or") term }          `and` binds tighter
    term       = ["not"] ( "(" filter ")" | comparison )
    comparison = field ("=" | "!=" | "<" | "<=" | ">" | ">=" | "~") value
    value      = word | '"' any text, with \" and \\ '"'

`~`: contains, whatever the case of A to Z. An instant is compared with an ISO time (`moved_at>2026-01-31`) or as an age
(`moved_at<30d`: less than 30 days ago). `none`: there is no value; such a value fulfills no other comparison but `!=`.
"""

import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from difflib import get_close_matches
from enum import Enum, StrEnum
from typing import Any, Final, assert_never

from entrepot.errors import InvalidError
from entrepot.runtime.quantities import parse_bytes, parse_duration

MAX_LENGTH: Final = 1_000
MAX_DEPTH: Final = 16
MAX_COMPARISONS: Final = 50
MAX_NUMBER: Final = 2**63 - 1
MAX_WEEKS: Final = 5_200
NONE: Final = "none"
TRUTH: Final = {"true": True, "false": False}
OPEN, CLOSE, OPERATOR, WORD, QUOTED = "open", "close", "operator", "word", "quoted"
TOKEN: Final = re.compile(
    r'(?P<open>\()|(?P<close>\))|(?P<operator>[<>!]=|[=<>~])|(?P<quoted>"(?:[^"\\]|\\["\\])*")|(?P<word>[^\s()"=!<>~]+)'
)
# Right of an operator a word may hold what elsewhere would be one: 1.0~rc1.
VALUE: Final = re.compile(r'(?P<quoted>"(?:[^"\\]|\\["\\])*")|(?P<word>[^\s()"]+)')


class Kind(Enum):
    """What a field's values are. RANKED: one of the field's words, which are in order; BYTES: a number with a unit."""

    TEXT = "text"
    NUMBER = "number"
    BYTES = "size"
    INSTANT = "instant"
    BOOLEAN = "boolean"
    RANKED = "ranked"


class Op(StrEnum):
    """How a field is compared."""

    EQUAL = "="
    UNEQUAL = "!="
    LESS = "<"
    LESS_EQUAL = "<="
    GREATER = ">"
    GREATER_EQUAL = ">="
    CONTAINS = "~"


EQUALITY: Final = (Op.EQUAL, Op.UNEQUAL)
ORDER: Final = (*EQUALITY, Op.LESS, Op.LESS_EQUAL, Op.GREATER, Op.GREATER_EQUAL)
OPS: Final[Mapping[Kind, tuple[Op, ...]]] = {
    Kind.TEXT: (*EQUALITY, Op.CONTAINS),
    Kind.NUMBER: ORDER,
    Kind.BYTES: ORDER,
    Kind.INSTANT: ORDER,
    Kind.BOOLEAN: EQUALITY,
    Kind.RANKED: ORDER,
}
COMPARE: Final[Mapping[Op, Callable[[Any, Any], Any]]] = {
    Op.EQUAL: operator.eq,
    Op.LESS: operator.lt,
    Op.LESS_EQUAL: operator.le,
    Op.GREATER: operator.gt,
    Op.GREATER_EQUAL: operator.ge,
}
# The older something is, the earlier its instant.
AGES: Final = {
    Op.LESS: Op.GREATER,
    Op.LESS_EQUAL: Op.GREATER_EQUAL,
    Op.GREATER: Op.LESS,
    Op.GREATER_EQUAL: Op.LESS_EQUAL,
}


class FilterInvalidError(InvalidError):
    """A filter, sort or cursor that can't be read; the message says where and what was meant, not what was sent."""


@dataclass(frozen=True, slots=True)
class Field:
    """What a list is filtered by if *filters*, and sorted by if *sorts*. words: of a ranked field, the lowest first.

    optional: there are items without a value; they sort before all others.
    """

    kind: Kind
    words: tuple[str, ...] = ()
    optional: bool = False
    sorts: bool = True
    filters: bool = True


@dataclass(frozen=True, slots=True)
class Comparison:
    """A field against a value of its kind; None: there is none."""

    field: str
    op: Op
    value: str | int | bool | datetime | None


@dataclass(frozen=True, slots=True)
class Not:
    """What *part* is not true of."""

    part: "Node"


@dataclass(frozen=True, slots=True)
class Both:
    """What all *parts* are true of."""

    parts: tuple["Node", ...]


@dataclass(frozen=True, slots=True)
class Either:
    """What one of *parts* is true of."""

    parts: tuple["Node", ...]


Node = Comparison | Not | Both | Either


def parse_filter(text: str, fields: Mapping[str, Field], now: datetime) -> Node:
    """The tree of a filter on *fields*; ages are counted from *now*. Raises FilterInvalidError."""
    return _Parser(text, fields, now).parse()


class _Parser:
    """Reads one filter, from left to right."""

    def __init__(self, text: str, fields: Mapping[str, Field], now: datetime) -> None:
        self.text = text
        self.fields = {name: field for name, field in fields.items() if field.filters}
        self.now = now
        self.place = 0
        self.depth = 0
        self.comparisons = 0

    def parse(self) -> Node:
        """The filter's tree. Raises FilterInvalidError."""
        if len(self.text) > MAX_LENGTH:
            raise self._fault(f"longer than {MAX_LENGTH} characters")
        if "\0" in self.text:
            raise self._fault("a NUL")
        node = self._either()
        if self._peek()[0]:
            raise self._fault("expected and, or, or the end")
        return node

    def _either(self) -> Node:
        parts = [self._both()]
        while self._word("or"):
            parts.append(self._both())
        return parts[0] if len(parts) == 1 else Either(tuple(parts))

    def _both(self) -> Node:
        parts = [self._term()]
        while self._word("and"):
            parts.append(self._term())
        return parts[0] if len(parts) == 1 else Both(tuple(parts))

    def _term(self) -> Node:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise self._fault(f"nested deeper than {MAX_DEPTH}")
        node: Node
        if self._word("not"):
            node = Not(self._term())
        elif self._peek()[0] == OPEN:
            self._take()
            node = self._either()
            if self._peek()[0] != CLOSE:
                raise self._fault("expected )")
            self._take()
        else:
            node = self._comparison()
        self.depth -= 1
        return node

    def _comparison(self) -> Comparison:
        self.comparisons += 1
        if self.comparisons > MAX_COMPARISONS:
            raise self._fault(f"more than {MAX_COMPARISONS} comparisons")
        kind, name = self._peek()
        if kind != WORD:
            raise self._fault("expected a field")
        if name not in self.fields:
            raise self._fault(f"no such field{suggestion(name, list(self.fields))}")
        self._take()
        field = self.fields[name]
        kind, sign = self._peek()
        allowed = OPS[field.kind]
        if kind != OPERATOR or sign not in allowed:
            raise self._fault(f"expected an operator of {name}: {' '.join(allowed)}")
        self._take()
        op = Op(sign)
        kind, text = self._value()
        if kind == WORD and text == NONE and op in EQUALITY:
            return Comparison(name, op, None)
        if field.kind is Kind.INSTANT and kind == WORD and (age := _age(text)) is not None:
            return Comparison(name, AGES.get(op, op), self.now - age)
        try:
            return Comparison(name, op, READERS[field.kind](field, text))
        except ValueError as error:
            raise self._fault(str(error)) from None

    def _value(self) -> tuple[str, str]:
        self._skip()
        match = VALUE.match(self.text, self.place)
        if match is None:
            raise self._fault("expected a value")
        found = _unquoted(match)
        self.place = match.end()
        return found

    def _word(self, word: str) -> bool:
        """Whether *word* comes next, and then it is taken."""
        kind, text = self._peek()
        is_next = kind == WORD and text.lower() == word
        if is_next:
            self._take()
        return is_next

    def _peek(self) -> tuple[str, str]:
        """Kind and text of the next token; empty at the end."""
        self._skip()
        if self.place == len(self.text):
            return "", ""
        match = TOKEN.match(self.text, self.place)
        if match is None:
            raise self._fault("not readable")
        return _unquoted(match)

    def _take(self) -> None:
        match = TOKEN.match(self.text, self.place)
        assert match is not None  # noqa: S101  it was looked at
        self.place = match.end()

    def _skip(self) -> None:
        while self.place < len(self.text) and self.text[self.place].isspace():
            self.place += 1

    def _fault(self, what: str) -> FilterInvalidError:
        return FilterInvalidError(f"at character {self.place + 1}: {what}", "filter")


def suggestion(name: str, known: Sequence[str]) -> str:
    """What of *known* may have been meant by *name*, which is not repeated; else all of it."""
    close = get_close_matches(name[:64].lower(), known, 1)
    return f"; did you mean {close[0]}?" if close else f"; there are: {', '.join(known) or 'none'}"


def holds(node: Node, fields: Mapping[str, Field], get: Callable[[str], Any]) -> bool:
    """Whether *node* is true of the item whose field's value *get* gives."""
    match node:
        case Both(parts):
            return all(holds(part, fields, get) for part in parts)
        case Either(parts):
            return any(holds(part, fields, get) for part in parts)
        case Not(part):
            return not holds(part, fields, get)
        case Comparison(name, op, value):
            return _compares(get(name), op, value, fields[name])
        case _:
            assert_never(node)


def _compares(found: Any, op: Op, value: Any, field: Field) -> bool:
    if op is Op.UNEQUAL:
        return not _compares(found, Op.EQUAL, value, field)
    if found is None or value is None:
        return op is Op.EQUAL and found is value
    if op is Op.CONTAINS:
        return folded(value) in folded(found)
    if field.kind is Kind.RANKED:
        found, value = field.words.index(found), field.words.index(value)
    return bool(COMPARE[op](found, value))


def _text(field: Field, text: str) -> str:
    del field
    return text


def _number(field: Field, text: str) -> int:
    del field
    if not re.fullmatch(r"-?[0-9]{1,18}", text, re.ASCII):
        raise ValueError("expected a whole number")
    return int(text)


def _bytes(field: Field, text: str) -> int:
    del field
    return min(parse_bytes(text), MAX_NUMBER)


def _boolean(field: Field, text: str) -> bool:
    del field
    if text not in TRUTH:
        raise ValueError("expected true or false")
    return TRUTH[text]


def _ranked(field: Field, text: str) -> str:
    if text not in field.words:
        raise ValueError(f"no such word{suggestion(text, field.words)}")
    return text


def _instant(field: Field, text: str) -> datetime:
    del field
    try:
        at = datetime.fromisoformat(text)
        return (at.replace(tzinfo=UTC) if at.tzinfo is None else at).astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError("expected a time such as 2026-01-31, or an age such as 30d") from None


READERS: Final[Mapping[Kind, Callable[[Field, str], str | int | bool | datetime]]] = {
    Kind.TEXT: _text,
    Kind.NUMBER: _number,
    Kind.BYTES: _bytes,
    Kind.INSTANT: _instant,
    Kind.BOOLEAN: _boolean,
    Kind.RANKED: _ranked,
}
LOWER: Final = {upper: upper + 32 for upper in range(ord("A"), ord("Z") + 1)}


def folded(text: str) -> str:
    """*text* with A to Z in lower case, as every database does it."""
    return text.translate(LOWER)


def _age(text: str) -> timedelta | None:
    if not re.fullmatch(r"[0-9]{1,9}(?:s|m|h|d|w)", text, re.ASCII):
        return None
    if text.endswith("w"):
        return timedelta(weeks=min(int(text[:-1]), MAX_WEEKS))
    try:
        return parse_duration(text)
    except ValueError:
        return timedelta(weeks=MAX_WEEKS)


def _unquoted(match: re.Match[str]) -> tuple[str, str]:
    kind, text = str(match.lastgroup), match[0]
    return (QUOTED, re.sub(r'\\(["\\])', r"\1", text[1:-1])) if kind == QUOTED else (kind, text)
