"""Steps that must come to their end although the caller is cancelled, however often that happens."""

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

T = TypeVar("T")


async def uninterrupted(step: Awaitable[T]) -> T:
    """What *step* gives. A cancellation meanwhile takes effect when it has ended, and comes before its own error.

    `asyncio.shield` alone is not enough: whoever then waits for the shielded task is cut off by a second cancel, and
    closes under it what it still uses.
    """
    task = asyncio.ensure_future(step)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        raise cancelled from task.exception()
    return task.result()
