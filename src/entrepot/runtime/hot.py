"""Reads of the pull path: one SQL statement on the raw driver, no layer in between.

The statements are compiled once from the tables by `hot_sql` modules; nothing here knows SQLAlchemy. A reader can't
write. `hot_sqlite.py` and `hot_postgres.py` are the two there are.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Protocol, TypeVar

Value = str | bytes | int | None
Row = tuple[Any, ...]
T = TypeVar("T")

REMEMBERED: Final = 1_024
"""So many rows a reader remembers at most."""

REMEMBERED_BYTES: Final = 16 << 10
"""A row with a longer value is asked for each time."""


@dataclass(frozen=True, slots=True)
class Statement:
    """SQL in the driver's own style, and the names of its parameters in the order they stand in it.

    constants: values of those that are the same each time.
    """

    sql: str
    names: tuple[str, ...] = ()
    constants: Mapping[str, Value] = field(default_factory=dict)

    def values(self, given: Mapping[str, Value]) -> list[Value]:
        """What to hand the driver for *given*."""
        known = {**self.constants, **given} if self.constants else given
        return [known[name] for name in self.names]


class HotReader(Protocol):
    """Asks the primary database; sees every commit at once, of whichever process."""

    async def open(self) -> None:
        """Connects, in the event loop that will ask."""
        ...

    async def one(self, statement: Statement, values: Mapping[str, Value]) -> tuple[Any, ...] | None:
        """The first row *statement* gives for *values*, or None. Raises DatabaseUnavailableError."""
        ...

    async def found(self, statement: Statement, values: Mapping[str, Value], make: Callable[[Row], T]) -> T | None:
        """What *make* makes of the first row, or None. It depends on the row and *values* alone, and is immutable: it
        may be remembered with the row. Raises DatabaseUnavailableError.
        """
        ...

    async def all(self, statement: Statement, values: Mapping[str, Value]) -> list[tuple[Any, ...]]:
        """Every row *statement* gives for *values*. Raises DatabaseUnavailableError."""
        ...

    async def close(self) -> None:
        """Nothing is connected any more."""
        ...


def is_long(value: Value) -> bool:
    """Whether a row with *value* is too long to be remembered."""
    return isinstance(value, bytes | str) and len(value) > REMEMBERED_BYTES
