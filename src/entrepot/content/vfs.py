"""Every access to the disk that must be durable: one place to read, and to break in tests.

Order for a new file: write, fsync(file), rename, fsync(directory). After an fsync error the file's pages may be
marked clean though they were lost, so that descriptor is never synced again: the caller drops the file.
"""

import ctypes
import errno
import os
from pathlib import Path
from typing import Final

MODE_FILE: Final = 0o640
MODE_DIRECTORY: Final = 0o750
KEEP_SIZE: Final = 1
"""FALLOC_FL_KEEP_SIZE of fallocate(2)."""
WRITE: Final = 2
"""SYNC_FILE_RANGE_WRITE of sync_file_range(2)."""
LIBC: Final = ctypes.CDLL(None, use_errno=True)
LIBC.fallocate.argtypes = (ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64)
LIBC.sync_file_range.argtypes = (ctypes.c_int, ctypes.c_int64, ctypes.c_int64, ctypes.c_uint)


def make_directory(path: Path) -> None:
    """The directory *path*, with its parents, if it is not there."""
    path.mkdir(mode=MODE_DIRECTORY, parents=True, exist_ok=True)


def create(path: Path) -> int:
    """A descriptor of the new file *path*, for writing. Raises OSError; FileExistsError if it is there."""
    return os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW, MODE_FILE)


def open_to_append(path: Path, offset: int) -> int:
    """A descriptor of *path*, cut to *offset* bytes and standing at its end; a new file if *offset* is 0.

    Raises OSError; FileNotFoundError if bytes that should be there are not.
    """
    how = os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW | (0 if offset else os.O_CREAT)
    descriptor = os.open(path, how, MODE_FILE)
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


def reserve(descriptor: int, start: int, length: int) -> None:
    """Room on the disk for *length* bytes from *start* on, so that they can't meet a full one; the size stays.

    Where the file system knows no such thing, nothing happens. Raises OSError: there is no room, or over a quota.
    """
    # Not posix_fallocate: where that is unknown the C library writes every block, and it makes the file longer.
    if LIBC.fallocate(descriptor, KEEP_SIZE, start, length):
        error = ctypes.get_errno()
        if error in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}:
            raise OSError(error, os.strerror(error))


def begin_write_back(descriptor: int, start: int, length: int) -> None:
    """The disk may begin with these bytes, so that less is left for `sync`, which alone says whether it kept them."""
    LIBC.sync_file_range(descriptor, start, length, WRITE)


def free_bytes(path: Path) -> tuple[int, int]:
    """Free bytes of the file system that holds *path*, and all its bytes."""
    seen = os.statvfs(path)
    return seen.f_bavail * seen.f_frsize, seen.f_blocks * seen.f_frsize


class SyncError(OSError):
    """The disk did not keep what it took. The file's pages may be marked clean now though they were lost."""


def sync(descriptor: int) -> None:
    """The file's bytes are on the disk. Raises SyncError: never sync that file again, drop it."""
    try:
        os.fsync(descriptor)
    except OSError as error:
        raise SyncError(error.errno, error.strerror) from error


def publish(source: Path, target: Path) -> None:
    """Gives the synced file *source* its final name, and syncs the directory, so that the name lasts too."""
    try:
        source.rename(target)
    except FileNotFoundError:
        # NFS repeats a rename whose answer was lost, and then says so.
        if not target.exists() or source.exists():
            raise
    sync_directory(target.parent)


def sync_directory(path: Path) -> None:
    """The names in the directory *path* are on the disk, where its file system knows how. Raises SyncError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise SyncError(error.errno, error.strerror) from error
    finally:
        os.close(descriptor)


def put(path: Path, temporary: Path, data: bytes) -> None:
    """The small file *path* with *data*, durable, all or nothing; *temporary* is on the same file system."""
    descriptor = create(temporary)
    try:
        try:
            write_all(descriptor, data)
            sync(descriptor)
        finally:
            os.close(descriptor)
        publish(temporary, path)
    except OSError:
        remove(temporary)
        raise


def remove(path: Path) -> None:
    """The file *path* is gone, if it was there."""
    path.unlink(missing_ok=True)
