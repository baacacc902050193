"""Request bodies: how slowly they may come, and what becomes of one that nobody reads.

Invariant: only time in which we wait for the client counts. While our disk, a queue or the event loop is slow, the body
lies in the kernel's buffer and no wait is running; when the loop itself was held up, what it adds is taken off again.
Worked example, 10,000 bytes a second over 30 s: a client that sends 9,999 a second is cut off after 30 s of waiting for
it, one that sends nothing too; one that sends 10,000 never. Test: tests/unit/web/limits/test_body.py.

No timer or task stands for a request: one timer per process looks at all bodies that are being received.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from time import monotonic
from typing import Any, Final

from entrepot.web.asgi import Message, Receive
from entrepot.web.limits.errors import BodyTooSlowError

LOOKS: Final = 30
"""How often within the time allowed each body is looked at."""

LINGER_SECONDS: Final = 30
LINGER_GAP_SECONDS: Final = 5


@dataclass(slots=True)
class Pace:
    """The least rate of bodies, *bytes_per_second* over *window*, and all bodies that are being received."""

    bytes_per_second: int
    window: timedelta
    now: Callable[[], float] = monotonic
    _bodies: "set[Incoming]" = field(default_factory=set)
    _timer: asyncio.TimerHandle | None = None
    _looked: float = 0.0

    def add(self, body: "Incoming") -> None:
        """*body* is being received."""
        self._bodies.add(body)
        if self._timer is None:
            self._looked = self.now()
            self._timer = asyncio.get_running_loop().call_later(self._interval, self._look)

    def drop(self, body: "Incoming") -> None:
        """*body* is received no more."""
        self._bodies.discard(body)

    @property
    def _interval(self) -> float:
        return self.window.total_seconds() / LOOKS

    def _look(self) -> None:
        now = self.now()
        late = now - self._looked - self._interval
        self._looked = now
        for body in self._bodies:
            if late > self._interval:
                body.forgive(late)
            elif body.is_slow(now, self.bytes_per_second, self.window.total_seconds()):
                body.interrupt()
        again = bool(self._bodies)
        self._timer = asyncio.get_running_loop().call_later(self._interval, self._look) if again else None


class Incoming:
    """The body of one request: a `receive` of ASGI that keeps the pace. Raises BodyTooSlowError."""

    __slots__ = ("_began", "_bytes", "_pace", "_past", "_receive", "_slow", "_task", "_waited", "asked", "whole")

    def __init__(self, receive: Receive, pace: Pace) -> None:
        self.asked = False
        self.whole = False
        self._receive = receive
        self._pace = pace
        self._bytes = 0
        self._waited = 0.0
        self._began: float | None = None
        self._past: deque[tuple[float, int]] = deque()
        self._task: asyncio.Task[Any] | None = None
        self._slow = False

    async def __call__(self) -> Message:
        """The next message. *asked*: this was called; *whole*: the last piece, or the client's end, came."""
        if self.whole:
            return await self._receive()
        pace = self._pace
        if not self.asked:
            self.asked = True
            self._past.append((0.0, 0))
            pace.add(self)
        self._task = asyncio.current_task()
        self._began = pace.now()
        try:
            message = await self._receive()
        except asyncio.CancelledError:
            if self._slow and self._task is not None:
                self._task.uncancel()
                raise BodyTooSlowError(pace.bytes_per_second, pace.window.total_seconds()) from None
            raise
        finally:
            self._waited += pace.now() - self._began
            self._began = None
        self._bytes += len(message.get("body", b""))
        if not message.get("more_body", False):
            self.whole = True
            pace.drop(self)
        return message

    def close(self) -> None:
        """Nobody reads on."""
        self._pace.drop(self)
        self._receive = _nothing

    def is_slow(self, now: float, bytes_per_second: int, seconds: float) -> bool:
        """Whether, in the last *seconds* of waiting for the client, it sent less than *bytes_per_second*."""
        if self._began is None:
            return False
        waited = self._waited + now - self._began
        past = self._past
        while len(past) > 1 and waited - past[1][0] >= seconds:
            past.popleft()
        slow = waited - past[0][0] >= seconds and self._bytes - past[0][1] < bytes_per_second * seconds
        if waited - past[-1][0] >= seconds / LOOKS:
            past.append((waited, self._bytes))
        return slow

    def forgive(self, seconds: float) -> None:
        """The last *seconds* were ours: the event loop was held up, and nobody could have been heard."""
        if self._began is not None:
            self._waited -= seconds

    def interrupt(self) -> None:
        """Whoever waits for this body learns that it is too slow."""
        self._slow = True
        if self._task is not None:
            self._task.cancel()

    async def linger(self) -> None:
        """Reads on and throws away, so that a client still sending gets to see the answer already sent.

        Closing at once would reset the connection, and a reset destroys what the client has not read yet. Ends with
        the body, when the client hangs up, after 5 s of silence or 30 s in all.
        """
        if self._slow:
            return
        self._pace.drop(self)
        try:
            async with asyncio.timeout(LINGER_SECONDS):
                while not self.whole:
                    async with asyncio.timeout(LINGER_GAP_SECONDS):
                        message = await self._receive()
                    self.whole = not message.get("more_body", False)
        except TimeoutError:
            return


async def _nothing() -> Message:
    return {"type": "http.disconnect"}
