"""Read-only questions about accounts."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select

from entrepot.access.model import Principal, Project
from entrepot.access.scoped import Scoped
from entrepot.access.tables import account, role_grant, secret
from entrepot.runtime.database import Database


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
