"""What the command line prints: tables for people, JSON for programs, one line for an error; and how it ends.

Results go to stdout, everything else to stderr. Texts of a server or an image are shown as text only: control
characters, with which a hostile name could rewrite the terminal, become U+FFFD, and rich's markup is not read.
"""

import json
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import IntEnum, StrEnum
from typing import TYPE_CHECKING, Final, TextIO

from entrepot.clock import Clock, SystemClock
from entrepot.errors import DeniedError, EntrepotError, InvalidError, NotFoundError, UnauthenticatedError

if TYPE_CHECKING:
    from rich.console import Console

Item = dict[str, object]
"""One JSON object of the API."""

CONTROL: Final = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")
UNITS: Final = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))
SEVERITY_STYLES: Final = {"critical": "bold red", "high": "red", "medium": "yellow", "low": "cyan"}
OUTCOME_STYLES: Final = {"pass": "green", "warn": "yellow", "block": "bold red", "error": "red", "denied": "red"}
STYLES: Final[Mapping[str, str]] = SEVERITY_STYLES | OUTCOME_STYLES


class ExitCode(IntEnum):
    """How a command ends. A script may rely on these numbers."""

    OK = 0
    FAILED = 1
    USAGE = 2
    NOT_FOUND = 3
    DENIED = 4
    BLOCKED = 5


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
    """Prints results in one format on *stream*, and notes on *notes*."""

    format: Format
    stream: TextIO
    notes: TextIO
    clock: Clock

    @classmethod
    def to_terminal(cls, wanted: Format) -> "Output":
        """The output of this process."""
        return cls(wanted, sys.stdout, sys.stderr, SystemClock())

    def items(self, items: Iterable[Item], columns: Sequence[Column], empty: str) -> None:
        """Print a list: as JSON the items as they are, in one array; as a table one row each, or the note *empty*."""
        every = list(items)
        if self.format is Format.JSON:
            self._json(every)
        elif not every:
            self.note(empty)
        else:
            self._table(columns, [[column.of(item) for column in columns] for item in every])

    def item(self, item: Item, facts: Sequence[Column]) -> None:
        """Print one thing: as JSON as it is, as a table one line for each of *facts*."""
        if self.format is Format.JSON:
            self._json(item)
        else:
            self._table((), [[fact.heading, fact.of(item)] for fact in facts])

    def text(self, line: str) -> None:
        """Print *line* alone on stdout, exactly: a secret, a digest, what a script reads."""
        self.stream.write(line + "\n")

    def note(self, line: str) -> None:
        """Tell people *line*, on stderr."""
        self.notes.write(plain(line) + "\n")

    @contextmanager
    def progress(self, what: str) -> Iterator[Callable[[str], None]]:
        """While inside, a terminal shows *what*, followed by what the given function is told. Else nothing is shown."""
        if not self.notes.isatty():
            yield _unheard
            return
        from rich.text import Text  # noqa: PLC0415  rich costs 60 ms, which --help need not pay

        with _console(self.notes).status(Text(plain(what))) as status:
            yield lambda now: status.update(Text(plain(f"{what} {now}")))

    def _json(self, value: object) -> None:
        self.stream.write(json.dumps(value, indent=2, ensure_ascii=False) + "\n")

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


def relative(at: datetime, now: datetime) -> str:
    """The distance of *at* from *now* in its largest whole unit: `2 d ago`, `in 3 h`, `now`."""
    seconds = int(abs((now - at).total_seconds()))
    for length, unit in UNITS:
        if seconds >= length:
            distance = f"{seconds // length} {unit}"
            return f"{distance} ago" if at < now else f"in {distance}"
    return "now"


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


def byte_size(count: int) -> str:
    """*count* bytes in the largest binary unit that leaves at least one: `1.8 MiB`."""
    size = float(count)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if size < 1024:
            return f"{int(size)} B" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} TiB"


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
