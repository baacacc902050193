"""Folders in memory: thousands of crashes need no disk."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

MEMORY: Final = Path("/dev/shm")  # noqa: S108  a folder of our own in it


@pytest.fixture(scope="session")
def memory() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="entrepot-faults-", dir=MEMORY if MEMORY.is_dir() else None))
    yield folder
    shutil.rmtree(folder)
