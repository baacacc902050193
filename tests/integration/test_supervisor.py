"""The supervisor with real children: how they end with it, are restarted, and are stopped in order."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import pytest

from entrepot.runtime.exclusive import AddressInUseError, FolderInUseError, lock_folder, reserve_port

SECONDS: Final = 15.0
GONE_SECONDS: Final = 5.0

PARENT: Final = """
import asyncio, json, sys
from datetime import timedelta
from pathlib import Path
from entrepot.runtime import supervisor
from entrepot.runtime.exclusive import lock_folder
from entrepot.runtime.telemetry import logs

folder, patience, children = Path(sys.argv[1]), float(sys.argv[2]), json.loads(sys.argv[4])
supervisor.FIRST_PAUSE_SECONDS = float(sys.argv[3])
logs.configure("info")

async def run(lock):
    kept = [supervisor.Child(name, (sys.executable, "-c", text, str(folder))) for name, text in children.items()]
    return await supervisor.Supervisor(kept, timedelta(seconds=patience), inherited=(lock,)).run()

with lock_folder(folder) as lock:
    sys.exit(asyncio.run(run(lock)))
"""

BEGIN: Final = """
import os, signal, sys, threading, time
from pathlib import Path
from entrepot.runtime.lifeline import Lifeline
line = Lifeline.take_stdin()
line.hold()
folder = Path(sys.argv[1])
(folder / f"pid-{os.getpid()}").touch()
"""
WAIT: Final = BEGIN + "threading.Event().wait()"
DEAF: Final = (
    BEGIN + "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n(folder / 'deaf').touch()\nthreading.Event().wait()"
)
FORK: Final = BEGIN + (
    "import multiprocessing\n"
    "def child():\n"
    "    line.hold()\n"
    "    (folder / f'pid-{os.getpid()}').touch()\n"
    "    threading.Event().wait()\n"
    "multiprocessing.get_context('fork').Process(target=child).start()\n"
    "threading.Event().wait()"
)
LEAVE: Final = BEGIN + (
    "if os.fork() == 0:\n    (folder / f'pid-{os.getpid()}').touch()\n    time.sleep(1000)\nthreading.Event().wait()"
)
FINISH: Final = BEGIN + (
    "def finish(number, frame):\n"
    "    time.sleep(0.5)\n"
    "    (folder / 'finished').touch()\n"
    "    os._exit(0)\n"
    "signal.signal(signal.SIGTERM, finish)\n"
    "(folder / 'listening').touch()\n"
    "while True: time.sleep(1)"
)
SLOW: Final = """
import os, sys, time
from pathlib import Path
(Path(sys.argv[1]) / f"pid-{os.getpid()}").touch()
sys.stdin.read()
time.sleep(1)
"""
CRASH: Final = BEGIN + "sys.exit(3)"


@dataclass
class Parent:
    """A supervisor process over *children* (name -> program), and what they leave in *folder*."""

    folder: Path
    children: dict[str, str]
    patience: float = 5.0
    first_pause: float = 0.5
    process: subprocess.Popen[str] = field(init=False)

    def start(self) -> None:
        arguments = [str(self.folder), str(self.patience), str(self.first_pause), json.dumps(self.children)]
        self.process = subprocess.Popen([sys.executable, "-c", PARENT, *arguments], stderr=subprocess.PIPE, text=True)

    @property
    def pids(self) -> list[int]:
        """Every process below the supervisor that has said it began, dead or alive."""
        return [int(path.name[4:]) for path in self.folder.glob("pid-*")]

    @property
    def alive(self) -> list[int]:
        return [pid for pid in self.pids if lives(pid)]

    def log(self) -> list[dict[str, object]]:
        """The events, once it has ended."""
        assert self.process.stderr
        return [json.loads(line) for line in self.process.stderr.read().splitlines() if line.startswith("{")]


def lives(pid: int) -> bool:
    """Whether the process runs; one that only waits to be collected does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def until(claim: Callable[[], object], seconds: float = SECONDS) -> float:
    """Waits until *claim* holds; gives the seconds it took."""
    begun = time.monotonic()
    while not claim():
        assert time.monotonic() - begun < seconds, "it never came"
        time.sleep(0.01)
    return time.monotonic() - begun


@pytest.fixture
def begin(tmp_path: Path) -> Iterator[Callable[..., Parent]]:
    parents: list[Parent] = []

    def started(patience: float = 5.0, first_pause: float = 0.5, **children: str) -> Parent:
        parent = Parent(tmp_path, children, patience, first_pause)
        parent.start()
        parents.append(parent)
        return parent

    yield started
    for parent in parents:
        parent.process.kill()
        parent.process.wait()
        if parent.process.stderr:
            parent.process.stderr.close()
        for pid in parent.alive:
            os.kill(pid, signal.SIGKILL)


