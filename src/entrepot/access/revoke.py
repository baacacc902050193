"""Ends secrets before their time: robots are deleted, personal tokens revoked. What was made with them ends too."""

import re
from dataclasses import dataclass
from typing import ClassVar, Final

from entrepot.access import store
from entrepot.access.accounts import ROBOT_NAME
from entrepot.access.errors import CredentialUnknownError
from entrepot.access.model import Principal, Project
from entrepot.access.revocations import Revocations
from entrepot.access.scoped import Scoped
from entrepot.clock import Clock
from entrepot.runtime.events.model import Event
from entrepot.runtime.unit_of_work import Work

SECRET_ID: Final = re.compile(r"[0-9A-HJKMNP-TV-Z]{26}\Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountDeleted(Event):
    """An account is no more: it has no role, and nothing it had opens anything. account: its name."""

    ACTION: ClassVar = "account.deleted"

    account: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretRevoked(Event):
    """A secret of *account* opens nothing any more: its id."""

    ACTION: ClassVar = "secret.revoked"

    account: str
    secret: str


@dataclass(frozen=True, slots=True)
class DeleteRobot:
    """Ends a robot of a project. Its account stays, for the audit log; another may get its name."""

    work: Work
    clock: Clock
    revocations: Revocations

    async def __call__(self, project: Scoped[Project], name: str) -> None:
        """The robot *name* is no more. Raises CredentialUnknownError."""
        login = f"{project.resource.name}+{name}"
        async with self.work(project.principal.actor) as unit:
            known = ROBOT_NAME.match(name)
            account_id = await store.robot_of(unit, login, project.resource.id) if known else None
            live = [] if account_id is None else await store.live_secrets(unit, account_id)
            if account_id is None or not live:
                raise CredentialUnknownError(f"{project.resource.name} has no robot {name[:64]}")
            revoked = await store.revoke(unit, account_id, live, self.clock.now())
            await store.drop_grants(unit, account_id)
            for id_ in revoked:
                unit.emit(SecretRevoked(project=project.resource.name, account=login, secret=id_))
            unit.emit(AccountDeleted(project=project.resource.name, account=login))
        self.revocations.add(frozenset(revoked))


@dataclass(frozen=True, slots=True)
class RevokeToken:
    """Ends one of the caller's own secrets: with a leaked one in hand, anybody may shut its door."""

    work: Work
    clock: Clock
    revocations: Revocations

    async def __call__(self, principal: Principal, id_: str) -> None:
        """The secret *id_* of whoever asks opens nothing any more. Raises CredentialUnknownError."""
        actor = principal.actor
        async with self.work(actor) as unit:
            ids = [id_] if SECRET_ID.match(id_) else []
            revoked = await store.revoke(unit, actor.account_id or 0, ids, self.clock.now())
            if not revoked:
                raise CredentialUnknownError("you have no such token, or it is revoked already")
            unit.emit(SecretRevoked(account=actor.name, secret=id_))
        self.revocations.add(frozenset(revoked))
