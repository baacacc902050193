"""The web role: granian's main process with its workers, and how they stop.

At SIGTERM `/readyz` answers 503 while requests are still taken (`server.drain`: load balancers look away); then the
workers stop accepting, close idle connections, finish open requests (`server.body_drain`) and end. A second SIGTERM
skips the first part. Measured with granian 2.8: the shutdown of the ASGI lifespan comes after the last open
connection, but a coroutine that goes on after its response is complete is dropped, not waited for. A worker that has
just started loses a SIGTERM (9 of 14 did), and would then be waited for until it is killed: so it is sent again.
"""

import mmap
import multiprocessing
import signal
import threading
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from math import ceil
from types import FrameType
from typing import Final

from granian.constants import HTTPModes, Interfaces, Loops
from granian.http import HTTP1Settings
from granian.server import MPServer

from entrepot.runtime.lifeline import Lifeline

CONNECTIONS: Final = 16_384
"""Open connections per worker, idle ones too: granian accepts no more than its `backpressure`."""

IDLE_TIMEOUT_MS: Final = 75_000
"""Until the headers of a connection's first or next request are whole: granian has one limit for both."""

INSIST_SECONDS: Final = 0.5
"""How often a worker that has not ended is told to end."""

HEADER_BYTES: Final = 32 * 1_024
"""The buffer for request line and headers. It is no exact limit: 40 KB still passed, so the middleware counts."""

LOG_CONFIG: Final = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {},
    "handlers": {},
    "loggers": {"_granian": {"handlers": [], "propagate": True}},
}
"""granian's lines go to the root logger, which writes them as ours (`runtime/telemetry/logs.py`)."""


class Draining:
    """Whether the server is about to stop, seen by all its workers: one byte of memory that they share by fork."""

    def __init__(self) -> None:
        self._byte = mmap.mmap(-1, 1)

    def __call__(self) -> bool:
        """True from the moment the server was told to stop: `/readyz` then answers 503."""
        return self._byte[0] == 1

    def begin(self) -> None:
        """The server was told to stop."""
        self._byte[0] = 1


@dataclass(frozen=True, slots=True)
class WebServer:
    """What one web role needs to run.

    load: makes the ASGI application; called in each worker, after the fork, so it may capture anything.
    lifeline: what each worker holds on to besides its parent, who holds it already; None without a supervisor.
    """

    load: Callable[[], Callable[..., Awaitable[None]]]
    host: str
    port: int
    workers: int
    drain: timedelta
    body_drain: timedelta
    draining: Draining
    lifeline: Lifeline | None

    def run(self) -> None:
        """Serves until SIGTERM or SIGINT. Raises SystemExit(1) if workers crash one after the other."""
        # Workers must inherit the lifeline and the draining byte, and `load` need not be picklable.
        multiprocessing.set_start_method("fork", force=True)
        server = MPServer(
            "entrepot.web",
            address=self.host,
            port=self.port,
            interface=Interfaces.ASGI,
            workers=self.workers,
            loop=Loops.uvloop,
            http=HTTPModes.http1,
            websockets=False,
            backpressure=CONNECTIONS,
            http1_settings=HTTP1Settings(header_read_timeout=IDLE_TIMEOUT_MS, max_buffer_size=HEADER_BYTES),
            log_dictconfig=LOG_CONFIG,
            respawn_failed_workers=True,
            workers_kill_timeout=max(1, ceil(self.body_drain.total_seconds())),
        )
        server.on_startup(lambda: self._take_signals(server))
        server.serve(target_loader=self._load_in_worker, wrap_loader=False)

    def _take_signals(self, server: MPServer) -> None:
        """Puts the drain before granian's own stop, which its handlers, set just before this, would begin at once."""
        interrupt: Callable[[], None] = server.signal_handler_interrupt

        def end() -> None:
            interrupt()
            threading.Thread(target=_insist, args=(server,), name="insist", daemon=True).start()

        def stop(_number: int, _frame: FrameType | None) -> None:
            if self.draining():
                end()
                return
            self.draining.begin()
            timer = threading.Timer(self.drain.total_seconds(), end)
            timer.daemon = True
            timer.start()

        signal.signal(signal.SIGTERM, stop)
        signal.signal(signal.SIGINT, stop)
        # granian would replace its workers; nothing of ours changes by that yet.
        signal.signal(signal.SIGHUP, lambda _number, _frame: None)

    def _load_in_worker(self) -> Callable[..., Awaitable[None]]:
        # Until granian's loop takes them, a signal must end the worker, not begin the drain of its parent.
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        if self.lifeline:
            self.lifeline.hold()
        return self.load()


def _insist(server: MPServer) -> None:
    """Tells every worker to end, again and again, until this process ends; one that has heard it takes no harm."""
    while True:
        time.sleep(INSIST_SECONDS)
        for worker in tuple(server.wrks):
            terminate: Callable[[], None] = worker.terminate
            terminate()
