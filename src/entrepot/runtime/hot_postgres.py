"""Hot reads on PostgreSQL: a pool of the async driver's connections, each statement prepared after a few uses.

Always the primary: docker asks for what it pushed a moment ago, perhaps at another replica, and must get it.

A row is remembered with the snapshot in which it was read: the transactions whose changes it shows. It is given again
only where the database, asked after the question came, still has that snapshot: then nobody has committed anything
since. One such question answers all who wait for one, so that a tag pulled by many costs neither a join nor a
round trip for each. Broken, `tests/integration/test_hot_postgres.py` fails.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final

from psycopg import AsyncConnection, Error
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from entrepot.runtime.errors import DatabaseUnavailableError
from entrepot.runtime.hot import REMEMBERED, Row, Statement, T, Value, is_long

WAIT_SECONDS: Final = 5.0
STATEMENT_TIMEOUT_MS: Final = 5_000
PREPARE_AFTER: Final = 2

STATE: Final = "pg_current_snapshot()::text || ' ' || pg_postmaster_start_time()::text"
"""What changes with each commit. The server's start keeps two servers apart, of which one took over from the other."""

SILENT: Final = "the database does not answer; try again"
NOTICE: Final = {
    "connect_timeout": 5,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
}
"""By when (seconds, the last milliseconds) a connection ends of which the other side is gone without a word."""

ASK_STATE: Final = f"SELECT {STATE}"


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
            kwargs={"autocommit": True, "prepare_threshold": PREPARE_AFTER, **NOTICE},
        )
        self._rows: dict[tuple[str, tuple[Value, ...]], tuple[str, Any]] = {}
        self._waiting: list[asyncio.Future[str]] = []
        self._asker: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """See HotReader."""
        await self._pool.open()

    async def one(self, statement: Statement, values: Mapping[str, Value]) -> tuple[Any, ...] | None:
        """See HotReader."""
        return await self.found(statement, values, _itself)

    async def found(self, statement: Statement, values: Mapping[str, Value], make: Callable[[Row], T]) -> T | None:
        """See HotReader."""
        given = tuple(statement.values(values))
        if _in_no_row(given):
            return None
        key = (statement.sql, given)
        known = self._rows.get(key)
        if known is not None and known[0] == await self._state():
            same: T = known[1]
            return same
        async with self._asking() as connection:
            cursor = await connection.execute(_with_state(statement.sql), given)
            row = await cursor.fetchone()
        if row is None:
            return None
        made = make(row[:-1])
        if not any(map(is_long, row)):
            if len(self._rows) >= REMEMBERED:
                self._rows.clear()
            self._rows[key] = (row[-1], made)
        return made

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

    async def _state(self) -> str:
        """The database's state, asked for after this was called. Raises DatabaseUnavailableError."""
        answer: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._waiting.append(answer)
        if self._asker is None or self._asker.done():  # done: it was canceled
            self._asker = asyncio.create_task(self._ask())
        return await answer

    async def _ask(self) -> None:
        """Asks as long as somebody waits; who comes while a question is under way waits for the next one."""
        while self._waiting:
            waiting, self._waiting = self._waiting, []
            silence = asyncio.get_running_loop().call_later(WAIT_SECONDS, self._give_up, waiting)
            try:
                state = await self._asked()
            except Exception as error:  # noqa: BLE001  each who waits raises it
                _fail(waiting, error)
            else:
                for each in waiting:
                    if not each.done():  # whoever gave up is
                        each.set_result(state)
            finally:
                silence.cancel()
            if self._asker is not asyncio.current_task():
                return  # it was given up, and another asks by now
        self._asker = None

    def _give_up(self, waiting: list[asyncio.Future[str]]) -> None:
        """Leaves a question alone that gets no answer; whoever waits for the next one asks on another connection."""
        _fail(waiting, DatabaseUnavailableError(SILENT))
        self._asker = asyncio.create_task(self._ask()) if self._waiting else None

    async def _asked(self) -> str:
        async with self._asking() as connection:
            row = await (await connection.execute(ASK_STATE)).fetchone()
        return str(row[0]) if row else ""

    @asynccontextmanager
    async def _asking(self) -> AsyncIterator[AsyncConnection[Any]]:
        try:
            async with self._pool.connection() as connection:
                yield connection
        except (Error, PoolTimeout) as error:
            raise DatabaseUnavailableError(SILENT) from error


def _fail(waiting: list[asyncio.Future[str]], error: Exception) -> None:
    for each in waiting:
        if not each.done():
            each.set_exception(error)


def _with_state(sql: str) -> str:
    """*sql*, each row with the state in which it was read at its end."""
    return f"SELECT asked.*, {STATE} FROM ({sql}) AS asked"  # noqa: S608  of our own text alone


def _itself(row: Row) -> Row:
    return row


def _in_no_row(given: tuple[Value, ...] | list[Value]) -> bool:
    """Whether one of *given* is a text that PostgreSQL keeps nowhere, and refuses to look for."""
    return any(isinstance(value, str) and "\0" in value for value in given)


async def _configure(connection: AsyncConnection[Any]) -> None:
    await connection.execute("SET default_transaction_read_only = on")
    await connection.execute(f"SET statement_timeout = {STATEMENT_TIMEOUT_MS}")
