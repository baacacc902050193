"""Waits after wrong passwords: 1, 2, 4 … 900 s for an account from a network, which is nobody's lock-out elsewhere.

Only passwords wait. A robot's secret has 256 random bits, which nobody guesses, and one machine with an old secret must
not shut out the cluster behind the same address. Kept in the process: with n web processes it takes n times as many
tries. Spec: security.md, 11.
"""

import ipaddress
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from time import monotonic
from typing import Final

from entrepot.access.errors import LoginDelayedError

FIRST_SECONDS: Final = 1.0
REMEMBERED: Final = 10_000
FORGOTTEN_AFTER: Final = 2
"""Failures count no more when this many times the longest wait passed without another."""
MOST_FAILURES: Final = 40
V4_NETWORK: Final = 24
V6_NETWORK: Final = 64

Key = tuple[str, str]


@dataclass(slots=True)
class LoginDelays:
    """The waits now running. longest: no wait is longer."""

    longest: timedelta
    now: Callable[[], float] = monotonic
    _failures: OrderedDict[Key, tuple[int, float]] = field(default_factory=OrderedDict)

    def check(self, account: str, address: str) -> None:
        """Whether *account*, by whichever name was given, may try from *address* now. Raises LoginDelayedError."""
        count, since = self._failures.get(_key(account, address), (0, 0.0))
        if not count:
            return
        wait = since + self._seconds(count) - self.now()
        if wait > 0:
            raise LoginDelayedError(wait)

    def failed(self, account: str, address: str) -> None:
        """A wrong password was tried: the next wait begins."""
        key = _key(account, address)
        count, since = self._failures.pop(key, (0, 0.0))
        now = self.now()
        if now - since > FORGOTTEN_AFTER * self.longest.total_seconds():
            count = 0
        self._failures[key] = (min(count + 1, MOST_FAILURES), now)
        while len(self._failures) > REMEMBERED:
            self._failures.popitem(last=False)

    def succeeded(self, account: str, address: str) -> None:
        """The right password was given: what went before is forgotten."""
        self._failures.pop(_key(account, address), None)

    def _seconds(self, count: int) -> float:
        return min(FIRST_SECONDS * 2.0 ** (count - 1), self.longest.total_seconds())


def _key(account: str, address: str) -> Key:
    return account[:256], network(address)


def network(address: str) -> str:
    """The network *address* is taken for: /24 of IPv4, /64 of IPv6; the text itself if it is no address."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    mapped = getattr(parsed, "ipv4_mapped", None)
    parsed = mapped or parsed
    length = V4_NETWORK if parsed.version == 4 else V6_NETWORK
    return str(ipaddress.ip_network(f"{parsed}/{length}", strict=False))
