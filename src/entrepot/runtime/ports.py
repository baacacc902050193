"""What a write transaction is to those who use one, on whichever database."""

from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol

from sqlalchemy import CursorResult, Dialect, Executable


class Connection(Protocol):
    """Runs statements inside one transaction."""

    @property
    def dialect(self) -> Dialect:
        """The database's, by its name."""
        ...

    async def execute(self, statement: Executable, values: Any = None, /) -> CursorResult[*tuple[Any, ...]]:
        """Runs *statement*, once or for each of a list of *values*."""
        ...

    async def exec_driver_sql(self, statement: str, parameters: Any = None, /) -> CursorResult[Any]:
        """Runs *statement*, in the driver's own style, for each of a list of *parameters* as the driver takes them."""
        ...


class Transaction(Protocol):
    """A write transaction under way."""

    @property
    def connection(self) -> Connection:
        """For its statements."""
        ...

    async def commit(self) -> None:
        """What was written is on the disk when this returns. Raises OperationalError: then nothing of it is."""
        ...


class Writers(Protocol):
    """Where write transactions come from."""

    def transaction(self) -> AbstractAsyncContextManager[Transaction]:
        """One, taken back unless it ends with its `commit`. Raises what `database.SILENT` names."""
        ...

    def in_use(self) -> int:
        """How many connections have a transaction under way."""
        ...

    async def close(self) -> None:
        """Every connection is closed."""
        ...
