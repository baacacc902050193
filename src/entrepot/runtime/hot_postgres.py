"""Hot reads on PostgreSQL: a pool of the async driver's connections, each statement prepared after a few uses.

Always the primary: docker asks for what it pushed a moment ago, perhaps at another replica, and must get it.
"""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final

from psycopg import AsyncConnection, Error
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from entrepot.runtime.errors import DatabaseUnavailableError
from entrepot.runtime.hot import Row, Statement, T, Value

WAIT_SECONDS: Final = 5.0
STATEMENT_TIMEOUT_MS: Final = 5_000
PREPARE_AFTER: Final = 2


class PostgresReader:
    """Read-only connections to the database at *url*, at most *size*. Implements HotReader."""

    def __init__(self, url: str, size: int) -> None:
        self._pool = AsyncConnectionPool(
            url,
            min_size=1,
            max_size=size,
            timeout=WAIT_SECONDS,
            open=False,
            check=None,
            configure=_configure,
            kwargs={"autocommit": True, "prepare_threshold": PREPARE_AFTER},
        )

    async def open(self) -> None:
        """See HotReader."""
        await self._pool.open()

    async def one(self, statement: Statement, values: Mapping[str, Value]) -> tuple[Any, ...] | None:
        """See HotReader."""
        given = statement.values(values)
        if _in_no_row(given):
            return None
        async with self._asking() as connection:
            cursor = await connection.execute(statement.sql, given)
            return await cursor.fetchone()

    async def found(self, statement: Statement, values: Mapping[str, Value], make: Callable[[Row], T]) -> T | None:
        """See HotReader."""
        row = await self.one(statement, values)
        return None if row is None else make(row)

    async def all(self, statement: Statement, values: Mapping[str, Value]) -> list[tuple[Any, ...]]:
        """See HotReader."""
        given = statement.values(values)
        if _in_no_row(given):
            return []
        async with self._asking() as connection:
            cursor = await connection.execute(statement.sql, given)
            return await cursor.fetchall()

    async def close(self) -> None:
        """See HotReader."""
        await self._pool.close()

    @asynccontextmanager
    async def _asking(self) -> AsyncIterator[AsyncConnection[Any]]:
        try:
            async with self._pool.connection() as connection:
                yield connection
        except (Error, PoolTimeout) as error:
            raise DatabaseUnavailableError("the database does not answer; try again") from error


def _in_no_row(given: list[Value]) -> bool:
    """Whether one of *given* is a text that PostgreSQL keeps nowhere, and refuses to look for."""
    return any(isinstance(value, str) and "\0" in value for value in given)


async def _configure(connection: AsyncConnection[Any]) -> None:
    await connection.execute("SET default_transaction_read_only = on")
    await connection.execute(f"SET statement_timeout = {STATEMENT_TIMEOUT_MS}")
