"""The port between the walk over a layer and the ecosystems: one member's bytes in, packages out."""

from collections.abc import Iterator
from typing import Final, Protocol

from entrepot.errors import InvalidError
from entrepot.scanning.model import Package

PIECE_BYTES: Final = 256 << 10
LONGEST_LINE: Final = 64 << 10
LONGEST_VALUE: Final = 1024


class MetadataInvalidError(InvalidError):
    """Package metadata that can't be understood, at least in part. What was yielded before it was raised stands."""


class MemberReader(Protocol):
    """The bytes of one member, once, from first to last."""

    def read(self, size: int) -> bytes:
        """The next bytes: at least one and at most *size* (> 0), or none at the end."""
        ...


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

        Holds no more than one piece of the file at a time. Raises MetadataInvalidError, and nothing else of its
        own, at the latest at the end of the file; what the reader raises passes through.
        """
        ...


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


def value(raw: bytes) -> str:
    """A field's text without surrounding blanks; what is no UTF-8 or can't be printed is shown in hexadecimal.

    Raises MetadataInvalidError if it is longer than any honest name or version (LONGEST_VALUE bytes).
    """
    if len(raw) > LONGEST_VALUE:
        raise MetadataInvalidError("a field of more than 1,024 bytes")
    text = raw.decode("utf-8", "backslashreplace").strip()
    return text if text.isprintable() else "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in text)
