"""Group commit on SQLite: units that wait for each other share one COMMIT, and with it one sync of the disk.

Invariant: `commit` returns only when what its unit wrote is on the disk, and a unit that fails takes back its own
changes alone. It holds because units take turns on one connection, each but the first of a group inside a savepoint,
and each waits for the COMMIT of its group. Example: ten uploads end while a COMMIT is under way; their units run one
after the other in the next transaction, and all ten are answered after its COMMIT. If that fails, all ten fail.
Broken, `tests/contract/test_unit_of_work.py` fails.
"""

import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from sqlite3 import Error
from typing import Final

from sqlalchemy import Engine
from sqlalchemy.exc import OperationalError

from entrepot.runtime.inline import InlineConnection

MOST: Final = 32
"""So many units share a COMMIT at most: meanwhile no other process can write."""

TURN_SECONDS: Final = 30
LOST: Final = "the transaction was rolled back by the database"


@dataclass(slots=True)
class Group:
    """An open transaction which so many *units* have joined. done: its COMMIT; committer: the task that sees to it."""

    connection: InlineConnection
    done: asyncio.Future[None]
    units: int = 0
    committer: asyncio.Task[None] | None = None


@dataclass(slots=True)
class Turn:
    """One unit's part of a transaction. Implements ports.Transaction."""

    groups: "Groups"
    group: Group
    is_over: bool = False

    @property
    def connection(self) -> InlineConnection:
        """For the unit's statements."""
        return self.group.connection

    async def commit(self) -> None:
        """What the unit wrote is on the disk when this returns. Raises OperationalError: then nothing of it is."""
        self.is_over = True
        await self.groups.leave(self.group)


@dataclass(slots=True)
class Groups:
    """Gives units their turns. Implements ports.Writers. *engine*: see `inline_engine`."""

    engine: Engine
    _thread: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1, "database"))
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    _open: Group | None = None

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Turn]:
        """A turn; what it wrote is taken back unless it ends with its `commit`. Raises OperationalError."""
        try:
            async with asyncio.timeout(TURN_SECONDS):
                await self._turn.acquire()
        except TimeoutError as error:
            raise OperationalError("BEGIN", None, error) from error
        try:
            turn = Turn(self, await self._join())
        except BaseException:
            self._turn.release()
            raise
        try:
            yield turn
        finally:
            if not turn.is_over:
                try:
                    self._take_back(turn.group)
                finally:
                    self._turn.release()

    def in_use(self) -> int:
        """See Writers."""
        return int(self._open is not None)

    async def close(self) -> None:
        """See Writers."""
        self.engine.dispose()
        self._thread.shutdown(wait=False)

    async def leave(self, group: Group) -> None:
        """Ends the turn of a unit that is complete; returns after the COMMIT."""
        try:
            if group.units > 1:
                _about_transaction(group, "RELEASE unit")
        finally:
            if group.committer is None:
                group.committer = asyncio.create_task(self._commit_in_turn(group))
            self._turn.release()
        await asyncio.shield(group.done)

    async def _join(self) -> Group:
        group = self._open
        if group is not None and (group.units >= MOST or not group.connection.is_in_transaction):
            await self._commit(group)
            group = None
        if group is None:
            group = self._open = await self._begin()
        else:
            _about_transaction(group, "SAVEPOINT unit")
        group.units += 1
        return group

    async def _begin(self) -> Group:
        connection = InlineConnection(self.engine.connect(), self._thread)
        try:
            await connection.begin()
        except BaseException:
            connection.close()
            raise
        return Group(connection, asyncio.get_running_loop().create_future())

    def _take_back(self, group: Group) -> None:
        """The changes of the unit whose turn it is are gone; those of the others stay, if the database allows."""
        if group.units == 1:
            self._open = None
            group.connection.close()
            return
        try:
            group.connection.now("ROLLBACK TO unit")
            group.connection.now("RELEASE unit")
        except Error:
            with suppress(Error):
                group.connection.now("ROLLBACK")

    async def _commit_in_turn(self, group: Group) -> None:
        """Turns are given in the order of asking: whoever waits for one now comes before the COMMIT."""
        async with self._turn:
            if self._open is group:
                await self._commit(group)

    async def _commit(self, group: Group) -> None:
        """Ends *group*, and tells its units how. The turn must be held."""
        self._open = None
        try:
            try:
                # Outside a transaction COMMIT is no error, and nothing would be on the disk.
                if not group.connection.is_in_transaction:
                    raise OperationalError("COMMIT", None, Error(LOST))
                await group.connection.commit()
            finally:
                group.connection.close()
        except Exception as error:  # noqa: BLE001  each unit of the group raises it
            group.done.set_exception(error)
        except BaseException:
            group.done.cancel()
            raise
        else:
            group.done.set_result(None)


def _about_transaction(group: Group, statement: str) -> None:
    try:
        group.connection.now(statement)
    except Error as error:
        raise OperationalError(statement, None, error) from error
