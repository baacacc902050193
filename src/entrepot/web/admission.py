"""What a request passes before it is routed, and after it is answered: head, turn, body.

The limits on requests at once are those of a machine; each of its web processes keeps to an equal part of them, at
least to 32, because processes do not share counts (`part`).
"""

import ipaddress
from dataclasses import dataclass
from functools import lru_cache
from math import ceil
from typing import Final

from entrepot.access.model import Principal
from entrepot.web.limits.body import Incoming, Pace
from entrepot.web.limits.head import check_head
from entrepot.web.limits.turns import Turns, Who
from entrepot.web.request import Request

LEAST_PART: Final = 32
V6_REST: Final = 64


@dataclass(frozen=True, slots=True)
class Admission:
    """line_bytes, header_bytes, header_count: of a head; per_principal, per_address: requests at once, here."""

    turns: Turns
    pace: Pace
    line_bytes: int
    header_bytes: int
    header_count: int
    per_principal: int
    per_address: int

    def check(self, request: Request) -> None:
        """Looks at the head, and puts the pace before the body, if there is one.

        Raises RequestLineTooLongError, HeadersTooLargeError, RequestAmbiguousError, InvalidError (the length).
        """
        if request.has_body():
            request.receive = request.incoming = Incoming(request.receive, self.pace)
        check_head(request.scope, request.path, request.headers, self.line_bytes, self.header_bytes, self.header_count)

    async def by_address(self, request: Request) -> None:
        """Waits for a turn of the client's address, until it is known who asks. Raises TooManyRequestsError."""
        await self._take(request, address_block(request.client), self.per_address)

    async def by_principal(self, request: Request, principal: Principal) -> None:
        """Waits for a turn of *principal*; anonymous is who has the address. Raises TooManyRequestsError."""
        account = principal.actor.account_id
        if account is None:
            await self.by_address(request)
        else:
            await self._take(request, account, self.per_principal)

    async def linger(self, request: Request) -> None:
        """Lets a client that still sends a body see its answer. Not without a turn: lingering is work too."""
        incoming = request.incoming
        if incoming is None or incoming.whole:
            return
        # Whoever waits for `100 Continue` has sent nothing, and reading now would invite him.
        if "expect" in request.headers and not incoming.asked:
            return
        if request.turn is None:
            who = address_block(request.client)
            if not self.turns.enter(who, self.per_address):
                return
            request.turn = who
        await incoming.linger()

    def leave(self, request: Request) -> None:
        """The request is over."""
        request.let_go()
        if request.turn is not None:
            self.turns.leave(request.turn)
            request.turn = None

    async def _take(self, request: Request, who: Who, limit: int) -> None:
        if request.turn == who:
            return
        if request.turn is not None:
            self.turns.leave(request.turn)
            request.turn = None
        if not self.turns.enter(who, limit):
            await self.turns.wait(who, limit)
        request.turn = who


def part(limit: int, processes: int) -> int:
    """What one of *processes* takes of a machine's *limit*."""
    return max(ceil(limit / processes), min(limit, LEAST_PART))


@lru_cache(maxsize=4096)
def address_block(client: str) -> str:
    """What is counted as one anonymous client: an IPv4 address, or the /64 that an IPv6 address stands in."""
    if ":" not in client:
        return client
    parsed = ipaddress.IPv6Address(client)
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.IPv6Address(int(parsed) >> V6_REST << V6_REST))
