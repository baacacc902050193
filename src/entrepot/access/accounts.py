"""Makes accounts and their secrets."""

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import ClassVar, Final

from entrepot.access import store
from entrepot.access.errors import AccountExistsError, AccountNameInvalidError, PermissionDeniedError
from entrepot.access.hot import PASSWORD
from entrepot.access.keys import write_private
from entrepot.access.model import ROBOT_ROLES, NewSecret, Principal, Project, Role
from entrepot.access.passwords import hasher
from entrepot.access.scoped import Scoped
from entrepot.access.secrets import PERSONAL, ROBOT, new_secret, stored_form
from entrepot.clock import Clock
from entrepot.errors import InvalidError
from entrepot.ids import random_base62
from entrepot.runtime.events.model import SYSTEM, Event
from entrepot.runtime.unit_of_work import Unit, Work

ADMIN: Final = "admin"
ROBOT_NAME: Final = re.compile(r"[a-z0-9](?:[a-z0-9._-]{0,62}[a-z0-9])?\Z")
MAX_DAYS: Final = 365
PASSWORD_LENGTH: Final = 24
PERSONS_ONLY: Final = (
    "a personal token is made by a person, with his password; robots use their secret as it is "
    "(ENTREPOT_USERNAME, ENTREPOT_PASSWORD)"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountCreated(Event):
    """An account came to be. account: its name; role: what it may do on the event's project."""

    ACTION: ClassVar = "account.created"

    account: str
    role: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretCreated(Event):
    """A secret of *account* was made: its id, never its text."""

    ACTION: ClassVar = "secret.created"

    account: str
    secret: str
    expires_at: str


@dataclass(frozen=True, slots=True)
class NewRobot:
    """A robot just made: its login name and, this once, its secret."""

    login: str
    role: Role
    created_at: datetime
    expires_at: datetime
    secret: NewSecret


@dataclass(frozen=True, slots=True)
class CreateRobot:
    """Makes a robot of a project. Its login is `<project>+<name>`."""

    work: Work
    clock: Clock
    hmac_key: bytes

    async def __call__(self, project: Scoped[Project], name: str, role: Role, days: int) -> NewRobot:
        """A robot with *role* on *project*, whose secret lives *days* days (1-365).

        Raises AccountNameInvalidError, AccountExistsError, InvalidError (days; a role that robots do not have).
        """
        if role not in ROBOT_ROLES:
            raise InvalidError(f"a robot is {' or '.join(ROBOT_ROLES)}", "/role")
        if not ROBOT_NAME.match(name):
            raise AccountNameInvalidError(
                "a robot's name has 1-64 lower-case letters, digits and . _ - between them", "/name"
            )
        expires_at, now = _expiry(self.clock, days), self.clock.now()
        login = f"{project.resource.name}+{name}"
        text = new_secret(ROBOT)
        async with self.work(project.principal.actor) as unit:
            account_id = await store.add_account(unit, "robot", login, project.resource.id, None, now)
            if account_id is None:
                account_id = await _deleted_robot(unit, login, project.resource.id)
            await store.add_grant(unit, account_id, role, project.resource.id, now)
            hmac = stored_form(self.hmac_key, text)
            secret_id = await store.add_secret(unit, account_id, "first", hmac, now, expires_at)
            unit.emit(AccountCreated(project=project.resource.name, account=login, role=role.value))
            unit.emit(_made(project.resource.name, login, secret_id, expires_at))
        return NewRobot(login, role, now, expires_at, NewSecret(secret_id, text))


@dataclass(frozen=True, slots=True)
class NewToken:
    """A personal token just made."""

    name: str
    account: str
    expires_at: datetime
    secret: NewSecret


@dataclass(frozen=True, slots=True)
class CreateToken:
    """Makes a personal token: a secret with the rights of the person who asks for it with his password.

    With nothing less: a robot's secret or a token that leaked must not outlive its own end by making others.
    """

    work: Work
    clock: Clock
    hmac_key: bytes

    async def __call__(self, principal: Principal, name: str, days: int) -> NewToken:
        """A token called *name* for whoever *principal* is, living *days* days.

        Raises PermissionDeniedError, InvalidError (days).
        """
        actor = principal.actor
        if actor.account_id is None or actor.kind != "person" or not actor.credential.startswith(PASSWORD):
            raise PermissionDeniedError(PERSONS_ONLY, "token.create")
        expires_at, now = _expiry(self.clock, days), self.clock.now()
        text = new_secret(PERSONAL)
        async with self.work(actor) as unit:
            hmac = stored_form(self.hmac_key, text)
            secret_id = await store.add_secret(unit, actor.account_id, name, hmac, now, expires_at)
            unit.emit(_made("", actor.name, secret_id, expires_at))
        return NewToken(name, actor.name, expires_at, NewSecret(secret_id, text))


async def ensure_admin(work: Work, clock: Clock, password_file: Path) -> bool:
    """The first account, with all rights and a random password in *password_file* (0600); False if it is there.

    The file comes before the commit: a crash between the two leaves a password that opens nothing, and the
    next start writes another.
    """
    async with work(SYSTEM) as unit:
        if await store.has_account(unit, ADMIN):
            return False
        password = random_base62(PASSWORD_LENGTH)
        write_private(password_file, f"{password}\n".encode())
        account_id = await store.add_account(unit, "person", ADMIN, None, hasher().hash(password), clock.now())
        if account_id is not None:
            await store.add_grant(unit, account_id, Role.ADMIN, None, None)
            unit.emit(AccountCreated(account=ADMIN, role=Role.ADMIN.value))
    return True


async def _deleted_robot(unit: Unit, login: str, project_id: int) -> int:
    """The account of a deleted robot, whose name may be used again. Raises AccountExistsError: it is not deleted."""
    account_id = await store.robot_of(unit, login, project_id)
    if account_id is None or await store.live_secrets(unit, account_id):
        raise AccountExistsError(f"robot {login} is there already")
    return account_id


def _expiry(clock: Clock, days: int) -> datetime:
    if not 1 <= days <= MAX_DAYS:
        raise InvalidError(f"a secret lives 1 to {MAX_DAYS} days", "/days")
    return clock.now() + timedelta(days=days)


def _made(project: str, account: str, secret_id: str, expires_at: datetime) -> SecretCreated:
    return SecretCreated(project=project, account=account, secret=secret_id, expires_at=expires_at.isoformat())
