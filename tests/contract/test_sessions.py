"""The contract of browser sessions, on both databases: when they end, and that a link opens one."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select

from entrepot.access.errors import CredentialsInvalidError, CredentialUnknownError, PermissionDeniedError
from entrepot.access.hot import PASSWORD, AccessReads
from entrepot.access.hot_sql import access_statements
from entrepot.access.model import Permission, Principal, Site
from entrepot.access.passwords import Passwords
from entrepot.access.people import CreatePerson
from entrepot.access.scoped import Scoped
from entrepot.access.sessions import IDLE, LONGEST, Sessions
from entrepot.access.sign_in_links import LIFE, SignInLinks
from entrepot.access.tables import sign_in_link, web_session
from entrepot.runtime.database import Database, open_database
from entrepot.runtime.database_url import Kind, database_path, libpq_url
from entrepot.runtime.events.model import SYSTEM, Actor
from entrepot.runtime.hot_postgres import PostgresReader
from entrepot.runtime.hot_sqlite import SqliteReader
from entrepot.runtime.unit_of_work import Work

A_SECOND = timedelta(seconds=1)
SEEN = Actor("", "anonymous", None, "", "192.0.2.7", "A browser", "r1")


@dataclass(slots=True)
class Moving:
    """A clock that a test moves."""

    at: datetime = datetime(2030, 1, 1, tzinfo=UTC)

    def now(self) -> datetime:
        return self.at


@dataclass(frozen=True, slots=True)
class World:
    """Sessions on one database, and ann, who knows her password."""

    clock: Moving
    database: Database
    sessions: Sessions
    links: SignInLinks
    ann: Principal


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[World]:
    database, clock, key = open_database(url), Moving(), b"k" * 32
    kind = database.kind
    hot = SqliteReader(database_path(url)) if kind is Kind.SQLITE else PostgresReader(libpq_url(url), 4)
    reads, work = AccessReads(hot, access_statements(kind)), Work(database, clock)
    await hot.open()
    try:
        await CreatePerson(work, clock, Passwords(key))(
            Scoped(Site(), Principal(SYSTEM), Permission.ACCOUNT_MANAGE), "ann"
        )
        holder = await reads.holder_of_name("ann")
        assert holder is not None
        ann = Principal(Actor("ann", "person", holder.account_id, holder.credential))
        sessions = Sessions(work, database, reads, clock, key)
        yield World(clock, database, sessions, SignInLinks(work, reads, clock, key), ann)
    finally:
        await hot.close()
        await database.close()


async def test_a_session_ends_half_an_hour_after_its_last_use(url: str) -> None:
    async with opened(url) as world:
        text = await world.sessions.open(world.ann, "password")
        world.clock.at += IDLE - A_SECOND
        used = await world.sessions.find(SEEN, text)
        world.clock.at += IDLE - A_SECOND
        looked_at = await world.sessions.find(SEEN, text, is_use=False)
        world.clock.at += A_SECOND
        idle = await world.sessions.find(SEEN, text)

    assert used is not None
    assert (used[1].actor.name, used[1].actor.credential) == ("ann", used[0].id)
    assert looked_at is not None
    assert idle is None


async def test_a_session_ends_twelve_hours_after_the_sign_in_however_much_it_is_used(url: str) -> None:
    async with opened(url) as world:
        text, steps = await world.sessions.open(world.ann, "password"), 0
        while await world.sessions.find(SEEN, text) is not None:
            world.clock.at += IDLE / 2
            steps += 1

    assert steps == LONGEST / (IDLE / 2)


async def test_the_text_of_a_cookie_is_not_in_the_database(url: str) -> None:
    async with opened(url) as world:
        text = await world.sessions.open(world.ann, "password")
        code = (await world.links.make(world.ann)).code
        async with world.database.reading() as connection:
            rows = (await connection.execute(select(web_session))).all()
            links = (await connection.execute(select(sign_in_link))).all()

    assert len(text) == len(code) == 43  # of 62 characters each: 256 bits
    assert not [value for row in [*rows, *links] for value in row if value in {text, code}]


async def test_one_ends_ones_own_sessions_only(url: str) -> None:
    async with opened(url) as world:
        first, second = [await world.sessions.open(world.ann, "password") for _ in range(2)]
        found = await world.sessions.find(SEEN, first)
        assert found is not None
        bob = Principal(Actor("bob", "person", 10_000, f"{PASSWORD}x"))
        with pytest.raises(CredentialUnknownError):
            await world.sessions.end(bob, found[0].id)
        assert len(await world.sessions.of(world.ann)) == 2
        await world.sessions.end(world.ann, found[0].id)
        left = [each.id for each in await world.sessions.of(world.ann)]
        gone, there = await world.sessions.find(SEEN, first), await world.sessions.find(SEEN, second)

    assert gone is None
    assert there is not None
    assert left == [there[0].id]


async def test_no_robot_has_a_session(url: str) -> None:
    async with opened(url) as world:
        robot = Principal(Actor("shop+ci", "robot", 1, "x"))
        with pytest.raises(PermissionDeniedError):
            await world.sessions.open(robot, "password")


async def test_of_many_who_take_a_link_at_once_one_gets_in(url: str) -> None:
    async with opened(url) as world:
        code = (await world.links.make(world.ann)).code
        taken = await asyncio.gather(*(world.links.take(SEEN, code) for _ in range(8)), return_exceptions=True)

    assert [each.actor.name for each in taken if isinstance(each, Principal)] == ["ann"]
    assert sum(isinstance(each, CredentialsInvalidError) for each in taken) == 7


async def test_a_link_opens_nothing_after_ten_minutes(url: str) -> None:
    async with opened(url) as world:
        code = (await world.links.make(world.ann)).code
        world.clock.at += LIFE
        with pytest.raises(CredentialsInvalidError):
            await world.links.take(SEEN, code)


@pytest.mark.parametrize("credential", ["01M89CJ5E175ADQ3QGBYVVK2JF", ""])
async def test_a_link_is_made_with_a_password_only(url: str, credential: str) -> None:
    async with opened(url) as world:
        by_token = Principal(Actor("ann", "person", world.ann.actor.account_id, credential))
        with pytest.raises(PermissionDeniedError):
            await world.links.make(by_token)
