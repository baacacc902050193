"""Who holds a secret, and which roles: read straight from the database at each use, so a change counts at once."""

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from entrepot.access.model import Grant, Role
from entrepot.runtime.hot import HotReader, Statement

PASSWORD: Final = "password:"  # noqa: S105  how the id of a credential begins that is a password
"""How the id of a credential begins that is a password (`password_id`)."""


def password_id(account_id: int, stored: str) -> str:
    """The id of the password with the hash *stored*: another password of the account has another."""
    return f"{PASSWORD}{account_id}.{hashlib.sha256(stored.encode()).hexdigest()[:16]}"


@dataclass(frozen=True, slots=True)
class AccessStatements:
    """SQL: secret by hmac, password by name, grants by account, secrets and passwords ended since."""

    secret: Statement
    password: Statement
    grants: Statement
    revoked: Statement


@dataclass(frozen=True, slots=True)
class Holder:
    """The account a credential belongs to; *expires_at* of the credential."""

    account_id: int
    name: str
    kind: str
    credential: str
    expires_at: datetime | None
    password_hash: str = ""


@dataclass(frozen=True, slots=True)
class AccessReads:
    """Look-ups on the raw driver."""

    hot: HotReader
    statements: AccessStatements

    async def holder_of_secret(self, hmac: str) -> Holder | None:
        """The account whose secret has the stored form *hmac*."""
        row = await self.hot.one(self.statements.secret, {"hmac": hmac})
        if row is None:
            return None
        return Holder(row[0], row[1], row[2], row[3], datetime.fromtimestamp(row[4] / 1e6, UTC))

    async def holder_of_name(self, name: str) -> Holder | None:
        """The account called *name*, with the hash of its password (empty if it has none); no disabled one."""
        row = await self.hot.one(self.statements.password, {"name": name})
        if row is None:
            return None
        stored = row[3] or ""
        return Holder(row[0], row[1], row[2], password_id(row[0], stored), None, stored)

    async def grants(self, account_id: int) -> tuple[Grant, ...]:
        """The roles given to the account."""
        rows = await self.hot.all(self.statements.grants, {"account": account_id})
        return tuple(Grant(Role(role), project_id, instant(at)) for role, project_id, at in rows)

    async def revoked(self, since: datetime) -> frozenset[str]:
        """The ids of the secrets and passwords that ended after *since*."""
        rows = await self.hot.all(self.statements.revoked, {"since": int(since.timestamp() * 1e6)})
        return frozenset(row[0] for row in rows)


def instant(microseconds: int | None) -> datetime | None:
    """The instant a database keeps as *microseconds* (UTC)."""
    return None if microseconds is None else datetime.fromtimestamp(microseconds / 1e6, UTC)
