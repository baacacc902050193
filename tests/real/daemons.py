"""Servers that tests start beside ours: they end with this process, however that ends."""

import contextlib
import os
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

READY_SECONDS: Final = 20
STOP_SECONDS: Final = 20
POLL_SECONDS: Final = 0.02


@contextlib.contextmanager
def daemon(
    command: Sequence[str], log: Path, is_ready: Callable[[], bool], environment: Mapping[str, str] | None = None
) -> Iterator[int]:
    """The process id of *command*, once *is_ready*; output goes to *log*. It is asked to end, and must, at the end.

    Fails with the end of the log where it is not ready within 20 s, or ends before.
    """
    with log.open("ab") as output:
        process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", "--", *command],
            env={"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", **(environment or {})},
            cwd=log.parent,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
    try:
        deadline = time.monotonic() + READY_SECONDS
        while not is_ready():
            if process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(f"{command[0]}: {process.poll()}\n{log.read_text(errors='replace')[-4000:]}")
            time.sleep(POLL_SECONDS)
        yield process.pid
    finally:
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        finally:
            process.kill()
            process.wait()


def listens(port: int) -> bool:
    """Whether something answers at *port* of the loopback address."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def free_port() -> int:
    """A port of the loopback address that nothing uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
