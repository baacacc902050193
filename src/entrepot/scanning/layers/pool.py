"""Child processes that read layers: one each, started before they are needed, never outliving this process.

What one call does: takes a waiting child (or starts one), sends it the layer's descriptor, and waits for its answer;
meanwhile another child starts, so that the next layer does not wait for an interpreter. What happens to a child
happens to one layer only: it is killed when its time is up, when it says too much, and when the caller leaves.
"""

import asyncio
import contextlib
import os
import socket
import stat
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import BinaryIO, Final, Self

import msgspec

from entrepot.oci.digest import Digest
from entrepot.scanning.errors import AnalyserError
from entrepot.scanning.layers.child import Request
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

    spares: children that wait for work. output_bytes: of an answer.
    """

    wall: timedelta = timedelta(seconds=60)
    wall_per_100_mb: timedelta = timedelta(seconds=2)
    most_wall: timedelta = timedelta(minutes=10)
    output_bytes: int = 64 * MIB
    spares: int = 2

    def time_for(self, size: int) -> timedelta:
        """How long a layer of *size* bytes may take."""
        return min(self.most_wall, self.wall + self.wall_per_100_mb * (size / 100e6))


def never() -> bool:
    """Nobody cancels."""
    return False


@dataclass(slots=True)
class _Child:
    process: Process
    output: asyncio.StreamReader
    channel: socket.socket


@dataclass(slots=True)
class LayerPool:
    """Reads layers in children. Use it as a context manager, from one event loop's main thread.

    A child ends with the thread that started it (PR_SET_PDEATHSIG), and it is that thread.
    """

    limits: PoolLimits = field(default_factory=PoolLimits)
    layer_limits: LayerLimits = field(default_factory=LayerLimits)
    _spares: list[_Child] = field(default_factory=list)
    _busy: dict[int, _Child] = field(default_factory=dict)
    _refilling: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def __aenter__(self) -> Self:
        await self._refill()
        return self

    async def __aexit__(self, *_: object) -> None:
        while self._spares:
            await self._end(self._spares.pop())

    @property
    def busy(self) -> frozenset[int]:
        """The process ids of children that are reading a layer now."""
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
            child = await self._take(descriptor, request)
            try:
                async with asyncio.timeout(self.limits.time_for(size).total_seconds()):
                    await self._refill()
                    answer = await self._answer(child, cancelled)
                return await _decoded(answer)
            except TimeoutError:
                failure = AnalyserError("reading the layer took too long", "timeout")
            except AnalyserError as error:
                failure = error
                if error.reason == "cancelled":
                    break
            finally:
                await self._end(child)
        raise failure

    async def _take(self, descriptor: int, request: bytes) -> _Child:
        """A child that has the request. One that died while it waited is no failure of this layer."""
        while True:
            is_new = not self._spares
            child = await self._start() if is_new else self._spares.pop(0)
            self._busy[child.process.pid] = child
            try:
                _send(child, descriptor, request)
            except OSError as error:
                await self._end(child)
                if is_new:
                    raise AnalyserError("the analyser does not start", "crash") from error
            else:
                return child

    async def _refill(self) -> None:
        async with self._refilling:
            while len(self._spares) < self.limits.spares:
                self._spares.append(await self._start())

    async def _start(self) -> _Child:
        ours, theirs = socket.socketpair()
        with contextlib.ExitStack() as on_failure, theirs:
            on_failure.enter_context(ours)
            # -I and no environment: neither the folder we stand in nor a variable chooses what is imported. A group of
            # its own: the terminal's interrupt is for this process, which then ends its children. No session of its
            # own: where the kernel shares cores out by session, each child would get as much as all web processes.
            command = (sys.executable, "-I", "-m", CHILD, str(os.getpid()))
            try:
                process = await asyncio.create_subprocess_exec(
                    *command, stdin=theirs.fileno(), stdout=PIPE, env={}, process_group=0
                )
            except OSError as error:
                raise AnalyserError("the analyser does not start", "crash") from error
            with contextlib.suppress(ProcessLookupError):
                os.setpriority(os.PRIO_PROCESS, process.pid, NICE)
            if process.stdout is None:
                raise AnalyserError("the analyser has no output", "crash")
            on_failure.pop_all()
            return _Child(process, process.stdout, ours)

    async def _answer(self, child: _Child, cancelled: Callable[[], bool]) -> bytearray:
        answer = bytearray()
        while piece := await _piece(child.output, cancelled):
            answer += piece
            if len(answer) > self.limits.output_bytes:
                raise AnalyserError("the analyser's answer is too long", "output")
        status = await child.process.wait()
        if status != 0 or not answer:
            raise AnalyserError(f"the analyser ended with status {status}", "crash")
        return answer

    async def _end(self, child: _Child) -> None:
        """Ends a child, whatever it does; nothing of it is left."""
        child.channel.close()
        self._busy.pop(child.process.pid, None)
        with contextlib.suppress(ProcessLookupError):
            child.process.kill()
        await child.process.wait()


def _send(child: _Child, descriptor: int, request: bytes) -> None:
    """Hands over the request with the file behind *descriptor*, opened anew: read-only, with its own position."""
    layer = os.open(f"/proc/self/fd/{descriptor}", os.O_RDONLY | os.O_CLOEXEC)
    try:
        socket.send_fds(child.channel, [request], [layer])
    finally:
        os.close(layer)


async def _piece(output: asyncio.StreamReader, cancelled: Callable[[], bool]) -> bytes:
    """The next part of an answer; none at its end."""
    while True:
        if cancelled():
            raise AnalyserError("reading the layer was cancelled", "cancelled")
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CANCEL_CHECK.total_seconds()):
                return await output.read(PIECE_BYTES)


async def _decoded(answer: bytearray) -> LayerFacts:
    try:
        if len(answer) <= INLINE_BYTES:
            return msgspec.msgpack.decode(answer, type=LayerFacts)
        return await asyncio.to_thread(msgspec.msgpack.decode, answer, type=LayerFacts)
    except msgspec.DecodeError as error:
        raise AnalyserError("the analyser's answer is broken", "crash") from error
