"""The contract of accounts of people, on both databases: an admin always stays, and what ended is known to all."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta

import pytest

from entrepot.access.authorize import authorize
from entrepot.access.errors import CredentialsInvalidError, LastAdminError, PermissionDeniedError
from entrepot.access.hot import AccessReads, password_id
from entrepot.access.hot_sql import access_statements
from entrepot.access.members import SetSiteRoles
from entrepot.access.model import Grant, Permission, Principal, Role, Site
from entrepot.access.passwords import Passwords
from entrepot.access.people import CreatePerson, DisablePerson
from entrepot.access.queries import AccountQueries
from entrepot.access.revocations import Revocations
from entrepot.access.scoped import Scoped
from entrepot.access.sessions import Sessions
from entrepot.access.sign_in_links import SignInLinks
from entrepot.clock import FixedClock
from entrepot.runtime.database import Database, open_database
from entrepot.runtime.database_url import Kind, database_path, libpq_url
from entrepot.runtime.events.model import SYSTEM, Actor
from entrepot.runtime.hot_postgres import PostgresReader
from entrepot.runtime.hot_sqlite import SqliteReader
from entrepot.runtime.unit_of_work import Work

ROUNDS = 10


@dataclass(frozen=True, slots=True)
class People:
    """The use cases on one database."""

    database: Database
    reads: AccessReads
    create: CreatePerson
    disable: DisablePerson
    set_roles: SetSiteRoles
    queries: AccountQueries
    sessions: Sessions
    links: SignInLinks

    async def admin(self, name: str) -> Scoped[Site]:
        """A new admin of the site, about to manage accounts."""
        system = Scoped(Site(), Principal(SYSTEM), Permission.ACCOUNT_MANAGE)
        await self.create(system, name)
        await self.set_roles(system, name, frozenset({Role.ADMIN}))
        holder = await self.reads.holder_of_name(name)
        assert holder is not None
        actor = Actor(name, "person", holder.account_id, holder.credential)
        return authorize(
            Principal(actor, await self.reads.grants(holder.account_id)), Permission.ACCOUNT_MANAGE, Site()
        )


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[People]:
    database, clock = open_database(url), FixedClock()
    kind = database.kind
    hot = SqliteReader(database_path(url)) if kind is Kind.SQLITE else PostgresReader(libpq_url(url), 4)
    reads = AccessReads(hot, access_statements(kind))
    work = Work(database, clock)
    revocations = Revocations(reads, clock, timedelta(minutes=5))
    await hot.open()
    try:
        yield People(
            database,
            reads,
            CreatePerson(work, clock, Passwords(b"k" * 32)),
            DisablePerson(work, clock, revocations),
            SetSiteRoles(work, clock),
            AccountQueries(database),
            Sessions(work, database, reads, clock, b"k" * 32),
            SignInLinks(work, reads, clock, b"k" * 32),
        )
    finally:
        await hot.close()
        await database.close()


async def test_of_two_admins_who_end_each_other_one_stays(url: str) -> None:
    system = Scoped(Site(), Principal(SYSTEM), Permission.ACCOUNT_MANAGE)
    async with opened(url) as people:
        left: list[str] = []
        for number in range(ROUNDS):
            ann, bob = f"ann-{number}", f"bob-{number}"
            by_ann, by_bob = await people.admin(ann), await people.admin(bob)
            for name in left:
                await people.disable(system, name)

            one = people.disable(by_ann, bob) if number % 2 else people.set_roles(by_ann, bob, frozenset())
            results = await asyncio.gather(one, people.disable(by_bob, ann), return_exceptions=True)

            assert [type(each) for each in results if isinstance(each, BaseException)] == [LastAdminError]
            left = [row.name for row in await people.queries.people(None, 100) if Role.ADMIN in row.standing.roles]
            assert len(left) == 1


async def test_nobody_changes_his_own_roles_whatever_they_are(url: str) -> None:
    async with opened(url) as people:
        by_ann = await people.admin("ann")
        await people.admin("bob")

        for attempt in (
            people.set_roles(by_ann, "ann", frozenset()),
            people.set_roles(by_ann, "ann", frozenset({Role.ADMIN})),
            people.disable(by_ann, "ann"),
        ):
            with pytest.raises(PermissionDeniedError, match="another admin"):
                await attempt


async def test_a_disabled_account_is_found_by_nothing_and_its_password_is_on_the_list(url: str) -> None:
    async with opened(url) as people:
        by_ann = await people.admin("ann")
        await people.admin("bob")
        holder = await people.reads.holder_of_name("bob")
        assert holder is not None
        assert await people.reads.grants(holder.account_id) == (Grant(Role.ADMIN, None, FixedClock().now()),)

        await people.disable(by_ann, "bob")

        assert await people.reads.holder_of_name("bob") is None
        assert await people.reads.grants(holder.account_id) == ()
        ended = await people.reads.revoked(FixedClock().now() - timedelta(minutes=15))
        assert ended == {holder.credential} == {password_id(holder.account_id, holder.password_hash)}


async def test_sessions_and_links_end_with_the_account(url: str) -> None:
    seen = Actor("", "anonymous")
    async with opened(url) as people:
        by_ann, by_bob = await people.admin("ann"), await people.admin("bob")
        cookie = await people.sessions.open(by_bob.principal, "password")
        link = await people.links.make(by_bob.principal)
        assert await people.sessions.find(seen, cookie) is not None

        await people.disable(by_ann, "bob")

        assert await people.sessions.find(seen, cookie) is None
        with pytest.raises(CredentialsInvalidError):
            await people.links.take(seen, link.code)
        late = await people.sessions.open(by_bob.principal, "password")  # he had proved himself a moment before
        assert await people.sessions.find(seen, late) is None
