"""Requests at once: so many for each principal, and turns when the process is nearly full.

Invariant: of one principal there are never more than its limit, of all never more than the capacity. Who is over a
limit waits first, and is refused only after that: clients repeat a 429 at once, and a wait slows them down for good.
Above 80 % of the capacity each enters freely only up to an equal share, and those who wait are let in one principal
after the other, in a circle: a thousand requests of one robot do not stand before the one of a person.
Test: tests/unit/web/limits/test_turns.py.
"""

import asyncio
from collections import OrderedDict, deque
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

from entrepot.web.limits.errors import TooManyRequestsError

BUSY: Final = 0.8

Who = int | str
"""Whose requests are counted together: the row of an account, or an address."""


@dataclass(slots=True)
class _Line:
    """Those of one who wait, and how many of them there may be at once."""

    limit: int
    turns: deque["asyncio.Future[None]"] = field(default_factory=deque)


@dataclass(slots=True)
class Turns:
    """The requests that a process is answering. capacity: how many at most; patience: how long one waits."""

    capacity: int
    patience: timedelta
    _held: dict[Who, int] = field(default_factory=dict)
    _total: int = 0
    _waiting: OrderedDict[Who, _Line] = field(default_factory=OrderedDict)

    def enter(self, who: Who, limit: int) -> bool:
        """Takes one of the *limit* turns of *who*, if there is one at once and nobody who waits comes first."""
        held = self._held.get(who, 0)
        if held >= limit or self._total >= self.capacity:
            return False
        busy = self._total >= self.capacity * BUSY
        if self._waiting and self._comes_first(who, busy=busy):
            return False
        if busy and held >= self.capacity // (len(self._held) + (held == 0)):
            return False
        self._held[who] = held + 1
        self._total += 1
        return True

    async def wait(self, who: Who, limit: int) -> None:
        """Takes a turn of *who* when one comes. Raises TooManyRequestsError: not in time."""
        if self.enter(who, limit):
            return  # who begins to wait when nobody holds a turn would wait for nobody
        turn = asyncio.get_running_loop().create_future()
        line = self._waiting.setdefault(who, _Line(limit))
        line.turns.append(turn)
        seconds = self.patience.total_seconds()
        try:
            async with asyncio.timeout(seconds):
                await turn
        except TimeoutError:
            if not self._withdraw(who, turn):
                return  # it came in the same moment
            raise TooManyRequestsError(seconds) from None
        except asyncio.CancelledError:
            if not self._withdraw(who, turn):
                self.leave(who)
            raise

    def leave(self, who: Who) -> None:
        """Gives a turn of *who* back, to whoever is next."""
        held = self._held[who] - 1
        if held:
            self._held[who] = held
        else:
            del self._held[who]
        self._total -= 1
        if self._waiting:
            self._let_in()

    def _comes_first(self, who: Who, *, busy: bool) -> bool:
        """Whether anybody waits whose turn is before a new one of *who*. Those who gave up a moment ago do not."""
        lines = self._waiting.values() if busy else [self._waiting[who]] if who in self._waiting else []
        return any(not turn.done() for line in lines for turn in line.turns)

    def _withdraw(self, who: Who, turn: "asyncio.Future[None]") -> bool:
        """Takes *turn* out of the line; False if it was granted already."""
        if turn.done() and not turn.cancelled():
            return False
        line = self._waiting.get(who)
        if line is not None and turn in line.turns:
            line.turns.remove(turn)
            if not line.turns:
                del self._waiting[who]
        return True

    def _let_in(self) -> None:
        """The next who may: the circle begins behind whoever was let in last."""
        for who, line in list(self._waiting.items()):
            held = self._held.get(who, 0)
            if held >= line.limit or self._total >= self.capacity:
                continue
            turn = next((each for each in line.turns if not each.done()), None)
            if turn is None:
                continue
            line.turns.remove(turn)
            if line.turns:
                self._waiting.move_to_end(who)
            else:
                del self._waiting[who]
            self._held[who] = held + 1
            self._total += 1
            turn.set_result(None)
            return
