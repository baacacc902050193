"""Who holds a secret, and which roles: read straight from the database at each use, so a change counts at once."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from entrepot.access.model import Grant, Role
from entrepot.runtime.hot import HotReader, Statement

PASSWORD: Final = "password:"  # noqa: S105  how the id of a credential begins that is a password
"""The id of a credential that is a password: this and the account's row."""


@dataclass(frozen=True, slots=True)
class AccessStatements:
    """SQL: secret by hmac, password by name, grants by account, secrets revoked since."""

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
        """The account called *name*, with the hash of its password (empty if it has none)."""
        row = await self.hot.one(self.statements.password, {"name": name})
        return None if row is None else Holder(row[0], row[1], row[2], f"{PASSWORD}{row[0]}", None, row[3] or "")

    async def grants(self, account_id: int) -> tuple[Grant, ...]:
        """The roles given to the account."""
        rows = await self.hot.all(self.statements.grants, {"account": account_id})
        return tuple(Grant(Role(role), project_id) for role, project_id in rows)

    async def revoked(self, since: datetime) -> frozenset[str]:
        """The ids of the secrets that were revoked after *since*."""
        rows = await self.hot.all(self.statements.revoked, {"since": int(since.timestamp() * 1e6)})
        return frozenset(row[0] for row in rows)
