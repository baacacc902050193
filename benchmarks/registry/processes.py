"""What a server's processes use: CPU seconds and the peak of resident memory, read from /proc. Spec: proc(5)."""

import contextlib
import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Self

TICK: Final = os.sysconf("SC_CLK_TCK")
SAMPLE_SECONDS: Final = 0.25
IDLE_WINDOW_SECONDS: Final = 0.4
SETTLED_SECONDS: Final = 180
IDLE_CPU: Final = 0.08
"""A group that uses less than this share of one core over the window has nothing left to do."""

Role = Callable[[str, bool], str]
"""Names a process by its command line, and by whether it has children of the same command."""


@dataclass(frozen=True, slots=True)
class Process:
    """A live process: *cpu* seconds of its own, *reaped* of its ended children; *peak* resident bytes."""

    pid: int
    parent: int
    command: str
    cpu: float
    reaped: float
    peak: int


def everyone() -> dict[int, Process]:
    """All live processes, by id."""
    found = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdecimal():
            with contextlib.suppress(OSError, IndexError, ValueError):  # it may end while we look
                found[int(folder.name)] = _read(folder)
    return found


def _read(folder: Path) -> Process:
    fields = (folder / "stat").read_text().rpartition(")")[2].split()
    user, system, child_user, child_system = (int(value) / TICK for value in fields[11:15])
    peak = 0
    for line in (folder / "status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            peak = int(line.split()[1]) * 1024
    command = (folder / "cmdline").read_text().replace("\0", " ").strip()
    return Process(int(folder.name), int(fields[1]), command, user + system, child_user + child_system, peak)


@dataclass(slots=True)
class Group:
    """The process *root* and all its descendants; *role* sorts them. Without a root it is empty: a foreign server."""

    root: int | None
    role: Role
    _peaks: dict[str, int] = field(default_factory=dict)
    _stop: threading.Event = field(default_factory=threading.Event)
    _sampler: threading.Thread | None = None

    def members(self) -> list[Process]:
        """Those that live now."""
        known = everyone()
        inside: list[Process] = []
        wanted = {self.root}
        while wanted:
            found = [process for pid, process in known.items() if pid in wanted and process not in inside]
            inside += found
            wanted = {pid for pid, process in known.items() if process.parent in {each.pid for each in found}}
        return inside

    def cpu(self) -> dict[str, float]:
        """CPU seconds so far by role, those of ended processes too: they are in their parent's account."""
        members = self.members()
        used: dict[str, float] = {}
        for process in members:
            name = self._name(process, members)
            used[name] = used.get(name, 0.0) + process.cpu + process.reaped
        return used

    def __enter__(self) -> Self:
        """From now on peaks are watched; those of before are forgotten."""
        self._peaks = {}
        for process in self.members():
            with contextlib.suppress(OSError):
                Path(f"/proc/{process.pid}/clear_refs").write_text("5")
        self._stop.clear()
        self._sampler = threading.Thread(target=self._sample, daemon=True)
        self._sampler.start()
        return self

    def __exit__(self, *failure: object) -> None:
        self._stop.set()
        if self._sampler is not None:
            self._sampler.join()
        self._look()

    def peaks(self) -> Mapping[str, int]:
        """The largest resident memory of a process, in bytes, by role, seen while it was watched."""
        return dict(self._peaks)

    def _sample(self) -> None:
        while not self._stop.wait(SAMPLE_SECONDS):
            self._look()

    def _look(self) -> None:
        members = self.members()
        for process in members:
            name = self._name(process, members)
            self._peaks[name] = max(self._peaks.get(name, 0), process.peak)

    def _name(self, process: Process, members: list[Process]) -> str:
        return self.role(process.command, any(child.parent == process.pid for child in members))


def settle(groups: Sequence[Group]) -> None:
    """Waits until none of *groups* has anything left to do, such as scans or its log; at most three minutes."""
    deadline = time.monotonic() + SETTLED_SECONDS
    while time.monotonic() < deadline:
        before = [sum(group.cpu().values()) for group in groups]
        time.sleep(IDLE_WINDOW_SECONDS)
        after = [sum(group.cpu().values()) for group in groups]
        if all(now - then <= IDLE_CPU * IDLE_WINDOW_SECONDS for then, now in zip(before, after, strict=True)):
            return


def machine_cpu() -> tuple[float, float]:
    """Busy and idle CPU seconds of the whole machine since it started. Stolen time counts as busy."""
    fields = [int(value) / TICK for value in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
    idle = fields[3] + fields[4]
    return sum(fields) - idle, idle


def swapped() -> int:
    """Pages that were swapped in or out since the machine started."""
    lines = Path("/proc/vmstat").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith(("pswpin ", "pswpout ")))
