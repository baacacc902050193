"""A layer's bytes as the tar stream they hold: sniffed, bounded, counted and digested on the way.

Nothing here holds more than a decompressor's window and one piece of output, whatever the bytes expand to.
Formats: RFC 1952 (gzip, several members), RFC 8878 (zstd, several and skippable frames), xz, bzip2, or no compression.
"""

import bz2
import hashlib
import lzma
from collections.abc import Callable, Iterator
from typing import IO, Final, Protocol, cast

import zstandard
from zlib_ng import zlib_ng

from entrepot.oci.digest import Digest
from entrepot.scanning.layers.limits import CutError, LayerLimits
from entrepot.scanning.layers.zstd_frames import ZstdFrames

READ_BYTES: Final = 64 << 10
PIECE_BYTES: Final = 256 << 10
GZIP_WINDOW: Final = 31  # RFC 1952 header and trailer, window up to 32 KiB
ZLIB_ERROR: Final = cast("type[Exception]", zlib_ng.error)  # its stub declares an instance

MAGIC: Final = (
    (b"\x1f\x8b", "gzip"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
    (b"\xfd7zXZ\x00", "xz"),
    (b"BZh", "bzip2"),
)


class ByteSource(Protocol):
    """A stream of bytes, e.g. an unbuffered binary file."""

    def read(self, size: int, /) -> bytes | None:
        """Up to *size* bytes; none at the end."""
        ...


class BoundedDecompressor(Protocol):
    """A decompressor that gives no more than it is asked for (the interface of bz2 and lzma)."""

    @property
    def eof(self) -> bool: ...  # noqa: D102

    @property
    def needs_input(self) -> bool: ...  # noqa: D102

    @property
    def unused_data(self) -> bytes: ...  # noqa: D102

    def decompress(self, data: bytes, max_length: int = -1) -> bytes:
        """Up to *max_length* bytes from what was given."""
        ...


class GzipMember:
    """One gzip member with the interface of bz2 and lzma."""

    def __init__(self) -> None:
        self._inner = zlib_ng.decompressobj(wbits=GZIP_WINDOW)
        self.needs_input = True

    @property
    def eof(self) -> bool:
        """Whether the member's trailer was read and is right."""
        return self._inner.eof

    @property
    def unused_data(self) -> bytes:
        """What was given beyond the member's end."""
        return self._inner.unused_data

    def decompress(self, data: bytes, max_length: int = -1) -> bytes:
        """Up to *max_length* bytes from what was given."""
        out = self._inner.decompress(self._inner.unconsumed_tail + data, max_length)
        self.needs_input = not self._inner.unconsumed_tail and len(out) < max_length
        return out


def sniff(head: bytes) -> str:
    """The compression that *head*, a layer's first 8 bytes or more, shows: `gzip`, `zstd`, `xz`, `bzip2` or `none`."""
    for magic, name in MAGIC:
        if head.startswith(magic):
            return name
    is_skippable = head[1:4] == b"\x2a\x4d\x18" and head[:1] and head[0] & 0xF0 == 0x50
    return "zstd" if is_skippable else "none"


class LayerStream:
    """A layer of *size* bytes, read once from *source*.

    compression: as `sniff` has it. compressed_bytes, uncompressed_bytes: so far. After `pieces` ended, `digest` and
    `diff_id` are those of the whole layer. The ratio is taken over all of the layer's *size*, so that a stretch of
    zeros in an honest layer is none.
    """

    def __init__(self, source: ByteSource, size: int, limits: LayerLimits, algorithm: str = "sha256") -> None:
        self._source = source
        self._limits = limits
        self._algorithm = algorithm
        self._compressed = hashlib.new(algorithm)
        self._uncompressed = hashlib.sha256()
        self._head = b""
        while len(self._head) < 8 and (more := source.read(READ_BYTES)):
            self._head += more
        self._size = size
        self._frames = ZstdFrames(limits.window_bytes)
        self.compression = sniff(self._head)
        self.compressed_bytes = 0
        self.uncompressed_bytes = 0

    @property
    def digest(self) -> Digest:
        """The digest of the compressed bytes read so far."""
        return Digest(self._algorithm, self._compressed.hexdigest())

    @property
    def diff_id(self) -> Digest:
        """The digest of the uncompressed bytes so far."""
        return Digest("sha256", self._uncompressed.hexdigest())

    def pieces(self) -> Iterator[bytes]:
        """The uncompressed bytes, in pieces of at most PIECE_BYTES.

        Raises CutError: `limit:ratio`, `limit:size`, `limit:window`, or `corrupt` for a broken or truncated stream.
        """
        # Unlike the others, a plain layer can't grow: its ratio is 1.
        is_plain = self.compression == "none"
        for piece in self._decompressed():
            self.uncompressed_bytes += len(piece)
            self._uncompressed.update(piece)
            if self.uncompressed_bytes > self._limits.uncompressed_bytes:
                raise CutError("limit:size", f"more than {self._limits.uncompressed_bytes} bytes")
            if self.uncompressed_bytes > self._limits.ratio_after_bytes and not is_plain:
                bound = self._limits.ratio * max(self._size, self.compressed_bytes)
                if self.uncompressed_bytes > bound:
                    raise CutError("limit:ratio", f"more than {self._limits.ratio} bytes per byte")
            yield piece

    def read(self, size: int) -> bytes:
        """The next compressed bytes, counted and digested: the side that decompressors read from."""
        chunk, self._head = self._head, b""
        if not chunk:
            chunk = self._source.read(min(size, READ_BYTES)) or b""
        self.compressed_bytes += len(chunk)
        self._compressed.update(chunk)
        if self.compression == "zstd":
            self._frames.feed(chunk)
        return chunk

    def _decompressed(self) -> Iterator[bytes]:
        match self.compression:
            case "gzip":
                yield from self._members(GzipMember)
            case "xz":
                yield from self._members(self._xz)
            case "bzip2":
                yield from self._members(bz2.BZ2Decompressor)
            case "zstd":
                yield from self._zstd()
            case _:
                while chunk := self.read(READ_BYTES):
                    yield chunk

    def _xz(self) -> lzma.LZMADecompressor:
        return lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=self._limits.window_bytes)

    def _members(self, start: Callable[[], BoundedDecompressor]) -> Iterator[bytes]:
        """The contents of all members or streams, one after the other; zeros between or after them are padding."""
        data = self.read(READ_BYTES)
        while data:
            member = start()
            while not member.eof:
                if not data and member.needs_input and not (data := self.read(READ_BYTES)):
                    raise CutError("corrupt", f"{self.compression}: truncated")
                if out := self._decompress(member, data):
                    yield out
                data = b""
            data = member.unused_data.lstrip(b"\0")
            while not data and (more := self.read(READ_BYTES)):
                data = more.lstrip(b"\0")

    def _decompress(self, member: BoundedDecompressor, data: bytes) -> bytes:
        try:
            return member.decompress(data, PIECE_BYTES)
        except lzma.LZMAError as error:
            raise CutError("limit:window" if "limit" in str(error) else "corrupt", f"xz: {error}") from error
        except (ZLIB_ERROR, OSError) as error:  # OSError is how bz2 says it, no fault of the disk
            raise CutError("corrupt", f"{self.compression}: {error}") from error

    def _zstd(self) -> Iterator[bytes]:
        decompressor = zstandard.ZstdDecompressor(max_window_size=self._limits.window_bytes)
        source = cast("IO[bytes]", self)  # of a file, a stream_reader wants `read` alone
        with decompressor.stream_reader(source, read_size=READ_BYTES, read_across_frames=True, closefd=False) as reader:
            while piece := self._zstd_piece(reader):
                yield piece
        if not self._frames.is_whole:
            raise CutError("corrupt", "zstd: truncated")

    def _zstd_piece(self, reader: zstandard.ZstdDecompressionReader) -> bytes:
        try:
            return reader.read(PIECE_BYTES)
        except zstandard.ZstdError as error:
            raise CutError("corrupt", f"zstd: {error}") from error
