"""The web role: granian's main process with its workers, and how they stop.

At SIGTERM `/readyz` answers 503 while requests are still taken (`server.drain`: load balancers look away); then the
workers stop accepting, close idle connections, finish open requests (`server.body_drain`) and end. A second SIGTERM
skips the first part. Measured with granian 2.8: the shutdown of the ASGI lifespan comes after the last open
connection, but a coroutine that goes on after its response is complete is dropped, not waited for. A worker that has
just started loses a SIGTERM (9 of 14 did) and is then waited for until it is killed; so is one that is told again while
it finishes its requests. So each is told once, and hears it when it is able to.
"""

import asyncio
import ctypes
import gc
import mmap
import multiprocessing
import os
import signal
import threading
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from math import ceil
from types import FrameType
from typing import Final

from granian.constants import HTTPModes, Interfaces, Loops
from granian.http import HTTP1Settings
from granian.server import MPServer

from entrepot.runtime.lifeline import Lifeline

STOPS: Final = (signal.SIGTERM, signal.SIGINT)

SETTLE_SECONDS: Final = 0.5
"""How long after it is loaded a worker hears these signals: by then its loop runs, and granian listens."""

M_ARENA_MAX: Final = -8
"""mallopt's number for it. Spec: malloc.h of the GNU C library."""

ARENAS: Final = 2

BUFFER_BYTES: Final = 128 * 1_024
"""A connection's buffer at its largest. It bounds the pieces in which a body reaches us (400 MB came in 0.7 s in pieces
of 32 KiB, in 0.4 s in pieces of 128), and the request line and headers, whose exact limits `limits/head.py` keeps.
"""

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

    idle: until the headers of a connection's first or next request are whole (granian has one limit for both);
    connections: per worker, idle ones too: granian accepts no more than its `backpressure`.
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
    idle: timedelta = timedelta(seconds=75)
    connections: int = 16_384

    def run(self) -> None:
        """Serves until SIGTERM or SIGINT. Raises SystemExit(1) if workers crash one after the other."""
        # Workers must inherit the lifeline and the draining byte, and `load` need not be picklable.
        multiprocessing.set_start_method("fork", force=True)
        # A worker is born deaf to signals: what comes meanwhile waits in the kernel until granian's loop takes it.
        os.register_at_fork(before=_block, after_in_parent=_unblock)
        server = MPServer(
            "entrepot.web",
            address=self.host,
            port=self.port,
            interface=Interfaces.ASGI,
            workers=self.workers,
            loop=Loops.uvloop,
            http=HTTPModes.http1,
            websockets=False,
            backpressure=self.connections,
            http1_settings=HTTP1Settings(
                header_read_timeout=self.idle // timedelta(milliseconds=1), max_buffer_size=BUFFER_BYTES
            ),
            log_dictconfig=LOG_CONFIG,
            respawn_failed_workers=True,
            workers_kill_timeout=max(1, ceil(self.body_drain.total_seconds())),
        )
        server.on_startup(lambda: self._take_signals(server))
        server.serve(target_loader=self._load_in_worker, wrap_loader=False)

    def _take_signals(self, server: MPServer) -> None:
        """Puts the drain before granian's own stop, which its handlers, set just before this, would begin at once."""
        end: Callable[[], None] = server.signal_handler_interrupt

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
        asyncio.get_event_loop().call_later(SETTLE_SECONDS, _unblock)
        if self.lifeline:
            self.lifeline.hold()
        _share_arenas()
        app = self.load()
        gc.collect()
        gc.freeze()  # what lives as long as the process need not be looked at again and again
        return app


def _share_arenas() -> None:
    """Threads share two of the C library's arenas: what each keeps to itself of the pieces of blobs adds up.

    Measured with `benchmarks.registry --only pull-8,pull-32`: 303 instead of 366 MB at most, and no slower.
    """
    with suppress(AttributeError):  # another C library than GNU's
        ctypes.CDLL(None).mallopt(M_ARENA_MAX, ARENAS)


def _block() -> None:
    signal.pthread_sigmask(signal.SIG_BLOCK, STOPS)


def _unblock() -> None:
    signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPS)
