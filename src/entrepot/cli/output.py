"""What the command line prints: tables for people, documents for programs, one line for an error; and how it ends.

Results go to stdout, everything else to stderr. Texts of a server or an image are shown as text only: control
characters, with which a hostile name could rewrite the terminal, become U+FFFD or an escape, and rich's markup is not
read.
"""

import csv
import json
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import IntEnum, StrEnum
from typing import TYPE_CHECKING, Final, TextIO

from entrepot.cli.user import environment
from entrepot.clock import Clock, SystemClock
from entrepot.errors import DeniedError, EntrepotError, InvalidError, NotFoundError, UnauthenticatedError
from entrepot.runtime.shown import relative
from entrepot.runtime.spreadsheet import harmless

if TYPE_CHECKING:
    from rich.console import Console

Item = dict[str, object]
"""One JSON object of the API."""

QUIET: Final = "ENTREPOT_QUIET"
"""The variable that `--quiet` stands for."""

CONTROL: Final = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")
STEERING: Final = re.compile("[\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")
"""What JSON lets stand unescaped in a string, and a terminal obeys."""

SEVERITY_STYLES: Final = {"critical": "bold red", "high": "red", "medium": "yellow", "low": "cyan"}
OUTCOME_STYLES: Final = {"pass": "green", "warn": "yellow", "block": "bold red", "error": "red", "denied": "red"}
STYLES: Final[Mapping[str, str]] = SEVERITY_STYLES | OUTCOME_STYLES


class ExitCode(IntEnum):
    """How a command ends. A script may rely on these numbers."""

    OK = 0
    """Done."""
    FAILED = 1
    """Failed, also: waited too long, or a scan that did not see all."""
    USAGE = 2
    """Wrong usage or input."""
    NOT_FOUND = 3
    """Not found."""
    DENIED = 4
    """Not allowed, or not logged in."""
    BLOCKED = 5
    """Blocked by policy."""


class BlockedError(EntrepotError):
    """Policy refuses the image. The message is the policy's own text."""


EXIT_CODES: Final[Mapping[type[EntrepotError], ExitCode]] = {
    EntrepotError: ExitCode.FAILED,
    InvalidError: ExitCode.USAGE,
    NotFoundError: ExitCode.NOT_FOUND,
    DeniedError: ExitCode.DENIED,
    UnauthenticatedError: ExitCode.DENIED,
    BlockedError: ExitCode.BLOCKED,
}
"""An error's exit code is that of the nearest class along its MRO."""


class Format(StrEnum):
    """The forms in which a result is printed."""

    TABLE = "table"
    JSON = "json"
    YAML = "yaml"
    CSV = "csv"
    NAME = "name"

    @property
    def is_document(self) -> bool:
        """Whether all of a result is printed, for programs: a secret in it need not be told apart."""
        return self in {Format.JSON, Format.YAML, Format.CSV}


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table: its heading, and the key of the item's value, or a function that gives it.

    right: set flush right, for numbers.
    """

    heading: str
    value: str | Callable[[Item], object]
    right: bool = False

    def of(self, item: Item) -> object:
        """The value of *item* in this column."""
        return item.get(self.value) if isinstance(self.value, str) else self.value(item)


@dataclass(frozen=True, slots=True)
class Output:
    """Prints results in one format on *stream*, and notes on *notes*, unless *quiet*."""

    format: Format
    stream: TextIO
    notes: TextIO
    clock: Clock
    quiet: bool = False

    @classmethod
    def to_terminal(cls, wanted: Format) -> "Output":
        """The output of this process."""
        return cls(wanted, sys.stdout, sys.stderr, SystemClock(), bool(environment().get(QUIET)))

    def items(self, items: Iterable[Item], columns: Sequence[Column], empty: str, name: Column | None = None) -> None:
        """Print a list. As a document, the items as they are; as a table one row each, or the note *empty*.

        name: what other commands take for an item; the first column, if not given.
        """
        every = list(items)
        match self.format:
            case Format.JSON:
                self._json(every)
            case Format.YAML:
                self._yaml(every)
            case Format.TABLE if every:
                self._table(columns, [[column.of(item) for column in columns] for item in every])
            case Format.CSV if every:
                self._csv(every)
            case Format.NAME if every:
                for item in every:
                    self.text(plain(str((name or columns[0]).of(item))))
            case _:
                self.note(empty)

    def item(self, item: Item, facts: Sequence[Column], name: Column | None = None) -> None:
        """Print one thing. As a document, as it is; as a table one line for each of *facts*. name: as of `items`."""
        match self.format:
            case Format.JSON:
                self._json(item)
            case Format.YAML:
                self._yaml(item)
            case Format.TABLE:
                self._table((), [[fact.heading, fact.of(item)] for fact in facts])
            case _:
                self.items([item], facts, "", name)

    def text(self, line: str) -> None:
        """Print *line* alone on stdout, exactly: a secret, a digest, what a script reads."""
        self.stream.write(line + "\n")

    def note(self, line: str) -> None:
        """Tell people *line*, on stderr, unless they want it quiet."""
        if not self.quiet:
            self.notes.write(plain(line) + "\n")

    def fault(self, line: str) -> None:
        """Tell people what failed, though the command goes on."""
        self.notes.write(f"error: {plain(line)}\n")

    @contextmanager
    def progress(self, what: str) -> Iterator[Callable[[str], None]]:
        """While inside, a terminal shows *what*, followed by what the given function is told. Else nothing is shown."""
        if self.quiet or not self.notes.isatty():
            yield _unheard
            return
        from rich.text import Text  # noqa: PLC0415  rich costs 60 ms, which --help need not pay

        with _console(self.notes).status(Text(plain(what))) as status:
            yield lambda now: status.update(Text(plain(f"{what} {now}")))

    def _json(self, value: object) -> None:
        text = json.dumps(value, indent=2, ensure_ascii=False)
        self.stream.write(STEERING.sub(lambda each: f"\\u{ord(each[0]):04x}", text) + "\n")

    def _yaml(self, value: object) -> None:
        import yaml  # noqa: PLC0415  see progress

        self.stream.write(yaml.safe_dump(value, sort_keys=False, width=100_000))

    def _csv(self, items: Sequence[Item]) -> None:
        rows = [flat(item) for item in items]
        writer = csv.DictWriter(
            self.stream, list(dict.fromkeys(key for row in rows for key in row)), lineterminator="\n"
        )
        writer.writeheader()
        writer.writerows(rows)

    def _table(self, columns: Sequence[Column], rows: Sequence[Sequence[object]]) -> None:
        from rich.table import Table  # noqa: PLC0415  see progress
        from rich.text import Text  # noqa: PLC0415

        now = self.clock.now()
        table = Table(box=None, pad_edge=False, show_header=bool(columns), header_style="bold", padding=(0, 3, 0, 0))
        for column in columns:
            table.add_column(column.heading, justify="right" if column.right else "left", overflow="fold")
        for row in rows:
            cells = [cell(value, now) for value in row]
            table.add_row(*(Text(text, style=STYLES.get(text, "")) for text in cells))
        _console(self.stream).print(table)


def exit_code(error: EntrepotError) -> ExitCode:
    """How a command ends that failed with *error*."""
    return next(EXIT_CODES[kind] for kind in type(error).__mro__ if kind in EXIT_CODES)


def part(item: Item, key: str) -> Item:
    """The object below *key*; an empty one if there is none."""
    found = item.get(key)
    return found if isinstance(found, dict) else {}


def parts(item: Item, key: str) -> list[Item]:
    """The objects in the list below *key*; none if there is none."""
    found = item.get(key)
    return [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []


def report(error: EntrepotError, stream: TextIO | None = None) -> ExitCode:
    """Print *error* as one line on *stream* (stderr by default) and give the command's exit code."""
    out = stream or sys.stderr
    out.write(f"error: {plain(error.message)}\n")
    return exit_code(error)


