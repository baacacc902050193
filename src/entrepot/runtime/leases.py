"""Leases by name: of all processes on one database at most one holds a name, and a late one is told apart.

Invariant: two holders never have the same token, and a unit that calls `fence` commits only if its lease was not given
to another before. It holds because the token grows with each new holder, in the row that both lock. Example: worker A
holds `lifecycle` with token 4 and stalls; B takes it over with 5; A wakes, and its unit with token 4 fails.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import BigInteger, cast, extract, func, select, update

from entrepot.clock import Clock
from entrepot.ids import ulid
from entrepot.runtime.database_url import Kind
from entrepot.runtime.errors import LeaseLostError
from entrepot.runtime.events.model import SYSTEM
from entrepot.runtime.tables import EPOCH, lease
from entrepot.runtime.unit_of_work import Unit, Work
from entrepot.runtime.upsert import insert_or

HOLD: Final = timedelta(seconds=60)


@dataclass(frozen=True, slots=True)
class Held:
    """A lease that is held: its *name*, and the *token* no other holder of it ever has."""

    name: str
    token: int


@dataclass(frozen=True, slots=True)
class Leases:
    """Takes leases for one *holder*, by the database's clock where that is another machine's."""

    work: Work
    clock: Clock
    holder: str

    @classmethod
    def of_process(cls, work: Work, clock: Clock) -> "Leases":
        """For a holder that nobody else is."""
        return cls(work, clock, ulid())

    async def take(self, name: str, hold: timedelta = HOLD) -> Held | None:
        """The lease *name* for *hold* from now on, also if it was held already; None: another has it."""
        return await self.work.run(SYSTEM, lambda unit: self._take(unit, name, hold, renew=True))

    async def once(self, unit: Unit, name: str, every: timedelta) -> bool:
        """Whether *name* is due: True for one holder once in *every*, if *unit* is committed."""
        return await self._take(unit, name, every, renew=False) is not None

    async def give_back(self, held: Held) -> None:
        """Anybody may take the lease at once."""
        async with self.work(SYSTEM) as unit:
            own = (lease.c.name == held.name) & (lease.c.token == held.token)
            await unit.execute(update(lease).where(own).values(until=EPOCH))

    @asynccontextmanager
    async def hold(self, name: str, hold: timedelta = HOLD) -> AsyncIterator[Held | None]:
        """The lease *name* until the context ends, at most for *hold*; None: another has it."""
        held = await self.take(name, hold)
        try:
            yield held
        finally:
            if held is not None:
                await self.give_back(held)

    async def _take(self, unit: Unit, name: str, hold: timedelta, *, renew: bool) -> Held | None:
        now = await self._now(unit)
        free = {"name": name, "holder": "", "token": 0, "until": EPOCH}
        await unit.execute(insert_or(lease).values(free).on_conflict_do_nothing())
        question = select(lease.c.holder, lease.c.token, lease.c.until).where(lease.c.name == name)
        (row,) = await unit.fetch_all(question.with_for_update())
        is_ours = renew and row.holder == self.holder
        if row.until > now and not is_ours:
            return None
        token = row.token if row.until > now else row.token + 1
        values = {"holder": self.holder, "token": token, "until": now + hold}
        await unit.execute(update(lease).where(lease.c.name == name).values(values))
        return Held(name, token)

    async def _now(self, unit: Unit) -> datetime:
        """The instant now; on PostgreSQL the server's, which is the same for all machines."""
        if self.work.database.kind is Kind.SQLITE:
            return self.clock.now()
        microseconds = cast(extract("epoch", func.clock_timestamp()) * 1_000_000, BigInteger)
        return EPOCH + timedelta(microseconds=(await unit.fetch_all(select(microseconds)))[0][0])


async def fence(unit: Unit, held: Held) -> None:
    """*unit* is committed under *held*, and nobody takes it over before. Raises LeaseLostError."""
    question = select(lease.c.token).where(lease.c.name == held.name).with_for_update(read=True)
    row = await unit.fetch_one(question)
    if row is None or row.token != held.token:
        raise LeaseLostError(f"the lease {held.name} was taken over")
