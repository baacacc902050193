"""Folders that are no disk's, for what is about rows and not about what outlives a loss of power."""

import shutil
from pathlib import Path
from typing import Final

FOLDER: Final = Path("/dev/shm")  # noqa: S108  each takes a folder of its own in it
ROOM_BYTES: Final = 2 << 30
"""What must be free there: a database of tests weighs 15 MB, and few are there at once."""


def memory() -> Path | None:
    """A folder in memory to make folders in; None, which is the disk's to `tempfile`, where there is no room."""
    return FOLDER if FOLDER.is_dir() and shutil.disk_usage(FOLDER).free > ROOM_BYTES else None
