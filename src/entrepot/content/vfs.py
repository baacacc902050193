"""Every access to the disk that must be durable: one place to read, and to break in tests.

Order for a new file: write, fsync(file), rename, fsync(directory). After an fsync error the file's pages may be
marked clean though they were lost, so that descriptor is never synced again: the caller drops the file.
"""

import os
from pathlib import Path
from typing import Final

MODE_FILE: Final = 0o640
MODE_DIRECTORY: Final = 0o750


def make_directory(path: Path) -> None:
    """The directory *path*, with its parents, if it is not there."""
    path.mkdir(mode=MODE_DIRECTORY, parents=True, exist_ok=True)


def create(path: Path) -> int:
    """A descriptor of the new file *path*, for writing. Raises OSError; FileExistsError if it is there."""
    return os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW, MODE_FILE)


def open_to_append(path: Path, offset: int) -> int:
    """A descriptor of *path*, cut to *offset* bytes and standing at its end. Raises OSError."""
    descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        os.ftruncate(descriptor, offset)
        os.lseek(descriptor, offset, os.SEEK_SET)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def write_all(descriptor: int, data: bytes | bytearray | memoryview) -> None:
    """All of *data*, however many calls it takes."""
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def sync(descriptor: int) -> None:
    """The file's bytes are on the disk."""
    os.fsync(descriptor)


def publish(source: Path, target: Path) -> None:
    """Gives the synced file *source* its final name, and syncs the directory, so that the name lasts too."""
    source.rename(target)
    sync_directory(target.parent)


def sync_directory(path: Path) -> None:
    """The names in the directory *path* are on the disk."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def put(path: Path, temporary: Path, data: bytes) -> None:
    """The small file *path* with *data*, durable, all or nothing; *temporary* is on the same file system."""
    descriptor = create(temporary)
    try:
        write_all(descriptor, data)
        sync(descriptor)
    finally:
        os.close(descriptor)
    publish(temporary, path)


def remove(path: Path) -> None:
    """The file *path* is gone, if it was there."""
    path.unlink(missing_ok=True)
