"""Child processes that read layers: one each, forked when it is needed, never outliving this process.

One process that has imported everything (`child.py`) stands by; what one call does is send it the layer's descriptor
with a channel, have it fork, and wait on the channel for the answer. A fork takes a millisecond where the start of an
interpreter takes seventy. What happens to a child happens to one layer only: it is killed when its time is up, when
it says too much, and when the caller leaves.
"""

import asyncio
import contextlib
import os
import signal
import socket
import stat
import sys
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import BinaryIO, Final, Self

import msgspec

from entrepot.oci.digest import Digest
from entrepot.scanning.errors import AnalyserError
from entrepot.scanning.layers.child import GO, Request
from entrepot.scanning.layers.limits import MIB, LayerLimits
from entrepot.scanning.model import LayerFacts

CHILD: Final = "entrepot.scanning.layers.child"
ATTEMPTS: Final = 2
PIECE_BYTES: Final = 256 << 10
CANCEL_CHECK: Final = timedelta(milliseconds=500)
INLINE_BYTES: Final = 64 << 10  # a larger answer is decoded off the event loop
NICE: Final = 10
"""How far a child stands back behind pushes and pulls: under full load it gets a tenth of a web process's time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolLimits:
    """Limits of a child from outside. wall, wall_per_100_mb, most_wall: its time, by the layer's size.

    output_bytes: of an answer.
    """

    wall: timedelta = timedelta(seconds=60)
    wall_per_100_mb: timedelta = timedelta(seconds=2)
    most_wall: timedelta = timedelta(minutes=10)
    output_bytes: int = 64 * MIB

    def time_for(self, size: int) -> timedelta:
        """How long a layer of *size* bytes may take."""
        return min(self.most_wall, self.wall + self.wall_per_100_mb * (size / 100e6))


def never() -> bool:
    """Nobody cancels."""
    return False


@dataclass(slots=True)
class _Forker:
    """The process that forks, and our end of the socket to it."""

    process: Process
    channel: socket.socket


@dataclass(slots=True)
class LayerPool:
    """Reads layers in children. Use it as a context manager, from one event loop's main thread.

    The process that forks ends with the thread that started it (PR_SET_PDEATHSIG), which is that thread, and all
    children end with it.
    """

    limits: PoolLimits = field(default_factory=PoolLimits)
    layer_limits: LayerLimits = field(default_factory=LayerLimits)
    _forker: _Forker | None = None
    _busy: set[int] = field(default_factory=set)
    _starting: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def __aenter__(self) -> Self:
        await self._ready()
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._forker is not None:
            await _end(self._forker)
            self._forker = None

    @property
    def forker(self) -> int:
        """The id of the process that forks; 0: none is there."""
        return self._forker.process.pid if self._forker is not None else 0

    @property
    def busy(self) -> frozenset[int]:
        """Descriptors (pidfd) of the children that are reading a layer now."""
        return frozenset(self._busy)

    async def analyse(
        self, source: BinaryIO | int, digest: Digest, size: int, cancelled: Callable[[], bool] = never
    ) -> LayerFacts:
        """The facts of the layer *digest*, *size* bytes, that *source*, a regular file or its descriptor, holds.

        The file is opened anew, read-only and from its start: *source* itself is not moved, and may be closed
        afterwards. A child that fails is followed by a second; then AnalyserError with `crash`, `timeout` or
        `output`. With `cancelled` when *cancelled*, asked twice a second, says so. A task that is cancelled takes
        its child with it.
        """
        descriptor = source if isinstance(source, int) else source.fileno()
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise ValueError("a layer is read from a regular file")
        request = msgspec.msgpack.encode(Request(str(digest), size, self.layer_limits))
        failure = AnalyserError("the layer was not read", "crash")
        for _ in range(ATTEMPTS):
            try:
                async with asyncio.timeout(self.limits.time_for(size).total_seconds()):
                    async with self._child(descriptor, request) as output:
                        answer = await self._answer(output, cancelled)
                return await _decoded(answer)
            except TimeoutError:
                failure = AnalyserError("reading the layer took too long", "timeout")
            except AnalyserError as error:
                failure = error
                if error.reason == "cancelled":
                    break
        raise failure

    @asynccontextmanager
    async def _child(self, descriptor: int, request: bytes) -> AsyncIterator[asyncio.StreamReader]:
        """What a child that has *request* answers; afterwards the child is no more, whatever it does."""
        ours, theirs = socket.socketpair()
        with ours:
            ours.setblocking(False)
            with theirs:
                await self._send(request, descriptor, theirs.fileno())
            child = await _taken(ours)
            self._busy.add(child)
            try:
                with contextlib.suppress(OSError):  # it is gone: that shows when its answer is read
                    ours.send(GO)
                output, writer = await asyncio.open_unix_connection(sock=ours)
                try:
                    yield output
                finally:
                    writer.close()
            finally:
                self._busy.discard(child)
                with contextlib.suppress(ProcessLookupError):
                    signal.pidfd_send_signal(child, signal.SIGKILL)
                os.close(child)

    async def _send(self, request: bytes, descriptor: int, channel: int) -> None:
        """Hands *request* over with the file behind *descriptor*, opened anew: read-only, with its own position.

        A process that forks and died while nobody looked is no failure of this layer: another one is started, once.
        """
        layer = os.open(f"/proc/self/fd/{descriptor}", os.O_RDONLY | os.O_CLOEXEC)
        try:
            for is_last in (False, True):
                forker = await self._ready()
                try:
                    socket.send_fds(forker.channel, [request], [layer, channel])
                except OSError as error:
                    if is_last:
                        raise AnalyserError("the analyser does not start", "crash") from error
                    await self._replace(forker)
                else:
                    return
        finally:
            os.close(layer)

    async def _ready(self) -> _Forker:
        async with self._starting:
            if self._forker is None:
                self._forker = await _start()
            return self._forker

    async def _replace(self, dead: _Forker) -> None:
        async with self._starting:
            if self._forker is dead:
                self._forker = None
                await _end(dead)

    async def _answer(self, output: asyncio.StreamReader, cancelled: Callable[[], bool]) -> bytearray:
        answer = bytearray()
        while piece := await _piece(output, cancelled):
            answer += piece
            if len(answer) > self.limits.output_bytes:
                raise AnalyserError("the analyser's answer is too long", "output")
        if not answer:
            raise AnalyserError("the analyser ended without an answer", "crash")
        return answer


async def _start() -> _Forker:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with contextlib.ExitStack() as on_failure, theirs:
        on_failure.enter_context(ours)
        # -I and no environment: neither the folder we stand in nor a variable chooses what is imported. A group of
        # its own: the terminal's interrupt is for this process, which then ends its children. No session of its
        # own: where the kernel shares cores out by session, it would get as much as all web processes.
        command = (sys.executable, "-I", "-m", CHILD, str(os.getpid()))
        try:
            process = await asyncio.create_subprocess_exec(*command, stdin=theirs.fileno(), env={}, process_group=0)
        except OSError as error:
            raise AnalyserError("the analyser does not start", "crash") from error
        with contextlib.suppress(ProcessLookupError):
            os.setpriority(os.PRIO_PROCESS, process.pid, NICE)
        on_failure.pop_all()
        return _Forker(process, ours)


async def _end(forker: _Forker) -> None:
    """Ends the process that forks, and so its children."""
    forker.channel.close()
    with contextlib.suppress(ProcessLookupError):
        forker.process.kill()
    await forker.process.wait()


async def _taken(channel: socket.socket) -> int:
    """The descriptor of the child that has taken the request. Raises AnalyserError: there is none."""
    loop, readable = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(channel, readable.set)
    try:
        await readable.wait()
    finally:
        loop.remove_reader(channel)
    try:
        _, descriptors, _, _ = socket.recv_fds(channel, 1, 1)
    except OSError:
        descriptors = []
    if not descriptors:
        raise AnalyserError("the analyser does not start", "crash")
    os.set_inheritable(descriptors[0], False)
    return descriptors[0]


async def _piece(output: asyncio.StreamReader, cancelled: Callable[[], bool]) -> bytes:
    """The next part of an answer; none at its end."""
    while True:
        if cancelled():
            raise AnalyserError("reading the layer was cancelled", "cancelled")
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CANCEL_CHECK.total_seconds()):
                try:
                    return await output.read(PIECE_BYTES)
                except ConnectionResetError as error:  # it was killed before it had read its request
                    raise AnalyserError("the analyser ended without an answer", "crash") from error


async def _decoded(answer: bytearray) -> LayerFacts:
    try:
        if len(answer) <= INLINE_BYTES:
            return msgspec.msgpack.decode(answer, type=LayerFacts)
        return await asyncio.to_thread(msgspec.msgpack.decode, answer, type=LayerFacts)
    except msgspec.DecodeError as error:
        raise AnalyserError("the analyser's answer is broken", "crash") from error
