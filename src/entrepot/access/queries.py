"""Read-only questions about accounts."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Select, func, select

from entrepot.access.errors import AccountUnknownError
from entrepot.access.model import Principal, Project, Role, Standing
from entrepot.access.scoped import Scoped
from entrepot.access.tables import account, role_grant, secret
from entrepot.runtime.database import Database
from entrepot.runtime.filters import Field, Kind
from entrepot.runtime.lists import Listing, Part, Wanted
from entrepot.runtime.pages import Columns

PERSON: Final = (account.c.id, account.c.uid, account.c.name, account.c.created_at, account.c.disabled_at)

ROBOTS: Final = Listing(
    {
        "name": Field(Kind.TEXT, sorts=False),
        "login": Field(Kind.TEXT),
        "role": Field(Kind.TEXT),
        "created_at": Field(Kind.INSTANT),
        "expires_at": Field(Kind.INSTANT),
    },
    key="login",
    default="login",
)


@dataclass(frozen=True, slots=True)
class RobotRow:
    """A robot of a project; expires_at: of its longest-lived secret."""

    id: str
    login: str
    role: str
    created_at: datetime
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class TokenRow:
    """A personal token, never its text."""

    id: str
    name: str
    created_at: datetime
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class PersonRow:
    """A person: his roles on the site, and when he was disabled."""

    id: str
    name: str
    standing: Standing
    created_at: datetime
    disabled_at: datetime | None


@dataclass(frozen=True, slots=True)
class MemberRow:
    """A person and his role on a project; None: he has none there. granted_at: None: long ago, or no role."""

    account: str
    role: Role | None
    granted_at: datetime | None

    @property
    def standing(self) -> Standing:
        """His roles there."""
        return Standing() if self.role is None else Standing((self.role,))


@dataclass(frozen=True, slots=True)
class AccountQueries:
    """Asks *database*."""

    database: Database

    async def robots(self, project: Scoped[Project], after: str | None, limit: int) -> list[RobotRow]:
        """The robots of *project* by name, those behind the name *after*; not those that are deleted."""
        expires_at = func.max(secret.c.expires_at, type_=secret.c.expires_at.type)
        question = (
            select(account.c.uid, account.c.name, role_grant.c.role, account.c.created_at, expires_at)
            .join(role_grant, role_grant.c.account_id == account.c.id)
            .join(secret, secret.c.account_id == account.c.id)
            .where(
                account.c.project_id == project.resource.id, account.c.kind == "robot", secret.c.revoked_at.is_(None)
            )
            .group_by(account.c.id, role_grant.c.role)
            .order_by(account.c.name)
            .limit(limit)
        )
        question = question.where(account.c.name > after) if after else question
        async with self.database.reading() as connection:
            rows = (await connection.execute(question)).all()
        return [RobotRow(row[0], row[1], row[2], row[3], row[4]) for row in rows]

    async def robot_page(self, project: Scoped[Project], wanted: Wanted) -> Part[RobotRow]:
        """The robots of *project* that are not deleted."""
        expires_at = func.max(secret.c.expires_at, type_=secret.c.expires_at.type).label("expires_at")
        columns = (account.c.uid, account.c.name.label("login"), role_grant.c.role, account.c.created_at, expires_at)
        rows = (
            select(*columns)
            .join(role_grant, role_grant.c.account_id == account.c.id)
            .join(secret, secret.c.account_id == account.c.id)
            .where(
                account.c.project_id == project.resource.id, account.c.kind == "robot", secret.c.revoked_at.is_(None)
            )
            .group_by(account.c.id, role_grant.c.role)
            .subquery()
        )
        name = func.substr(rows.c.login, len(project.resource.name) + 2, type_=rows.c.login.type)
        of = {field: rows.c[field] for field in ROBOTS.fields if field != "name"} | {"name": name}
        async with self.database.reading() as connection:
            part = await Columns(ROBOTS, of).page(connection, select(rows), wanted)
        return Part([RobotRow(*row[:5]) for row in part.items], part.next, part.total)

    async def tokens(self, principal: Principal, after: str | None, limit: int) -> list[TokenRow]:
        """The personal tokens of *principal* that are not revoked, oldest first, behind the id *after*."""
        question = (
            select(secret.c.id, secret.c.name, secret.c.created_at, secret.c.expires_at)
            .join(account, account.c.id == secret.c.account_id)
            .where(
                secret.c.account_id == principal.actor.account_id,
                account.c.kind == "person",
                secret.c.revoked_at.is_(None),
            )
            .order_by(secret.c.id)
            .limit(limit)
        )
        question = question.where(secret.c.id > after) if after else question
        async with self.database.reading() as connection:
            return [TokenRow(row[0], row[1], row[2], row[3]) for row in await connection.execute(question)]

    async def people(self, after: str | None, limit: int) -> list[PersonRow]:
        """The people by name, those behind the name *after*; the disabled ones too."""
        question = select(*PERSON).where(account.c.kind == "person").order_by(account.c.name).limit(limit)
        return await self._people(question.where(account.c.name > after) if after else question)

    async def person(self, name: str) -> PersonRow:
        """The person *name*, disabled or not. Raises AccountUnknownError."""
        found = await self._people(select(*PERSON).where(account.c.kind == "person", account.c.name == name))
        if not found:
            raise AccountUnknownError
        return found[0]

    async def members(self, project: Scoped[Project], after: str | None, limit: int) -> list[MemberRow]:
        """The people with a role on *project*, by name, those behind the name *after*."""
        question = (
            select(account.c.name, role_grant.c.role, role_grant.c.granted_at)
            .join(role_grant, role_grant.c.account_id == account.c.id)
            .where(role_grant.c.project_id == project.resource.id, account.c.kind == "person")
            .order_by(account.c.name)
            .limit(limit)
        )
        question = question.where(account.c.name > after) if after else question
        async with self.database.reading() as connection:
            return [MemberRow(row[0], Role(row[1]), row[2]) for row in await connection.execute(question)]

    async def member(self, project: Scoped[Project], name: str) -> MemberRow:
        """The person *name* as a member of *project*. Raises AccountUnknownError: no such person, or disabled."""
        here = (role_grant.c.account_id == account.c.id) & (role_grant.c.project_id == project.resource.id)
        question = (
            select(account.c.name, role_grant.c.role, role_grant.c.granted_at)
            .outerjoin(role_grant, here)
            .where(account.c.name == name, account.c.kind == "person", account.c.disabled_at.is_(None))
        )
        async with self.database.reading() as connection:
            row = (await connection.execute(question)).first()
        if row is None:
            raise AccountUnknownError
        return MemberRow(row[0], None if row[1] is None else Role(row[1]), row[2])

    async def _people(self, question: Select[Any]) -> list[PersonRow]:
        async with self.database.reading() as connection:
            rows = (await connection.execute(question)).all()
            given = select(role_grant.c.account_id, role_grant.c.role).where(
                role_grant.c.account_id.in_([row[0] for row in rows]), role_grant.c.project_id.is_(None)
            )
            pairs = {(row[0], row[1]) for row in await connection.execute(given)}
        return [
            PersonRow(
                uid, name, Standing(tuple(role for role in Role if (id_, role.value) in pairs)), created, disabled
            )
            for id_, uid, name, created, disabled in rows
        ]
