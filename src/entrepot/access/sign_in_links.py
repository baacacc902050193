"""Links that sign a browser in, once, within ten minutes: for who has a terminal open and no password at hand.

Invariant: a link opens one session. It holds because its row is deleted by the statement that finds it.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import ClassVar, Final

from sqlalchemy import delete, insert

from entrepot.access import store
from entrepot.access.errors import CredentialsInvalidError, PermissionDeniedError
from entrepot.access.hot import PASSWORD, AccessReads
from entrepot.access.model import Principal
from entrepot.access.secrets import stored_form
from entrepot.access.tables import sign_in_link
from entrepot.clock import Clock
from entrepot.ids import random_base62, ulid
from entrepot.runtime.events.model import Actor, Event
from entrepot.runtime.unit_of_work import Work

LIFE: Final = timedelta(minutes=10)
RANDOM_CHARACTERS: Final = 43
PASSWORD_ONLY: Final = "a sign-in link is made by a person, with his password: no robot, no personal token"  # noqa: S105
USED_UP: Final = "this link was used already, or its ten minutes are over: make a new one"


@dataclass(frozen=True, slots=True, kw_only=True)
class SignInLinkCreated(Event):
    """A link that signs in was made: its id, never its text."""

    ACTION: ClassVar = "sign_in_link.created"

    link: str
    ends_at: str


@dataclass(frozen=True, slots=True)
class NewLink:
    """A link just made. code: the secret part of its address."""

    code: str
    account: str
    ends_at: datetime


@dataclass(frozen=True, slots=True)
class SignInLinks:
    """Makes links and takes them."""

    work: Work
    reads: AccessReads
    clock: Clock
    hmac_key: bytes

    async def make(self, principal: Principal) -> NewLink:
        """A link for whoever *principal* is. Raises PermissionDeniedError: not a person with his password."""
        actor = principal.actor
        if actor.account_id is None or actor.kind != "person" or not actor.credential.startswith(PASSWORD):
            raise PermissionDeniedError(PASSWORD_ONLY, "sign_in_link.create")
        now, code, id_ = self.clock.now(), random_base62(RANDOM_CHARACTERS), ulid()
        ends_at = now + LIFE
        async with self.work(actor) as unit:
            await unit.execute(delete(sign_in_link).where(sign_in_link.c.ends_at <= now))
            hmac = stored_form(self.hmac_key, code)
            await unit.execute(
                insert(sign_in_link).values(id=id_, account_id=actor.account_id, hmac=hmac, ends_at=ends_at)
            )
            unit.emit(SignInLinkCreated(link=id_, ends_at=ends_at.isoformat()))
        return NewLink(code, actor.name, ends_at)

    async def take(self, seen: Actor, code: str) -> Principal:
        """Whom *code* signs in; it opens nothing any more. Raises CredentialsInvalidError."""
        now = self.clock.now()
        async with self.work(seen) as unit:
            own = sign_in_link.c.hmac == stored_form(self.hmac_key, code)
            taken = delete(sign_in_link).where(own, sign_in_link.c.ends_at > now)
            row = await unit.fetch_one(taken.returning(sign_in_link.c.id, sign_in_link.c.account_id))
            person = None if row is None else await store.person(unit, row.account_id)
        if row is None or person is None:
            raise CredentialsInvalidError(USED_UP)
        actor = replace(seen, name=person, kind="person", account_id=row.account_id, credential=row.id)
        return Principal(actor, await self.reads.grants(row.account_id))
