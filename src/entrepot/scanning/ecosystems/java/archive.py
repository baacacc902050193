"""A ZIP archive's directory and the beginnings of its entries; nothing is unpacked to disk.

No size that the archive claims is believed, and none makes us allocate: the directory goes by in pieces and only wanted
entries are kept, an entry's bytes are inflated up to a limit of ours. (The standard library's reader holds an object
for every entry and reads the directory in one piece; a Java 8 runtime has 20,000 entries in one archive.)
Format: PKWARE APPNOTE 6.3, sections 4.3.6-4.3.16. Design: scanning.md, sections 3.1 and 5.
"""

import io
import struct
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from typing import Any, Final

from entrepot.scanning.extractor import Aside, LimitExceededError, MetadataInvalidError

NESTING: Final = "limit:nesting"
PIECE_BYTES: Final = 64 << 10
END: Final = struct.Struct("<4s4H2LH")
END_SIGNATURE: Final = b"PK\x05\x06"
LONGEST_COMMENT: Final = 0xFFFF
END_64: Final = struct.Struct("<4sQ2H2L4Q")
END_64_SIGNATURE: Final = b"PK\x06\x06"
LOCATOR_64_BYTES: Final = 20
RECORD: Final = struct.Struct("<4s6H3L5H2L")
RECORD_SIGNATURE: Final = b"PK\x01\x02"
LONGEST_RECORD: Final = RECORD.size + 3 * 0xFFFF
LOCAL: Final = struct.Struct("<4s5H3L2H")
LOCAL_SIGNATURE: Final = b"PK\x03\x04"
IN_64: Final = 0xFFFFFFFF
COUNT_IN_64: Final = 0xFFFF
ENCRYPTED: Final = 1
STORED: Final = 0
DEFLATED: Final = 8


@dataclass(slots=True)
class Budget:
    """What one outermost archive may still cost, all archives in it together.

    entries: directory records passed over. opened: entries looked into. inflated_bytes: out of all of them;
    held_bytes: of inflated archives that are open now, one within the other.
    """

    entries: int = 1_000_000
    opened: int = 10_000
    inflated_bytes: int = 1 << 30
    held_bytes: int = 64 << 20

    def spend(self, *, entries: int = 0, opened: int = 0, inflated_bytes: int = 0) -> None:
        """Takes from what is left. Raises LimitExceededError if that is not enough."""
        self.entries -= entries
        self.opened -= opened
        self.inflated_bytes -= inflated_bytes
        if min(self.entries, self.opened, self.inflated_bytes) < 0:
            raise LimitExceededError(NESTING, "an archive that holds too much")


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of an archive. offset: of its local header, from the file's first byte. size: bytes as stored."""

    name: str
    offset: int
    size: int
    method: int
    is_encrypted: bool


