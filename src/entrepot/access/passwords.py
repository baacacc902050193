"""Passwords of people: argon2id on a few threads, with a short memory so that a script's next call is cheap."""

import asyncio
import hashlib
import hmac
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from time import monotonic
from typing import Final, TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from entrepot.access.errors import LoginBusyError, PasswordWeakError
from entrepot.access.secrets import is_secret

THREADS: Final = 2
QUEUE: Final = 64
REMEMBERED_SECONDS: Final = 60
REMEMBERED: Final = 1_000
LEAST_LENGTH: Final = 12
MOST_LENGTH: Final = 256
LEAST_DIFFERENT: Final = 6
LONG_NAME: Final = 4
"""Characters from which on a name in a password makes it easier to guess."""
T = TypeVar("T")


def check_strength(name: str, password: str) -> None:
    """Whether *password* may be that of the account *name*: long, and not to be guessed; what it is made of is free.

    Raises PasswordWeakError. Spec: NIST SP 800-63B, 5.1.1.2.
    """
    if not LEAST_LENGTH <= len(password) <= MOST_LENGTH:
        raise PasswordWeakError(f"a password has {LEAST_LENGTH} to {MOST_LENGTH} characters", "/new")
    holds_name = len(name) >= LONG_NAME and name.casefold() in password.casefold()
    if len(set(password)) < LEAST_DIFFERENT or holds_name:
        raise PasswordWeakError(
            f"a password has {LEAST_DIFFERENT} different characters at least, and not the account's name in it", "/new"
        )
    if is_secret(password) or not password.isprintable():
        raise PasswordWeakError("a password is no token of ours, and has no characters that can't be typed", "/new")


def hasher() -> PasswordHasher:
    """argon2id with m = 19 MiB, t = 2, p = 1 (34 ms measured; the library's default takes 195 ms)."""
    return PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)


@dataclass(slots=True)
class Passwords:
    """Checks passwords. *key*: what remembered ones are hashed with, so that memory holds none in the clear."""

    key: bytes
    _hasher: PasswordHasher = field(default_factory=hasher)
    _pool: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(THREADS, "argon2"))
    _waiting: int = 0
    _remembered: OrderedDict[str, float] = field(default_factory=OrderedDict)
    _dummy: str = ""

    def remembers(self, stored: str, password: str) -> bool:
        """Whether *password* was good for the hash *stored* within the last minute."""
        return bool(stored) and self._remembered.get(self._memory(stored, password), 0.0) > monotonic()

    async def check(self, stored: str, password: str) -> tuple[bool, bool]:
        """Whether *password* has the hash *stored*, and whether that was remembered rather than computed.

        Without a hash the same work is done on a dummy, so an unknown name costs the same time.
        Raises LoginBusyError when 64 already wait.
        """
        if self.remembers(stored, password):
            return True, True
        good = await self._apart(lambda: self._verify(stored, password))
        if good:
            self._remembered[self._memory(stored, password)] = monotonic() + REMEMBERED_SECONDS
            while len(self._remembered) > REMEMBERED:
                self._remembered.popitem(last=False)
        return good, False

    async def hash(self, password: str) -> str:
        """What is kept of *password*. Raises LoginBusyError when 64 already wait."""
        return await self._apart(lambda: self._hasher.hash(password))

    async def _apart(self, work: Callable[[], T]) -> T:
        if self._waiting >= QUEUE:
            raise LoginBusyError("too many logins at once; try again in a moment")
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, work)
        finally:
            self._waiting -= 1

    def _memory(self, stored: str, password: str) -> str:
        return hmac.new(self.key, f"{stored}\0{password}".encode(), hashlib.sha256).hexdigest()

    def _verify(self, stored: str, password: str) -> bool:
        if not stored:
            self._dummy = self._dummy or self._hasher.hash("no such account")
        try:
            return self._hasher.verify(stored or self._dummy, password) and bool(stored)
        except (VerificationError, InvalidHashError):
            return False
