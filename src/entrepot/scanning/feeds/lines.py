"""A feed file as lines: plain or zstd, read in pieces, with limits on a line and on the whole."""

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final

import zstandard

from entrepot.scanning.errors import FeedInvalidError

MAX_LINE_BYTES: Final = 4 * 2**20
MAX_UNPACKED_BYTES: Final = 2 * 2**30
MAX_JSON_DEPTH: Final = 64

_ZSTD_MAGIC: Final = b"\x28\xb5\x2f\xfd"
_ZSTD_WINDOW_BYTES: Final = 128 * 2**20
_PIECE_BYTES: Final = 2**20
# 4 packed bytes may stand for 128 KiB: small pieces keep what one call unpacks under 32 MiB.
_PACKED_PIECE_BYTES: Final = 2**10
_NOT_BRACKETS: Final = bytes(set(range(256)) - set(b'[]{}"'))


def lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """The lines of the file *path* with their numbers from 1, without line ends; empty ones are left out.

    Raises FeedInvalidError for a line over 4 MiB, over 2 GiB in all, and a broken or cut zstd stream.
    """
    number = 1
    begun: list[bytes] = []
    begun_bytes = 0
    for piece in _pieces(path):
        first, *more = piece.split(b"\n")
        begun.append(first)
        begun_bytes += len(first)
        if begun_bytes > MAX_LINE_BYTES:
            raise _too_long(number)
        for following in more:
            line = b"".join(begun)
            if line.strip():
                yield number, line
            number += 1
            begun, begun_bytes = [following], len(following)
            if begun_bytes > MAX_LINE_BYTES:
                raise _too_long(number)
    line = b"".join(begun)
    if line.strip():
        yield number, line


def depth_exceeds(document: bytes, limit: int = MAX_JSON_DEPTH) -> bool:
    """Whether the JSON text *document* nests arrays and objects deeper than *limit* levels."""
    if document.count(b"[") + document.count(b"{") <= limit:
        return False
    depth = 0
    quoted = False
    # Escaped backslashes go first, else the quote after one would look escaped.
    for byte in document.replace(b"\\\\", b"").replace(b'\\"', b"").translate(None, _NOT_BRACKETS):
        if byte == 0x22:
            quoted = not quoted
        elif not quoted:
            depth += 1 if byte in b"[{" else -1
            if depth > limit:
                return True
    return False


def _too_long(number: int) -> FeedInvalidError:
    return FeedInvalidError(f"line {number} has more than {MAX_LINE_BYTES} bytes", field=f"line {number}")


def _pieces(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        is_zstd = file.read(len(_ZSTD_MAGIC)) == _ZSTD_MAGIC
        file.seek(0)
        unpacked = 0
        for piece in _unpacked(file) if is_zstd else iter(lambda: file.read(_PIECE_BYTES), b""):
            unpacked += len(piece)
            if unpacked > MAX_UNPACKED_BYTES:
                raise FeedInvalidError(f"the feed has more than {MAX_UNPACKED_BYTES} bytes unpacked")
            yield piece


def _unpacked(file: BinaryIO) -> Iterator[bytes]:
    """The content of every frame; ends of frames are checked, which a reader of `zstandard` does not do."""
    context = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW_BYTES)
    frame = context.decompressobj()
    started = False
    try:
        while packed := file.read(_PACKED_PIECE_BYTES):
            while packed:
                started = True
                if unpacked := frame.decompress(packed):
                    yield unpacked
                packed = b""
                if frame.eof:
                    packed = frame.unused_data
                    frame = context.decompressobj()
                    started = False
    except zstandard.ZstdError as error:
        raise FeedInvalidError("the zstd stream is broken") from error
    if started:
        raise FeedInvalidError("the zstd stream is cut")