class Archive:
    """The ZIP archive in the *size* bytes at *start* of *file*. Raises MetadataInvalidError if it has no end record."""

    def __init__(self, file: Aside, start: int, size: int, budget: Budget) -> None:
        self._file = file
        self._end = start + size
        self._budget = budget
        self._directory, self._directory_end, self._base = self._places(start)

    def entries(self, is_wanted: Callable[[bytes], object]) -> Iterator[Entry]:
        """The entries whose names are wanted, as the directory has them.

        Raises MetadataInvalidError where the directory is broken, LimitExceededError where it is too long.
        """
        buffer, at, left = b"", 0, self._directory
        while left < self._directory_end or at < len(buffer):
            if len(buffer) - at < LONGEST_RECORD and left < self._directory_end:
                size = min(PIECE_BYTES + LONGEST_RECORD, self._directory_end - left)
                buffer, at, left = buffer[at:] + self._file.read(left, size), 0, left + size
            record = _unpacked(RECORD, buffer, at, RECORD_SIGNATURE)
            flags, method, stored, offset = record[3], record[4], record[8], record[16]
            name = buffer[at + RECORD.size : at + RECORD.size + record[10]]
            at += RECORD.size + record[10] + record[11] + record[12]
            if at > len(buffer):
                raise MetadataInvalidError("an archive's directory that ends within a record")
            self._budget.spend(entries=1)
            if is_wanted(name):
                text = name.decode("utf-8", "backslashreplace")
                yield Entry(text, self._base + offset, stored, method, bool(flags & ENCRYPTED))

    def beginning(self, entry: Entry, most_bytes: int) -> bytes:
        """The first *most_bytes* of an entry. Raises MetadataInvalidError if it can't be read."""
        return b"".join(self._pieces(entry, most_bytes))

    @contextmanager
    def nested(self, entry: Entry) -> Iterator["Archive"]:
        """The archive that *entry* is: one that is stored is read where it lies, another one held while it is open.

        Raises MetadataInvalidError if it can't be read, LimitExceededError if it is too large.
        """
        if entry.method == STORED and not entry.is_encrypted:
            yield Archive(self._file, self._payload(entry), entry.size, self._budget)
            return
        held, size = io.BytesIO(), 0
        for piece in self._pieces(entry, self._budget.held_bytes + 1):
            size += held.write(piece)
        if size > self._budget.held_bytes:
            raise LimitExceededError(NESTING, "a compressed archive in an archive that is too large")
        self._budget.held_bytes -= size
        try:
            yield Archive(Aside(held, size), 0, size, self._budget)
        finally:
            self._budget.held_bytes += size

    def _places(self, start: int) -> tuple[int, int, int]:
        """Where the directory begins and ends, and what offsets in it count from: there may be a script before."""
        begin = max(start, self._end - END.size - LONGEST_COMMENT)
        tail = self._file.read(begin, self._end - begin)
        found = tail.rfind(END_SIGNATURE, 0, max(0, len(tail) - END.size + len(END_SIGNATURE)))
        if found < 0:
            raise MetadataInvalidError("not an archive, or one that was cut short")
        end = begin + found
        count, length, offset = END.unpack_from(tail, found)[4:7]
        if count == COUNT_IN_64 or IN_64 in {length, offset}:
            at = found - LOCATOR_64_BYTES - END_64.size
            if at >= 0 and tail.startswith(END_64_SIGNATURE, at):
                length, offset = END_64.unpack_from(tail, at)[8:10]
                end = begin + at
        base = end - length - offset
        if base < start:
            raise MetadataInvalidError("an archive whose directory is not where it should be")
        return end - length, end, base

    def _payload(self, entry: Entry) -> int:
        """Where the bytes of *entry* begin."""
        local = _unpacked(LOCAL, self._file.read(entry.offset, LOCAL.size), 0, LOCAL_SIGNATURE)
        at: int = entry.offset + LOCAL.size + local[9] + local[10]
        if at + entry.size > self._end:
            raise MetadataInvalidError("an entry that goes beyond its archive")
        return at

    def _pieces(self, entry: Entry, most_bytes: int) -> Iterator[bytes]:
        """The first *most_bytes* of an entry, at most PIECE_BYTES at a time."""
        if entry.is_encrypted or entry.method not in {STORED, DEFLATED}:
            raise MetadataInvalidError("an entry that is encrypted, or packed as Java packs none")
        at = self._payload(entry)
        raw = (
            self._file.read(place, min(PIECE_BYTES, at + entry.size - place))
            for place in range(at, at + entry.size, PIECE_BYTES)
        )
        for piece in raw if entry.method == STORED else _inflated(raw):
            self._budget.spend(inflated_bytes=len(piece))
            yield piece[:most_bytes]
            most_bytes -= len(piece)
            if most_bytes <= 0:
                return


def _inflated(raw: Iterator[bytes]) -> Iterator[bytes]:
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    for packed in chain(raw, (b"",)):
        rest, is_full = packed, True
        # A full piece may have more behind it, though all of the input was taken.
        while (rest or is_full) and not inflater.eof:
            try:
                piece = inflater.decompress(rest, PIECE_BYTES)
            except zlib.error:
                raise MetadataInvalidError("an entry that can't be inflated") from None
            rest, is_full = inflater.unconsumed_tail, len(piece) == PIECE_BYTES
            yield piece
    if not inflater.eof:
        raise MetadataInvalidError("an entry that was cut short")


def _unpacked(form: struct.Struct, data: bytes, at: int, signature: bytes) -> tuple[Any, ...]:
    """The fields of the record at *at*, the first of them its signature, which is checked here."""
    if len(data) - at < form.size or not data.startswith(signature, at):
        raise MetadataInvalidError("an archive with a broken record")
    return form.unpack_from(data, at)