def test_no_child_outlives_a_killed_parent(begin: Callable[..., Parent]) -> None:
    parent = begin(a=WAIT, b=DEAF, c=FORK)
    until(lambda: len(parent.alive) == 4 and (parent.folder / "deaf").exists())

    parent.process.kill()
    took = until(lambda: not parent.alive, GONE_SECONDS)

    print(f"4 processes gone {took * 1000:.0f} ms after kill -9 of their parent")


def test_the_folder_is_free_again_when_the_last_child_of_a_killed_parent_is_gone(begin: Callable[..., Parent]) -> None:
    parent = begin(a=SLOW)
    until(lambda: parent.alive)

    parent.process.kill()
    parent.process.wait()

    with lock_folder(parent.folder):
        assert parent.alive == []


def test_a_second_server_on_the_folder_is_refused_and_told_who_has_it(begin: Callable[..., Parent]) -> None:
    parent = begin(a=WAIT)
    until(lambda: parent.alive)

    with (
        pytest.raises(FolderInUseError, match=f"in use by process {parent.process.pid}"),
        lock_folder(parent.folder),
    ):
        pass

    assert parent.alive


def test_a_stop_waits_for_what_a_child_finishes(begin: Callable[..., Parent]) -> None:
    parent = begin(a=FINISH, b=WAIT)
    until(lambda: (parent.folder / "listening").exists() and len(parent.alive) == 2)

    parent.process.terminate()

    assert parent.process.wait(SECONDS) == 0
    assert (parent.folder / "finished").exists()
    assert parent.alive == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_what_does_not_end_in_time_is_killed(begin: Callable[..., Parent], number: signal.Signals) -> None:
    parent = begin(patience=1, a=DEAF)
    until((parent.folder / "deaf").exists)

    begun = time.monotonic()
    parent.process.send_signal(number)
    status = parent.process.wait(SECONDS)

    assert status == 0
    assert 1 <= time.monotonic() - begun < 4
    assert parent.alive == []


def test_a_second_signal_does_not_wait(begin: Callable[..., Parent]) -> None:
    parent = begin(patience=1000, a=DEAF)
    until((parent.folder / "deaf").exists)

    parent.process.terminate()
    until(lambda: parent.process.stderr and "supervisor.stopping" in parent.process.stderr.readline())
    parent.process.terminate()

    assert parent.process.wait(SECONDS) == 0
    assert parent.alive == []


def test_a_hangup_changes_nothing(begin: Callable[..., Parent]) -> None:
    parent = begin(a=WAIT)
    until(lambda: parent.alive)

    parent.process.send_signal(signal.SIGHUP)
    until(lambda: parent.process.stderr and "hangup_ignored" in parent.process.stderr.readline())

    assert parent.process.poll() is None
    assert len(parent.alive) == 1


def test_a_killed_child_starts_again_and_leaves_nothing_behind(begin: Callable[..., Parent]) -> None:
    parent = begin(a=LEAVE, b=WAIT)
    until(lambda: len(parent.alive) == 3)
    before = set(parent.alive)
    leader = next(pid for pid in before if os.getpgid(pid) == pid and any(os.getpgid(o) == pid != o for o in before))

    os.kill(leader, signal.SIGKILL)
    until(lambda: len(set(parent.alive) - before) == 2)

    assert len(set(parent.alive) & before) == 1


def test_the_pause_before_each_restart_doubles(begin: Callable[..., Parent]) -> None:
    parent = begin(first_pause=0.05, a=CRASH)

    status = parent.process.wait(SECONDS)
    pauses = [event["pause_seconds"] for event in parent.log() if event["event"] == "child.crashed"]

    assert status == 1
    assert pauses == [0.05, 0.1, 0.2, 0.4, 0.8]


def test_too_many_crashes_end_all_children_with_status_1(begin: Callable[..., Parent]) -> None:
    parent = begin(first_pause=0.01, a=CRASH, b=WAIT)

    status = parent.process.wait(SECONDS)

    assert status == 1
    assert parent.alive == []
    assert len(parent.pids) == 6
    assert "supervisor.gave_up" in [event["event"] for event in parent.log()]


def test_a_port_that_somebody_shares_is_refused() -> None:
    with socket.socket() as theirs:
        theirs.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        theirs.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        theirs.bind(("127.0.0.1", 0))
        theirs.listen()
        port = theirs.getsockname()[1]

        with pytest.raises(AddressInUseError, match=rf"127\.0\.0\.1:{port}: address already in use.*server\.listen"):
            reserve_port("127.0.0.1", port)


def test_a_reserved_port_is_refused_to_a_second_server_and_free_for_our_own_workers() -> None:
    with reserve_port("127.0.0.1", 0) as reserved, socket.socket() as worker:
        port = reserved.getsockname()[1]
        with pytest.raises(AddressInUseError):
            reserve_port("127.0.0.1", port)
        worker.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        worker.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        worker.bind(("127.0.0.1", port))
        worker.listen()

        with socket.create_connection(("127.0.0.1", port), 1):
            worker.accept()[0].close()

    # Closed connections of the last server linger on the port; they do not count.
    reserve_port("127.0.0.1", port).close()
