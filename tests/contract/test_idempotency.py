"""The contract of `Idempotency-Key`, on both databases: what was asked for twice takes effect once."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import func, select

from entrepot.ids import ulid
from entrepot.runtime.database import open_database
from entrepot.runtime.errors import (
    AnswerLostError,
    AnswerWithheldError,
    KeyBusyError,
    KeyReusedError,
    LeaseLostError,
)
from entrepot.runtime.events.model import Actor, Event
from entrepot.runtime.idempotency import HOLD, KEEP, MAX_BODY_BYTES, Answer, Claims, MarkClaim
from entrepot.runtime.tables import idempotency_key, lease
from entrepot.runtime.unit_of_work import Unit, Work
from entrepot.runtime.upsert import insert_or

ANSWER = Answer(201, {"content-type": "application/json"}, b'{"id": 1}')
SECOND = timedelta(seconds=1)


@dataclass(slots=True)
class Hand:
    """A clock that stands until it is moved."""

    at: datetime = field(default_factory=lambda: datetime(2030, 1, 1, tzinfo=UTC))

    def now(self) -> datetime:
        return self.at


@dataclass(frozen=True, slots=True, kw_only=True)
class Made(Event):
    """Something was made."""

    ACTION = "thing.made"


@dataclass(frozen=True, slots=True)
class Desk:
    """Claims by a clock that can be moved."""

    claims: Claims
    clock: Hand

    async def make(self, by: Actor, name: str) -> None:
        """What the request *by* is about: one row called *name*."""
        async with self.claims.work(by) as unit:
            await self.put(unit, name)

    async def put(self, unit: Unit, name: str) -> None:
        values = {"name": name, "holder": "", "token": 0, "until": self.clock.now()}
        await unit.execute(insert_or(lease).values(values))
        unit.emit(Made())

    async def count(self, table: object) -> int:
        async with self.claims.work.database.reading() as connection:
            return int((await connection.execute(select(func.count()).select_from(table))).scalar_one())  # type: ignore[arg-type]


@pytest.fixture
async def desk(url: str) -> AsyncIterator[Desk]:
    """Claims on each database."""
    database, clock = open_database(url), Hand()
    yield Desk(Claims(Work(database, clock, (MarkClaim(clock),)), clock), clock)
    await database.close()


def request_of(account: int = 1) -> Actor:
    """One more request of the account."""
    return Actor("ann", "person", account, request_id=ulid())


def keyed(by: Actor) -> Actor:
    return replace(by, is_keyed=True)


async def test_the_same_again_gets_the_stored_answer(desk: Desk) -> None:
    first = request_of()
    assert await desk.claims.claim(first, "k", "same") is None
    await desk.claims.keep(first, ANSWER, is_secret=False)

    assert await desk.claims.claim(request_of(), "k", "same") == ANSWER


async def test_another_request_with_the_key_is_refused(desk: Desk) -> None:
    first = request_of()
    await desk.claims.claim(first, "k", "one")
    with pytest.raises(KeyReusedError):
        await desk.claims.claim(request_of(), "k", "two")
    await desk.claims.keep(first, ANSWER, is_secret=False)

    with pytest.raises(KeyReusedError):
        await desk.claims.claim(request_of(), "k", "two")


async def test_a_key_is_an_account_s_own(desk: Desk) -> None:
    await desk.claims.claim(request_of(1), "k", "one")

    assert await desk.claims.claim(request_of(2), "k", "two") is None


async def test_of_many_at_once_one_is_carried_out_and_the_others_are_to_ask_again(desk: Desk) -> None:
    asked = [desk.claims.claim(request_of(), "k", "same") for _ in range(8)]
    found = await asyncio.gather(*asked, return_exceptions=True)

    assert [each for each in found if each is None] == [None]
    assert sum(isinstance(each, KeyBusyError) for each in found) == 7


async def test_what_failed_may_be_sent_again(desk: Desk) -> None:
    first = request_of()
    await desk.claims.claim(first, "k", "one")
    await desk.claims.release(first)

    assert await desk.claims.claim(request_of(), "k", "two") is None


async def test_killed_after_the_commit_it_is_not_done_again(desk: Desk) -> None:
    first = request_of()
    await desk.claims.claim(first, "k", "same")
    await desk.make(keyed(first), "thing")

    with pytest.raises(KeyBusyError):
        await desk.claims.claim(request_of(), "k", "same")
    desk.clock.at += HOLD + SECOND
    with pytest.raises(AnswerLostError):
        await desk.claims.claim(request_of(), "k", "same")


async def test_killed_before_the_commit_it_is_done_by_the_retry(desk: Desk) -> None:
    await desk.claims.claim(request_of(), "k", "same")
    desk.clock.at += HOLD + SECOND

    assert await desk.claims.claim(request_of(), "k", "same") is None


async def test_what_was_taken_over_commits_nothing_any_more(desk: Desk) -> None:
    slow, retry = request_of(), request_of()
    await desk.claims.claim(slow, "k", "same")
    desk.clock.at += HOLD + SECOND
    await desk.claims.claim(retry, "k", "same")
    await desk.make(keyed(retry), "thing")
    with pytest.raises(LeaseLostError):
        await desk.make(keyed(slow), "thing again")

    assert await desk.count(lease) == 1


async def test_failed_after_a_commit_it_is_not_done_again(desk: Desk) -> None:
    first = request_of()
    await desk.claims.claim(first, "k", "same")
    await desk.make(keyed(first), "thing")
    await desk.claims.release(first)

    with pytest.raises(AnswerLostError):
        await desk.claims.claim(request_of(), "k", "same")


async def test_a_secret_is_not_kept_nor_what_is_too_long(desk: Desk) -> None:
    long = replace(ANSWER, body=b"x" * (MAX_BODY_BYTES + 1))
    for key, answer, is_secret in (("s", replace(ANSWER, body=b"hunter2"), True), ("l", long, False)):
        first = request_of()
        await desk.claims.claim(first, key, "same")
        await desk.claims.keep(first, answer, is_secret=is_secret)
        with pytest.raises(AnswerWithheldError):
            await desk.claims.claim(request_of(), key, "same")
    longest = request_of()
    await desk.claims.claim(longest, "m", "same")
    await desk.claims.keep(longest, replace(ANSWER, body=b"x" * MAX_BODY_BYTES), is_secret=False)

    assert await desk.claims.claim(request_of(), "m", "same") is not None
    async with desk.claims.work.database.reading() as connection:
        rows = (await connection.execute(select(idempotency_key))).all()
    assert not any(b"hunter2" in str(tuple(row)).encode() for row in rows)


async def test_after_a_day_a_key_is_as_new_and_then_gone(desk: Desk) -> None:
    first = request_of()
    await desk.claims.claim(first, "k", "one")
    await desk.claims.keep(first, ANSWER, is_secret=False)
    desk.clock.at += KEEP - SECOND
    await desk.claims.forget()
    assert await desk.claims.claim(request_of(), "k", "one") == ANSWER
    desk.clock.at += SECOND
    assert await desk.claims.claim(request_of(), "k", "two") is None
    desk.clock.at += KEEP
    await desk.claims.forget()

    assert await desk.count(idempotency_key) == 0


async def test_requests_without_a_key_mark_nothing(desk: Desk) -> None:
    await desk.make(request_of(), "thing")

    assert await desk.count(lease) == 1
