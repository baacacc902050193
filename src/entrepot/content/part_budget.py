"""How much memory the parts of uploads to an object store may take together in one process.

A part takes its bytes before it is filled and gives them back when nobody holds it any more: when the store has it, or
the upload failed. While it is filled it waits for its client alone, never for more memory, so that the others who wait
get their turn.
"""

import asyncio
import weakref
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field


class PartBuffer(bytearray):
    """The bytes of one part."""


@dataclass(slots=True)
class PartBudget:
    """*limit*: bytes of all parts together; a part that alone is larger has to itself what there is."""

    limit: int
    used: int = 0
    _waiting: deque[tuple[int, asyncio.Future[None]]] = field(default_factory=deque)

    async def part(self, size: int) -> PartBuffer:
        """An empty part that may grow to *size* bytes; waits in turn until there is room for it."""
        size = min(size, self.limit)
        loop = asyncio.get_running_loop()
        if self._waiting or self.used + size > self.limit:
            turn = loop.create_future()
            self._waiting.append((size, turn))
            try:
                await turn
            except asyncio.CancelledError:
                if turn.done() and not turn.cancelled():
                    self._give_back(size)
                raise
        else:
            self.used += size
        buffer = PartBuffer()
        # The store's client drops a part in a thread of its own.
        weakref.finalize(buffer, _in_loop, loop, self._give_back, size).atexit = False
        return buffer

    def _give_back(self, size: int) -> None:
        self.used -= size
        while self._waiting:
            wanted, turn = self._waiting[0]
            if not turn.cancelled():
                if self.used + wanted > self.limit:
                    return
                self.used += wanted
                turn.set_result(None)
            self._waiting.popleft()


def _in_loop(loop: asyncio.AbstractEventLoop, action: Callable[[int], None], size: int) -> None:
    if not loop.is_closed():
        loop.call_soon_threadsafe(action, size)
