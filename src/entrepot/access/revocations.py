"""Which secrets ended before their time, as far as this process knows.

Invariant: a registry token ends with the secret it was made with: at once in the process that revoked it, within
POLL_SECONDS in all others (security.md, S3). It holds because every process reads all revocations that a token still
alive can be older than, so one that was missed between two polls is seen by the next. Without the database the last
answer stands. Broken, `tests/conformance/test_v2_revocation.py` fails.
"""

import asyncio
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

import structlog

from entrepot.access.hot import AccessReads
from entrepot.clock import Clock
from entrepot.errors import UnavailableError

POLL_SECONDS: Final = 5.0
CLOCKS_DIFFER: Final = timedelta(minutes=10)
"""How far the clocks of two replicas may be apart: revocations carry the clock of whoever made them."""

log = structlog.get_logger("access")


@dataclass(slots=True)
class Revocations:
    """The ids of revoked secrets. *life*: how long a token made with one can still live."""

    reads: AccessReads
    clock: Clock
    life: timedelta
    _ids: frozenset[str] = frozenset()

    def __contains__(self, credential: object) -> bool:
        return credential in self._ids

    def add(self, ids: frozenset[str]) -> None:
        """*ids* are revoked; others hear of it from the database."""
        self._ids |= ids

    async def refresh(self) -> None:
        """Asks the database. Raises DatabaseUnavailableError."""
        before = self._ids
        found = await self.reads.revoked(self.clock.now() - self.life - CLOCKS_DIFFER)
        # What was added while the database was asked may be missing in its answer.
        self._ids = found | (self._ids - before)

    async def keep_fresh(self) -> None:
        """Asks again and again, for ever."""
        while True:
            try:
                await self.refresh()
            except UnavailableError as error:
                log.warning("revocations.unknown", reason=error.message)
            await asyncio.sleep(POLL_SECONDS)
