"""Disks that are small, full, out of inodes, read-only, or over a quota, under a server that is not told.

They are mounted, so the tests must be root. Whether a kernel knows disk quotas was decided when it was built: a quota
is here what a process sees of one, a system call that wants a block and ends with EDQUOT. strace injects that.
"""

import contextlib
import errno
import os
import subprocess
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.real.daemons import POLL_SECONDS, READY_SECONDS
from tests.real.programs import missing, require_program

BALLAST: Final = "ballast"
PIECE: Final = bytes(1 << 16)


@dataclass(frozen=True, slots=True)
class Disk:
    """A file system mounted at *folder*; *image* is its file, None for one in memory."""

    folder: Path
    image: Path | None = None

    @contextlib.contextmanager
    def full(self) -> Iterator[None]:
        """Not a byte more fits."""
        ballast = self.folder / BALLAST
        with ballast.open("wb", buffering=0) as file, contextlib.suppress(OSError):
            while True:
                file.write(PIECE)
        with ballast.open("ab", buffering=0) as file, contextlib.suppress(OSError):
            while True:
                file.write(b"x")
        try:
            yield
        finally:
            ballast.unlink()

    @contextlib.contextmanager
    def without_inodes(self) -> Iterator[None]:
        """Not a file more fits, though there is room for bytes."""
        ballast = self.folder / BALLAST
        ballast.mkdir()
        made = 0
        with contextlib.suppress(OSError):
            while True:
                (ballast / str(made)).touch()
                made += 1
        assert os.statvfs(self.folder).f_bavail > 0
        try:
            yield
        finally:
            for number in range(made):
                (ballast / str(number)).unlink()
            ballast.rmdir()

    @contextlib.contextmanager
    def read_only(self) -> Iterator[None]:
        """As an administrator makes it; not possible while a file is open for writing."""
        _run("mount", "-o", "remount,ro", str(self.folder))
        try:
            yield
        finally:
            _run("mount", "-o", "remount,rw", str(self.folder))

    def abort(self) -> None:
        """Read-only at once, as the kernel makes a disk that it found broken; only `repair` ends it."""
        _run("mount", "-o", "remount,abort", str(self.folder))
        with contextlib.suppress(OSError):
            (self.folder / BALLAST).touch()
            raise AssertionError("the disk still takes writes")

    def repair(self) -> None:
        """Checked and mounted anew, which needs that nobody uses it."""
        assert self.image is not None
        _run("umount", str(self.folder))
        checked = subprocess.run(["e2fsck", "-fy", str(self.image)], capture_output=True, text=True, check=False)
        assert checked.returncode in {0, 1}, checked.stdout
        _run("mount", "-o", "loop", str(self.image), str(self.folder))


@contextlib.contextmanager
def in_memory(folder: Path, *, mib: int = 64, inodes: int = 3_000) -> Iterator[Disk]:
    """The new *folder* is a file system of *mib* MiB and *inodes* files."""
    folder.mkdir(parents=True)
    with _mounted(folder, "-t", "tmpfs", "-o", f"size={mib}m,nr_inodes={inodes}", "none"):
        yield Disk(folder)


@contextlib.contextmanager
def on_a_device(folder: Path, image: Path, *, mib: int = 64) -> Iterator[Disk]:
    """The new *folder* is an ext4 of *mib* MiB in the new file *image*."""
    folder.mkdir(parents=True)
    with image.open("wb") as file:
        file.truncate(mib << 20)
    _run(require_program("mkfs.ext4"), "-q", str(image))
    with _mounted(folder, "-o", "loop", str(image)):
        yield Disk(folder, image)


@contextlib.contextmanager
def system_call_fails(pids: Sequence[int], call: str, error: int, log: Path) -> Iterator[None]:
    """In the processes *pids*, with all their threads, each *call* ends with *error*, until the end."""
    injected = f"inject={call}:error={errno.errorcode[error]}"
    attached = [part for pid in pids for part in ("-p", str(pid))]
    command = [
        require_program("strace"),
        "-f",
        "-qqq",
        "-e",
        f"trace={call}",
        "-e",
        injected,
        "-o",
        str(log),
        *attached,
    ]
    tracer = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE)
    try:
        deadline = time.monotonic() + READY_SECONDS
        while not all(_is_traced(pid) for pid in pids):
            if tracer.poll() is not None or time.monotonic() > deadline:
                tracer.kill()
                _, said = tracer.communicate()
                missing(f"strace can't attach: {said.decode()}")
            time.sleep(POLL_SECONDS)
        yield
    finally:
        tracer.terminate()
        tracer.communicate()


def _is_traced(pid: int) -> bool:
    tasks = Path(f"/proc/{pid}/task").glob("*/status")
    return all("\nTracerPid:\t0\n" not in task.read_text() for task in tasks)


@contextlib.contextmanager
def _mounted(folder: Path, *arguments: str) -> Iterator[None]:
    if os.geteuid() != 0:
        missing("only root mounts file systems")
    done = subprocess.run(["mount", *arguments, str(folder)], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        missing(f"no file system can be mounted here: {done.stderr.strip()}")
    try:
        yield
    finally:
        _run("umount", "--lazy", str(folder))


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
