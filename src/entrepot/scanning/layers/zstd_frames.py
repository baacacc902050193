"""Follows zstd frames without decompressing them, to know whether the stream is whole, and its windows.

The decompressor can't say either in time: at the end of its input it only stops giving bytes, and it takes its
window before it tells. Format: RFC 8878, sections 3.1.1 and 3.1.2.
"""

from collections.abc import Generator
from typing import Final

from entrepot.scanning.layers.limits import CutError

FRAME_MAGIC: Final = 0xFD2FB528
SKIPPABLE_MAGIC: Final = 0x184D2A50
RLE_BLOCK: Final = 1
RESERVED_BLOCK: Final = 3


class ZstdFrames:
    """Fed with a stream's bytes. is_whole: whether they end where a frame ends."""

    def __init__(self, window_bytes: int) -> None:
        self._window_bytes = window_bytes
        self._steps = self._follow()
        self._held = bytearray()
        self._wanted = next(self._steps)
        self._skip = 0
        self.is_whole = True

    def feed(self, data: bytes) -> None:
        """Takes the next bytes. Raises CutError (`limit:window`, `corrupt`)."""
        position = 0
        while position < len(data):
            if self._skip:
                step = min(self._skip, len(data) - position)
                self._skip -= step
                position += step
                if self._skip == 0 and self._wanted == 0:
                    self._advance(b"")
                continue
            step = self._wanted - len(self._held)
            self._held += data[position : position + step]
            position += step
            self.is_whole = False
            if len(self._held) >= self._wanted:
                field = bytes(self._held)
                self._held.clear()
                self._advance(field)

    def _advance(self, field: bytes) -> None:
        """Gives a field to the follower and notes what it wants next: a field (> 0), or bytes to skip (< 0)."""
        wanted = self._steps.send(field)
        while wanted == 0:
            wanted = self._steps.send(b"")
        self._skip, self._wanted = (-wanted, 0) if wanted < 0 else (0, wanted)

    def _follow(self) -> Generator[int, bytes, None]:
        while True:
            magic = int.from_bytes((yield 4), "little")
            if magic & 0xFFFFFFF0 == SKIPPABLE_MAGIC:
                yield -int.from_bytes((yield 4), "little")
            elif magic == FRAME_MAGIC:
                yield from self._frame()
            else:
                raise CutError("corrupt", "zstd: no frame")
            self.is_whole = True

    def _frame(self) -> Generator[int, bytes, None]:
        descriptor = (yield 1)[0]
        is_single_segment = bool(descriptor & 0x20)
        window = 0
        if not is_single_segment:
            exponent, mantissa = divmod((yield 1)[0], 8)
            base = 1 << (10 + exponent)
            window = base + base // 8 * mantissa
        yield -(0, 1, 2, 4)[descriptor & 3]  # dictionary id
        size_bytes = (1 if is_single_segment else 0, 2, 4, 8)[descriptor >> 6]
        if is_single_segment:
            window = int.from_bytes((yield size_bytes), "little")
        else:
            yield -size_bytes
        if window > self._window_bytes:
            raise CutError("limit:window", f"a window of {window} bytes")
        is_last = False
        while not is_last:
            header = int.from_bytes((yield 3), "little")
            is_last, kind, size = bool(header & 1), header >> 1 & 3, header >> 3
            if kind == RESERVED_BLOCK:
                raise CutError("corrupt", "zstd: reserved block")
            yield -(1 if kind == RLE_BLOCK else size)
        yield -(4 if descriptor & 4 else 0)  # checksum
