"""Requests that a client may send twice: `Idempotency-Key`, kept for a day.

Invariant: of all requests of one account with one key at most one takes effect. It holds because the key's row names
the one request that may, its *holder*, and each unit of that request marks the row in its own commit, or fails if the
row is another's by now. Example: a process is killed between the commit of a new robot and the answer; the row is
marked, so the retry makes no second robot but is told that the first is there. Killed before the commit, the row is
not marked, and after HOLD the retry is carried out. Broken, `tests/contract/test_idempotency.py` fails.

What holds after a crash between commit and answer: nothing is done twice; the answer itself is lost.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

import msgspec
from sqlalchemy import delete, select, update

from entrepot.clock import Clock
from entrepot.runtime.errors import AnswerLostError, AnswerWithheldError, KeyBusyError, KeyReusedError, LeaseLostError
from entrepot.runtime.events.model import SYSTEM, Actor, Event
from entrepot.runtime.tables import idempotency_key as row_of
from entrepot.runtime.unit_of_work import Unit, Work
from entrepot.runtime.upsert import insert_or

KEEP: Final = timedelta(hours=24)
HOLD: Final = timedelta(seconds=60)
"""How long a request may run before a retry may take its key over."""
MAX_BODY_BYTES: Final = 64 * 1024
LONG: Final = "the request was done, and its answer was too long to keep: look at what it made"
SHOWN_ONCE: Final = "the request was done, and what it showed is shown once: revoke the secret, and make a new one"


@dataclass(frozen=True, slots=True)
class Answer:
    """What was answered. headers: by lower-case name."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Claims:
    """Keys of accounts, and what was answered to them. by: who asks, by which request."""

    work: Work
    clock: Clock

    async def claim(self, by: Actor, key: str, fingerprint: str) -> Answer | None:
        """What was answered to *key* before; None: this request is to be carried out, and then `keep` or `release`d.

        fingerprint: of what is asked. Raises KeyReusedError, KeyBusyError, AnswerLostError, AnswerWithheldError.
        """
        return await self.work.run(by, lambda unit: self._claim(unit, key, fingerprint))

    async def keep(self, by: Actor, answer: Answer, *, is_secret: bool) -> None:
        """From now on the request's key gets *answer*, or, if that is secret or too long to keep, is told so."""
        withheld = SHOWN_ONCE if is_secret else LONG if len(answer.body) > MAX_BODY_BYTES else None
        values: dict[str, Any] = {"withheld": withheld, "done_at": self.clock.now()}
        if withheld is None:
            headers = msgspec.json.encode(answer.headers).decode()
            values |= {"status": answer.status, "headers": headers, "body": answer.body}
        async with self.work(by) as unit:
            await unit.execute(update(row_of).where(row_of.c.holder == by.request_id).values(values))

    async def release(self, by: Actor) -> None:
        """The request failed: its key is free again; if something of it was committed, a retry is told so."""
        own = row_of.c.holder == by.request_id
        async with self.work(by) as unit:
            await unit.execute(delete(row_of).where(own, row_of.c.done_at.is_(None)))
            await unit.execute(update(row_of).where(own).values(until=self.clock.now()))

    async def forget(self) -> None:
        """Keys older than a day are gone."""
        async with self.work(SYSTEM) as unit:
            await unit.execute(delete(row_of).where(row_of.c.started_at <= self.clock.now() - KEEP))

    async def _claim(self, unit: Unit, key: str, fingerprint: str) -> Answer | None:
        now, by = self.clock.now(), unit.by
        own = {"owner": by.account_id, "key": key}
        values: dict[str, Any] = {
            "fingerprint": fingerprint,
            "holder": by.request_id,
            "started_at": now,
            "until": now + HOLD,
            "done_at": None,
            "status": None,
            "headers": None,
            "body": None,
            "withheld": None,
        }
        claimed = insert_or(row_of).values(own | values).on_conflict_do_nothing().returning(row_of.c.holder)
        if await unit.fetch_one(claimed) is not None:
            return None
        there = (row_of.c.owner == by.account_id) & (row_of.c.key == key)
        row = await unit.fetch_one(select(row_of).where(there).with_for_update())
        if row is None:  # given back at this moment
            raise KeyBusyError
        if row.started_at > now - KEEP:
            if row.fingerprint != fingerprint:
                raise KeyReusedError
            if row.status is not None:
                return Answer(row.status, msgspec.json.decode(row.headers), bytes(row.body))
            if row.withheld is not None:
                raise AnswerWithheldError(row.withheld)
            if row.until > now:
                raise KeyBusyError
            if row.done_at is not None:
                raise AnswerLostError
        await unit.execute(update(row_of).where(there).values(values))
        return None


@dataclass(frozen=True, slots=True)
class MarkClaim:
    """A listener of every unit of work: what a request with a key does is marked in the same commit."""

    clock: Clock

    async def __call__(self, unit: Unit, event: Event) -> None:
        """The key of *unit*'s request is marked as done. Raises LeaseLostError if a retry has taken it over."""
        del event
        if unit.by.is_keyed:
            own = row_of.c.holder == unit.by.request_id
            marked = await unit.execute(update(row_of).where(own).values(done_at=self.clock.now()))
            if not marked.rowcount:
                raise LeaseLostError("a retry of this request has taken it over")
