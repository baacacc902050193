"""Sessions of browsers: a cookie with 256 random bits, of which only an HMAC is kept.

Invariant: a session gives no right of its own. Its row names an account, and the account's roles are read at each
request, so a right that is taken away is gone at once, in every browser. It ends 30 minutes after it was last used and
12 hours after it began, whatever comes first, and its id is never one that was there before the login. Broken,
`tests/conformance/test_pages_sessions.py` fails. Spec: security.md, 5.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, ClassVar, Final

from sqlalchemy import delete, insert, or_, select, update

from entrepot.access.errors import CredentialUnknownError, PermissionDeniedError
from entrepot.access.hot import AccessReads
from entrepot.access.model import Principal
from entrepot.access.secrets import stored_form
from entrepot.access.tables import account, web_session
from entrepot.clock import Clock
from entrepot.ids import random_base62, ulid
from entrepot.runtime.database import Database
from entrepot.runtime.events.model import Actor, Event
from entrepot.runtime.unit_of_work import Work

IDLE: Final = timedelta(minutes=30)
LONGEST: Final = timedelta(hours=12)
NOTED_AFTER: Final = timedelta(minutes=1)
"""Not every request writes when the session was used: one that comes within a minute does not."""

RANDOM_CHARACTERS: Final = 43
PERSONS_ONLY: Final = "only people sign in here; robots use /v2 and the API"
COLUMNS: Final = (
    web_session.c.id,
    web_session.c.csrf,
    web_session.c.source_ip,
    web_session.c.user_agent,
    web_session.c.created_at,
    web_session.c.used_at,
    web_session.c.ends_at,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionOpened(Event):
    """A browser signed in. session: its id, which opens nothing; by: `password` or `link`."""

    ACTION: ClassVar = "session.opened"

    session: str
    by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionEnded(Event):
    """A session was ended before its time, by its own account."""

    ACTION: ClassVar = "session.ended"

    session: str


@dataclass(frozen=True, slots=True)
class Session:
    """A session that is not over. csrf: what its forms must bring along; ends_at: at the latest."""

    id: str
    csrf: str
    source_ip: str
    user_agent: str
    created_at: datetime
    used_at: datetime
    ends_at: datetime

    @classmethod
    def of(cls, row: Any) -> "Session":
        """The session of a row that begins with COLUMNS."""
        return cls(*row[: len(COLUMNS)])


@dataclass(frozen=True, slots=True)
class Sessions:
    """Opens, finds and ends sessions."""

    work: Work
    database: Database
    reads: AccessReads
    clock: Clock
    hmac_key: bytes

    async def open(self, principal: Principal, by: str) -> str:
        """The text of the cookie of a new session of *principal*, who proved himself *by* a password or link.

        Raises PermissionDeniedError: no person.
        """
        actor = principal.actor
        if actor.account_id is None or actor.kind != "person":
            raise PermissionDeniedError(PERSONS_ONLY, "session.open")
        now, text, id_ = self.clock.now(), random_base62(RANDOM_CHARACTERS), ulid()
        async with self.work(actor) as unit:
            over = or_(web_session.c.ends_at <= now, web_session.c.used_at <= now - IDLE)
            await unit.execute(delete(web_session).where(web_session.c.account_id == actor.account_id, over))
            await unit.execute(
                insert(web_session).values(
                    id=id_,
                    account_id=actor.account_id,
                    hmac=stored_form(self.hmac_key, text),
                    csrf=random_base62(RANDOM_CHARACTERS),
                    source_ip=actor.source_ip[:64],
                    user_agent=actor.user_agent[:512].replace("\0", ""),
                    created_at=now,
                    used_at=now,
                    ends_at=now + LONGEST,
                )
            )
            unit.emit(SessionOpened(session=id_, by=by))
        return text

    async def find(self, seen: Actor, text: str, *, is_use: bool = True) -> tuple[Session, Principal] | None:
        """The session whose cookie is *text*, and its principal with his roles of now; None if there is none.

        seen: what is known of the request. is_use: whether it keeps the session; what a page asks by itself does not.
        """
        now = self.clock.now()
        question = (
            select(*COLUMNS, account.c.id, account.c.name, account.c.kind)
            .join(account, account.c.id == web_session.c.account_id)
            .where(web_session.c.hmac == stored_form(self.hmac_key, text), account.c.kind == "person")
            .where(web_session.c.ends_at > now, web_session.c.used_at > now - IDLE, account.c.disabled_at.is_(None))
        )
        async with self.database.reading() as connection:
            row = (await connection.execute(question)).one_or_none()
        if row is None:
            return None
        session = Session.of(row)
        account_id, name, kind = row[len(COLUMNS) :]
        actor = replace(seen, name=name, kind=kind, account_id=account_id, credential=session.id)
        if is_use and now - session.used_at > NOTED_AFTER:
            async with self.work(actor) as unit:
                await unit.execute(update(web_session).where(web_session.c.id == session.id).values(used_at=now))
        return session, Principal(actor, await self.reads.grants(account_id))

    async def of(self, principal: Principal) -> list[Session]:
        """The sessions of *principal* that are not over, newest first."""
        now = self.clock.now()
        question = (
            select(*COLUMNS)
            .where(web_session.c.account_id == principal.actor.account_id)
            .where(web_session.c.ends_at > now, web_session.c.used_at > now - IDLE)
            .order_by(web_session.c.id.desc())
        )
        async with self.database.reading() as connection:
            return [Session.of(row) for row in await connection.execute(question)]

    async def end(self, principal: Principal, id_: str) -> None:
        """The session *id_* of *principal* opens nothing any more. Raises CredentialUnknownError."""
        own = (web_session.c.account_id == principal.actor.account_id) & (web_session.c.id == id_)
        async with self.work(principal.actor) as unit:
            if await unit.fetch_one(delete(web_session).where(own).returning(web_session.c.id)) is None:
                raise CredentialUnknownError("you have no such session, or it is over already")
            unit.emit(SessionEnded(session=id_))
