"""The port between the walk over a layer and the ecosystems: one member's bytes in, packages out."""

import io
from collections.abc import Callable, Iterable, Iterator
from typing import Final, Protocol, TypeVar, runtime_checkable

import msgspec

from entrepot.errors import InvalidError
from entrepot.scanning.model import Package

PIECE_BYTES: Final = 256 << 10
LONGEST_LINE: Final = 64 << 10
LONGEST_VALUE: Final = 1024
IN_MEMORY_BYTES: Final = 4 << 20
"""A member up to this size is read into memory where it must be read at any place; a larger one is put aside."""
DOCUMENT_BYTES: Final = 8 << 20
MOST_OBJECTS: Final = 250_000  # of a JSON document, whose smallest object takes 3 bytes there and 200 here

T = TypeVar("T")
Entry = TypeVar("Entry")


class MetadataInvalidError(InvalidError):
    """Package metadata that can't be understood, at least in part. What was yielded before it was raised stands."""


class LimitExceededError(MetadataInvalidError):
    """A file that holds more than is read of it. *code*: of the problem, e.g. `limit:nesting`."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class PutAsideError(Exception):
    """A member that has to be read at any place and for which there is no room, in memory or outside."""


class MemberReader(Protocol):
    """The bytes of one member, once, from first to last."""

    def read(self, size: int) -> bytes:
        """The next bytes: at least one and at most *size* (> 0), or none at the end."""
        ...


class SeekableFile(Protocol):
    """Bytes that can be read at any place."""

    def seek(self, offset: int, whence: int = 0, /) -> int: ...  # noqa: D102

    def read(self, size: int = -1, /) -> bytes | None:
        """Up to *size* bytes from the place that `seek` set; fewer, or none, only at the end."""
        ...


class Spool(SeekableFile, Protocol):
    """A file without a name, into which one member at a time is put."""

    def write(self, data: bytes, /) -> int | None: ...  # noqa: D102


@runtime_checkable
class SpoolingReader(Protocol):
    """A MemberReader that knows where a large member may be put aside; None: nowhere."""

    spool: Spool | None


class Extractor(Protocol):
    """What one ecosystem reads in a layer.

    name: the ecosystem's name in problem codes and the kind of its databases. databases: paths of files that are
    a whole package database each. folders: directories whose files the extractor wants, at a fixed place; a
    symbolic link at or above a database or folder is recorded, for it moves what a runtime sees there.
    """

    @property
    def name(self) -> str: ...  # noqa: D102

    @property
    def databases(self) -> frozenset[str]: ...  # noqa: D102

    @property
    def folders(self) -> frozenset[str]: ...  # noqa: D102

    def wants(self, path: str) -> bool:
        """Whether the regular file at *path* (no leading /) is to be read."""
        ...

    def extract(self, path: str, reader: MemberReader) -> Iterator[Package]:
        """The packages that the file says are installed, in its order; equal bytes give equal packages.

        Holds no more than one piece of the file at a time, a JSON document as a whole; a file that must be read at
        any place is put `aside`. Raises MetadataInvalidError, and nothing else of its own, at the latest at the end
        of the file; what the reader raises, and PutAsideError, pass through.
        """
        ...


class Aside:
    """All bytes of one member, readable at any place until the walk goes on. size: their number."""

    def __init__(self, file: SeekableFile, size: int) -> None:
        self._file = file
        self.size = size

    def read(self, offset: int, size: int) -> bytes:
        """The *size* bytes at *offset*. Raises MetadataInvalidError if the member does not have them all."""
        if offset < 0 or size < 0 or offset + size > self.size:
            raise MetadataInvalidError("points outside of its file")
        self._file.seek(offset)
        data = self._file.read(size) or b""
        while len(data) < size:
            piece = self._file.read(size - len(data))
            if not piece:
                raise PutAsideError("the file put aside is short")
            data += piece
        return data


def aside(reader: MemberReader, begun: bytes = b"") -> Aside:
    """What *reader* gives after *begun*, to be read at any place: in memory up to IN_MEMORY_BYTES, above in its spool.

    The member before it in the same spool is gone. Raises PutAsideError if there is no spool, or no room in it.
    """
    head = bytearray(begun)
    while len(head) <= IN_MEMORY_BYTES:
        piece = reader.read(PIECE_BYTES)
        if not piece:
            return Aside(io.BytesIO(head), len(head))
        head += piece
    spool = reader.spool if isinstance(reader, SpoolingReader) else None
    if spool is None:
        raise PutAsideError("no temporary file")
    try:
        spool.seek(0)
        size = _write(spool, bytes(head))
        head.clear()
        while piece := reader.read(PIECE_BYTES):
            size += _write(spool, piece)
    except OSError as error:
        raise PutAsideError("no room in the temporary file") from error
    return Aside(spool, size)


def _write(spool: Spool, data: bytes) -> int:
    rest = memoryview(data)
    while rest:
        rest = rest[spool.write(bytes(rest)) or 0 :]
    return len(data)


def lines(reader: MemberReader) -> Iterator[bytes]:
    """The lines of a file without their ends. A line over LONGEST_LINE bytes comes as its first part only."""
    carry = b""
    while piece := reader.read(PIECE_BYTES):
        *whole, rest = piece.split(b"\n")
        if whole:
            whole[0] = carry + whole[0]
            carry = b""
            for line in whole:
                yield line[:LONGEST_LINE]
        carry = (carry + rest)[:LONGEST_LINE]
    if carry:
        yield carry


def value(raw: bytes | str) -> str:
    """A field's text without surrounding blanks; what is no UTF-8 or can't be printed is shown in hexadecimal.

    Raises MetadataInvalidError if it is longer than any honest name or version (LONGEST_VALUE bytes).
    """
    raw = raw.encode("utf-8", "surrogatepass") if isinstance(raw, str) else raw
    if len(raw) > LONGEST_VALUE:
        raise MetadataInvalidError("a field of more than 1,024 bytes")
    text = raw.decode("utf-8", "backslashreplace").strip()
    return text if text.isprintable() else "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in text)


def document(reader: MemberReader, decoder: msgspec.json.Decoder[T], most_bytes: int = DOCUMENT_BYTES) -> T:
    """The JSON document that a file holds. *decoder*: of structs that name what is wanted; the rest is passed over.

    Raises MetadataInvalidError if it is no such document, over *most_bytes*, or of more than MOST_OBJECTS objects.
    """
    data = bytearray()
    while piece := reader.read(PIECE_BYTES):
        data += piece
        if len(data) > most_bytes:
            raise MetadataInvalidError(f"a document of more than {most_bytes:,} bytes")
    return decoded(data.removeprefix(b"\xef\xbb\xbf"), decoder)


def decoded(data: bytes | bytearray, decoder: msgspec.json.Decoder[T]) -> T:
    """The JSON document *data*, as `document` reads it; its size was checked by the caller."""
    if data.count(b"{") > MOST_OBJECTS:
        raise MetadataInvalidError(f"a document of more than {MOST_OBJECTS:,} objects")
    try:
        return decoder.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise MetadataInvalidError("not a JSON document of the form it should have") from None


def each(entries: Iterable[Entry], package: Callable[[Entry], Package | None]) -> Iterator[Package]:
    """What *package* makes of each of *entries*; one that it can't understand spoils no other.

    Raises MetadataInvalidError at the end: the first that *package* raised.
    """
    defect: MetadataInvalidError | None = None
    for entry in entries:
        try:
            made = package(entry)
        except MetadataInvalidError as error:
            defect = defect or error
        else:
            if made is not None:
                yield made
    if defect is not None:
        raise defect


def library(
    ecosystem: str, name: bytes | str, version: bytes | str, path: str, *, source_name: str = "", arch: str = ""
) -> Package:
    """A package of a language, which has no sources but itself. source_name: *name* as it is compared, if otherwise.

    Raises MetadataInvalidError without a name or a version.
    """
    name, version = value(name), value(version)
    if not name or not version:
        raise MetadataInvalidError("a package without a name or a version")
    return Package(
        ecosystem=ecosystem,
        name=name,
        version=version,
        arch=arch,
        source_name=source_name or name,
        source_version=version,
        path=path,
    )
