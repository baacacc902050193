"""Work on a disk: in a thread, to its end, and with one error for all that a disk can refuse."""

import asyncio
import os
from collections.abc import Callable
from typing import TypeVar

from entrepot.content.errors import StorageUnavailableError
from entrepot.runtime.uninterrupted import uninterrupted

T = TypeVar("T")


async def on_disk(action: Callable[[], T]) -> T:
    """What *action* gives, run in a thread. Raises StorageUnavailableError, also for a disk or a quota that is full.

    A client that leaves can't cancel a write under way: its descriptor would be closed, and perhaps given to
    another file, while the thread still writes. So the thread is waited for.
    """
    try:
        return await uninterrupted(asyncio.to_thread(action))
    except OSError as error:
        raise StorageUnavailableError(f"the store can't write now ({os.strerror(error.errno or 0)})") from error
