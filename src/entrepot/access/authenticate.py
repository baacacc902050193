"""From a credential to a principal: a name and a secret, or a registry token."""

from dataclasses import dataclass, replace
from typing import Final

from entrepot.access.delays import LoginDelays
from entrepot.access.errors import CredentialsInvalidError
from entrepot.access.hot import AccessReads, Holder
from entrepot.access.model import Principal
from entrepot.access.passwords import Passwords
from entrepot.access.ports import SignInLog
from entrepot.access.secrets import is_secret, stored_form
from entrepot.clock import Clock
from entrepot.runtime.events.model import Actor

WRONG: Final = "name and secret do not belong together"
MAX_SECRET: Final = 1024


@dataclass(frozen=True, slots=True)
class Authenticate:
    """Checks names and secrets. Secrets of robots and personal tokens cost microseconds, passwords 34 ms."""

    reads: AccessReads
    passwords: Passwords
    hmac_key: bytes
    clock: Clock
    log: SignInLog
    delays: LoginDelays

    async def by_secret(self, seen: Actor, name: str, secret: str, *, passwords: bool, surface: str) -> Principal:
        """The principal called *name* (may be empty for a personal token) who knows *secret*.

        seen: what is known of the request. passwords: whether a person's password is taken here.
        Raises CredentialsInvalidError, with one text for whatever is wrong, LoginBusyError, LoginDelayedError.
        """
        if "\0" in name:  # PostgreSQL would not even look for it, nor keep it on record
            raise CredentialsInvalidError(WRONG)
        if len(secret) > MAX_SECRET:
            raise CredentialsInvalidError(WRONG, name)
        if is_secret(secret):
            return await self._by_token(seen, name, secret)
        if not passwords:
            raise CredentialsInvalidError(
                "a password is not taken here: log in for a token first, or use a robot's secret", name
            )
        holder = await self.reads.holder_of_name(name)
        stored = holder.password_hash if holder else ""
        if not self.passwords.remembers(stored, secret):
            self.delays.check(name, seen.source_ip)
        good, remembered = await self.passwords.check(stored, secret)
        if holder is None or not good:
            self.delays.failed(name, seen.source_ip)
            raise CredentialsInvalidError(WRONG, name)
        self.delays.succeeded(name, seen.source_ip)
        principal = await self._principal(seen, holder)
        if not remembered:
            self.log.signed_in(principal.actor, surface)
        return principal

    async def _by_token(self, seen: Actor, name: str, secret: str) -> Principal:
        holder = await self.reads.holder_of_secret(stored_form(self.hmac_key, secret))
        # Anybody may guess names; only who has the right secret learns that it has ended.
        if holder is None or (name and name != holder.name):
            raise CredentialsInvalidError(WRONG, name)
        if holder.expires_at is not None and holder.expires_at <= self.clock.now():
            day = f"{holder.expires_at:%Y-%m-%d}"
            step = f"make a new one: entrepot {'robot' if holder.kind == 'robot' else 'token'} create"
            raise CredentialsInvalidError(f"secret {secret[:8]}...{secret[-4:]} expired on {day}; {step}", name)
        return await self._principal(seen, holder)

    async def _principal(self, seen: Actor, holder: Holder) -> Principal:
        actor = replace(
            seen, name=holder.name, kind=holder.kind, account_id=holder.account_id, credential=holder.credential
        )
        return Principal(actor, await self.reads.grants(holder.account_id))
