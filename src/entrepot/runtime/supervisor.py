"""The parent of all processes of one server: starts them, restarts what crashes, ends all together.

It knows nothing of a registry. Each child is a command that ends at SIGTERM and exits by itself when its standard
input ends (`runtime/lifeline.py`): so nothing outlives the supervisor, however it dies. Each child leads a process
group of its own: a Ctrl-C on the terminal reaches the supervisor alone, which then stops all in order, and what a
dead child leaves behind in its group is killed before it is started again.
"""

import asyncio
import os
import signal
from asyncio.subprocess import Process
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

import structlog

log = structlog.get_logger()

FIRST_PAUSE_SECONDS: Final = 0.5
LAST_PAUSE_SECONDS: Final = 30.0
STEADY_SECONDS: Final = 60.0
"""A child that ran this long starts again with the first pause; crashes older than this are forgotten."""

CRASHES: Final = 5
"""So many within STEADY_SECONDS, of all children together, end the server."""


@dataclass(frozen=True, slots=True)
class Child:
    """A process that is to run as long as the server: a *name* for the log, and the command with its arguments."""

    name: str
    command: tuple[str, ...]


class Supervisor:
    """Keeps *children* running until it is told to stop.

    patience: how long they may take to end after SIGTERM; then they are killed.
    inherited: descriptors that the children keep open.
    """

    def __init__(self, children: Sequence[Child], patience: timedelta, inherited: Sequence[int] = ()) -> None:
        self._children = tuple(children)
        self._patience = patience
        self._inherited = tuple(inherited)
        self._stop = asyncio.Event()
        self._running: dict[str, Process] = {}
        self._crashes: deque[float] = deque(maxlen=CRASHES)
        self._failed = False

    async def run(self) -> int:
        """Runs all children until SIGTERM or SIGINT, or until too many have crashed; then ends them.

        Gives the exit status: 0 after a signal, 1 after crashes. A second signal does not wait any longer.
        """
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stop)
        loop.add_signal_handler(signal.SIGHUP, log.info, "supervisor.hangup_ignored")
        lifeline, held = os.pipe()
        try:
            async with asyncio.TaskGroup() as group:
                for child in self._children:
                    group.create_task(self._keep(child, lifeline))
        finally:
            for process in self._running.values():
                _signal_group(process, signal.SIGKILL)
            os.close(lifeline)
            os.close(held)
        return int(self._failed)

    def stop(self) -> None:
        """Tells every child to end; called again, kills them."""
        if self._stop.is_set():
            self._kill()
            return
        log.info("supervisor.stopping", patience_seconds=self._patience.total_seconds())
        self._stop.set()
        for process in self._running.values():
            _terminate(process)
        asyncio.get_running_loop().call_later(self._patience.total_seconds(), self._kill)

    def _kill(self) -> None:
        for name, process in self._running.items():
            log.warning("child.killed", child=name, pid=process.pid)
            _signal_group(process, signal.SIGKILL)

    async def _keep(self, child: Child, lifeline: int) -> None:
        loop = asyncio.get_running_loop()
        pause = FIRST_PAUSE_SECONDS
        while not self._stop.is_set():
            started = loop.time()
            process = await asyncio.create_subprocess_exec(
                *child.command, stdin=lifeline, pass_fds=self._inherited, process_group=0
            )
            self._running[child.name] = process
            log.info("child.started", child=child.name, pid=process.pid)
            if self._stop.is_set():
                _terminate(process)
            status = await process.wait()
            del self._running[child.name]
            _signal_group(process, signal.SIGKILL)
            if self._stop.is_set():
                log.info("child.ended", child=child.name, pid=process.pid, status=status)
                return
            if loop.time() - started > STEADY_SECONDS:
                pause = FIRST_PAUSE_SECONDS
            log.error("child.crashed", child=child.name, pid=process.pid, status=status, pause_seconds=pause)
            if self._too_many_crashes(loop.time()):
                log.error("supervisor.gave_up", crashes=CRASHES, seconds=STEADY_SECONDS)
                self._failed = True
                self.stop()
                return
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stop.wait(), pause)
            pause = min(pause * 2, LAST_PAUSE_SECONDS)

    def _too_many_crashes(self, now: float) -> bool:
        self._crashes.append(now)
        return len(self._crashes) == CRASHES and now - self._crashes[0] < STEADY_SECONDS


def _terminate(process: Process) -> None:
    """SIGTERM to the child alone: it tells its own children when to end."""
    with suppress(ProcessLookupError):
        process.terminate()


def _signal_group(process: Process, number: signal.Signals) -> None:
    """Sends a signal to whatever is left of the child's group."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)
