"""rpm's sqlite database: the rows of its table `Packages`, read from the pages themselves.

The child can open no file by its name, so no sqlite library can be asked. Format: sqlite.org/fileformat2.html,
sections 1.3 (header), 1.6 (b-tree pages), 2.1 (records).
"""

import struct
from collections.abc import Iterator
from typing import Final

from entrepot.scanning.ecosystems.rpm.header import MOST_BYTES
from entrepot.scanning.extractor import Aside, MetadataInvalidError

MAGIC: Final = b"SQLite format 3\0"
TABLE: Final = b"Packages"

_INTERIOR: Final = 5
_LEAF: Final = 13
_INTEGER_BYTES: Final = (0, 1, 2, 3, 4, 6, 8, 8, 0, 0)  # of serial types 0 to 9
_HEADER_BYTES: Final = 100


def headers(file: Aside) -> Iterator[bytes]:
    """The header of each installed package. Raises MetadataInvalidError for pages that contradict one another."""
    pages = _Pages(file)
    root = 0
    for row in pages.rows(1):
        kind, name, _, place = _columns(row, 4)
        if (kind, name) == (b"table", TABLE):
            root = int.from_bytes(place, "big")
    if not root:
        raise MetadataInvalidError("no table Packages")
    for row in pages.rows(root):
        _, blob = _columns(row, 2)
        yield blob


class _Pages:
    """The pages of a database; each is visited once, or the tree is no tree."""

    def __init__(self, file: Aside) -> None:
        head = file.read(0, _HEADER_BYTES)
        size = int.from_bytes(head[16:18], "big")
        self._file = file
        self._size = 65_536 if size == 1 else size
        self._usable = self._size - head[20]
        if self._size < 512 or self._size & (self._size - 1) or self._usable < 480:
            raise MetadataInvalidError("a page size that sqlite does not have")
        self._seen = bytearray(file.size // self._size + 1)

    def rows(self, root: int) -> Iterator[bytes]:
        """The records of the table at *root*, in its order."""
        ahead = [root]
        while ahead:
            number = ahead.pop()
            page = self._page(number)
            at = _HEADER_BYTES if number == 1 else 0
            kind = page[at]
            (cells,) = struct.unpack_from(">H", page, at + 3)
            begin = at + (12 if kind == _INTERIOR else 8)
            if kind not in {_INTERIOR, _LEAF} or begin + 2 * cells > self._usable:
                raise MetadataInvalidError("a page that is of no table")
            places = struct.unpack_from(f">{cells}H", page, begin)
            if kind == _INTERIOR:
                if len(ahead) + cells > len(self._seen):
                    raise MetadataInvalidError("more pages than the file has")
                ahead += [_number(page, at + 8), *(_number(page, place) for place in reversed(places))]
            else:
                for place in places:
                    yield self._record(page, place)

    def _record(self, page: bytes, place: int) -> bytes:
        length, place = _varint(page, place)
        _, place = _varint(page, place)
        if length > MOST_BYTES:
            raise MetadataInvalidError("a package of more than 16 MiB")
        inline = self._inline(length)
        record = bytearray(page[place : place + inline])
        following = 0 if length == inline else _number(page, place + inline)
        while len(record) < length and following:
            rest = self._page(following)
            following = _number(rest, 0)
            record += rest[4 : 4 + min(self._usable - 4, length - len(record))]
        if len(record) != length:
            raise MetadataInvalidError("a record that ends too early")
        return bytes(record)

    def _inline(self, length: int) -> int:
        """How many bytes of a record of *length* stand in its leaf page."""
        most = self._usable - 35
        if length <= most:
            return length
        least = (self._usable - 12) * 32 // 255 - 23
        kept = least + (length - least) % (self._usable - 4)
        return kept if kept <= most else least

    def _page(self, number: int) -> bytes:
        if not 0 < number < len(self._seen) or self._seen[number]:
            raise MetadataInvalidError("a page that is not there, or met twice")
        self._seen[number] = 1
        return self._file.read((number - 1) * self._size, self._size)


def _columns(record: bytes, count: int) -> list[bytes]:
    """The first *count* columns of a record as they are stored; integers in big-endian bytes."""
    end, at = _varint(record, 0)
    sizes: list[int] = []
    while at < end and len(sizes) < count:
        kind, at = _varint(record, at)
        if kind in {10, 11}:
            raise MetadataInvalidError("a column of no type")
        sizes.append(_INTEGER_BYTES[kind] if kind < 10 else (kind - 12) // 2)
    if len(sizes) < count or end + sum(sizes) > len(record):
        raise MetadataInvalidError("a record without its columns")
    found = []
    for size in sizes:
        found.append(record[end : end + size])
        end += size
    return found


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """The number at *at* and the place behind it: up to eight bytes of seven bits, then one of eight."""
    number = 0
    for index in range(9):
        if at >= len(data):
            break
        byte = data[at]
        at += 1
        if index == 8:
            return number << 8 | byte, at
        number = number << 7 | byte & 0x7F
        if byte < 0x80:
            return number, at
    raise MetadataInvalidError("a number that ends too early")


def _number(page: bytes, at: int) -> int:
    if at + 4 > len(page):
        raise MetadataInvalidError("a cell outside of its page")
    return int.from_bytes(page[at : at + 4], "big")