def plain(text: str) -> str:
    """*text* on one line, without what would steer a terminal or turn the direction of writing."""
    return CONTROL.sub("\ufffd", text.replace("\r\n", " ").replace("\n", " ").replace("\t", " "))


def cell(value: object, now: datetime) -> str:
    """*value* as people read it in a table at the instant *now*: times also as an age, nothing as `-`."""
    match value:
        case None | "":
            return "-"
        case bool():
            return "yes" if value else "no"
        case datetime():
            return f"{value.astimezone(UTC).strftime('%Y-%m-%dT%H:%M:%SZ')} ({relative(value, now)})"
        case list() | tuple():
            return ", ".join(cell(each, now) for each in value) or "-"
        case _:
            return plain(str(value))


def flat(item: Item, prefix: str = "") -> dict[str, str]:
    """*item* as a row of CSV: what is inside of an object under a dotted name, a list of objects as JSON."""
    row: dict[str, str] = {}
    for key, value in item.items():
        name = plain(f"{prefix}{key}")
        match value:
            case dict() if value:
                row |= flat(value, f"{name}.")
            case None | {} | []:
                row[name] = ""
            case bool() | int() | float():
                row[name] = json.dumps(value)
            case list() if all(isinstance(each, str) for each in value):
                row[name] = harmless(plain(" ".join(value)))
            case list():
                row[name] = json.dumps(value)
            case _:
                row[name] = harmless(plain(str(value)))
    return row


def when(key: str) -> Callable[[Item], object]:
    """The value of an item's *key* as an instant, if it is one in ISO 8601; else as it stands."""

    def value(item: Item) -> object:
        text = item.get(key)
        try:
            at = datetime.fromisoformat(str(text))
        except ValueError:
            return text
        return at if at.tzinfo else at.replace(tzinfo=UTC)

    return value


def duration(elapsed: timedelta) -> str:
    """*elapsed* for people: `43 ms`, `2.1 s`."""
    milliseconds = elapsed / timedelta(milliseconds=1)
    return f"{milliseconds:.0f} ms" if milliseconds < 1000 else f"{milliseconds / 1000:.1f} s"


def _unheard(_now: str) -> None:
    """Nobody watches."""


def _console(stream: TextIO) -> "Console":
    from rich.console import Console  # noqa: PLC0415  see progress

    # Off a terminal a row is one line, however long: a pipe has no width, and grep reads lines.
    return Console(file=stream, highlight=False, markup=False, width=None if stream.isatty() else 100_000)
