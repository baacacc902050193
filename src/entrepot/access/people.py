"""Accounts of people: made by an admin, with a password that is shown once; ended for good.

Invariant: from the commit that disables an account on, nothing it had opens anything: password, personal tokens,
sessions and links at once, registry tokens within `revocations.POLL_SECONDS`. It holds because the statements that
find them ask for an account that is not disabled, and what tokens carry is on the list of what ended. The name is never
given again: in the audit log it means one person. Broken, `tests/conformance/test_v2_people.py` fails.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar, Final

from entrepot.access import store
from entrepot.access.accounts import PASSWORD_LENGTH, ROBOT_NAME, AccountCreated
from entrepot.access.authenticate import WRONG, Authenticate
from entrepot.access.errors import (
    AccountExistsError,
    AccountNameInvalidError,
    AccountUnknownError,
    CredentialsInvalidError,
    LastAdminError,
    PermissionDeniedError,
)
from entrepot.access.hot import PASSWORD, password_id
from entrepot.access.model import ANONYMOUS, Principal, Role, Site
from entrepot.access.passwords import Passwords, check_strength
from entrepot.access.revocations import Revocations
from entrepot.access.revoke import AccountDeleted, SecretRevoked
from entrepot.access.scoped import Scoped
from entrepot.clock import Clock
from entrepot.ids import random_base62
from entrepot.runtime.events.model import SYSTEM, Event
from entrepot.runtime.unit_of_work import Unit, Work

PERSON_NAME: Final = ROBOT_NAME
RESERVED: Final = frozenset({SYSTEM.name, ANONYMOUS})
"""Names that mean somebody else in the audit log."""
SITE_ROLES: Final = "site-roles"
"""What a unit holds that may take away an admin: of two admins who remove each other, one comes second."""
OWN_ROLES: Final = "nobody does that to his own account: another admin does"
PERSONS_ONLY: Final = "only people have passwords"


@dataclass(frozen=True, slots=True, kw_only=True)
class PasswordChanged(Event):
    """A person has another password: sessions and registry tokens of the one before have ended. account: his name."""

    ACTION: ClassVar = "password.changed"

    account: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PasswordReset(Event):
    """An admin gave a person another password, as he forgot his: what that one opened has ended. account: his name."""

    ACTION: ClassVar = "password.reset"

    account: str


@dataclass(frozen=True, slots=True)
class NewPerson:
    """A person's account just made, or given another password: this once, the password."""

    name: str
    password: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class CreatePerson:
    """Makes an account of a person, who has no role yet."""

    work: Work
    clock: Clock
    passwords: Passwords

    async def __call__(self, site: Scoped[Site], name: str) -> NewPerson:
        """The person *name*, with a random first password.

        Raises AccountNameInvalidError, AccountExistsError, LoginBusyError.
        """
        if not PERSON_NAME.match(name) or name in RESERVED:
            raise AccountNameInvalidError(
                "a person's name has 1-64 lower-case letters, digits and . _ - between them", "/name"
            )
        password, now = random_base62(PASSWORD_LENGTH), self.clock.now()
        stored = await self.passwords.hash(password)
        async with self.work(site.principal.actor) as unit:
            if await store.add_account(unit, "person", name, None, stored, now) is None:
                raise AccountExistsError("this name is somebody's already, or was: it is given only once")
            unit.emit(AccountCreated(account=name, role=""))
        return NewPerson(name, password, now)


@dataclass(frozen=True, slots=True)
class DisablePerson:
    """Ends a person's account. Its row stays, for the audit log."""

    work: Work
    clock: Clock
    revocations: Revocations

    async def __call__(self, site: Scoped[Site], name: str) -> None:
        """The person *name* can do nothing any more.

        Raises AccountUnknownError, LastAdminError, PermissionDeniedError (his own account).
        """
        now = self.clock.now()
        async with self.work(site.principal.actor) as unit:
            await unit.serialize(SITE_ROLES)
            account_id, stored = await other_person(unit, site, name)
            roles = (await store.standing(unit, account_id, None)).roles
            if Role.ADMIN in roles and not await store.has_other_admin(unit, account_id):
                raise LastAdminError
            password = password_id(account_id, stored)
            await store.end_password(unit, password, now)
            revoked = await store.revoke(unit, account_id, await store.live_secrets(unit, account_id), now)
            await store.end_sessions(unit, account_id)
            await store.drop_grants(unit, account_id)
            await store.disable(unit, account_id, now)
            for id_ in revoked:
                unit.emit(SecretRevoked(account=name, secret=id_))
            unit.emit(AccountDeleted(account=name))
        self.revocations.add(frozenset({password, *revoked}))


@dataclass(frozen=True, slots=True)
class ChangePassword:
    """Gives whoever asks another password, if he knows the one he has. His personal tokens stay."""

    work: Work
    clock: Clock
    authenticate: Authenticate
    passwords: Passwords
    revocations: Revocations

    async def __call__(self, principal: Principal, old: str, new: str) -> None:
        """*new* instead of *old*.

        Raises PermissionDeniedError (no person), PasswordWeakError, CredentialsInvalidError, LoginDelayedError and
        LoginBusyError.
        """
        actor = principal.actor
        if actor.kind != "person":
            raise PermissionDeniedError(PERSONS_ONLY, "password.change")
        check_strength(actor.name, new)
        proved = await self.authenticate.by_secret(actor, actor.name, old, passwords=True, surface="api")
        ended = proved.actor.credential
        if not ended.startswith(PASSWORD):
            raise CredentialsInvalidError(WRONG, actor.name)
        stored = await self.passwords.hash(new)
        async with self.work(actor) as unit:
            person = await store.lock_person(unit, actor.name)
            if person is None or password_id(*person) != ended:  # it was changed meanwhile
                raise CredentialsInvalidError(WRONG, actor.name)
            now = self.clock.now()
            await store.set_password(unit, person[0], stored)
            await store.end_password(unit, ended, now)
            await store.end_sessions(unit, person[0], actor.credential)
            unit.emit(PasswordChanged(account=actor.name))
        self.revocations.add(frozenset({ended}))


@dataclass(frozen=True, slots=True)
class ResetPassword:
    """Gives a person who forgot his password another one. His personal tokens stay."""

    work: Work
    clock: Clock
    passwords: Passwords
    revocations: Revocations

    async def __call__(self, site: Scoped[Site], name: str) -> NewPerson:
        """The person *name*, with a random password. Raises AccountUnknownError, PermissionDeniedError (his own)."""
        password = random_base62(PASSWORD_LENGTH)
        stored, now = await self.passwords.hash(password), self.clock.now()
        async with self.work(site.principal.actor) as unit:
            account_id, before = await other_person(unit, site, name)
            ended = password_id(account_id, before)
            await store.set_password(unit, account_id, stored)
            await store.end_password(unit, ended, now)
            await store.end_sessions(unit, account_id)
            unit.emit(PasswordReset(account=name))
        self.revocations.add(frozenset({ended}))
        return NewPerson(name, password, now)


async def other_person(unit: Unit, scoped: Scoped[Any], name: str) -> tuple[int, str]:
    """The account of the person *name*, who is not the one who asks, locked, and the hash of his password.

    Raises AccountUnknownError, PermissionDeniedError: it is the one who asks.
    """
    found = await store.lock_person(unit, name) if PERSON_NAME.match(name) else None
    if found is None:
        raise AccountUnknownError
    if found[0] == scoped.principal.actor.account_id:
        raise PermissionDeniedError(OWN_ROLES, scoped.permission)
    return found
