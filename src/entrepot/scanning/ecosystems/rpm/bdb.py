"""rpm's Berkeley DB, `Packages`: a hash whose values are packages' headers, keyed by number.

Format: Berkeley DB, dbinc/db_page.h (DBMETA, HASHHDR, PAGE, HKEYDATA, HOFFPAGE). Every page of the hash is looked at
in turn, so what its buckets say does not matter.
"""

import struct
from collections.abc import Iterator
from typing import Final

from entrepot.scanning.ecosystems.rpm.header import MOST_BYTES
from entrepot.scanning.extractor import Aside, MetadataInvalidError

MAGIC: Final = 0x061561
MAGIC_AT: Final = 12

_META_BYTES: Final = 72
_LAST_PAGE_AT: Final = 32
_PAGE_BYTES: Final = 26  # of a page's own header
_HASH_META: Final = 8
_OVERFLOW: Final = 7
_HASH: Final = frozenset((2, 13))
_INLINE: Final = 1
_OFF_PAGE: Final = 3
_CHECKSUMS: Final = 1


def is_hash(head: bytes) -> bool:
    """Whether a file that begins with *head* (16 bytes) is a hash of Berkeley DB, in either byte order."""
    return MAGIC in {int.from_bytes(head[MAGIC_AT:16], order) for order in ("little", "big")}


def headers(file: Aside) -> Iterator[bytes]:
    """The header of each installed package, in the order of pages. Raises MetadataInvalidError."""
    pages = _Pages(file)
    for number in range(1, pages.count):
        page = pages.read(number)
        if page[25] in _HASH:
            yield from pages.values(page)


class _Pages:
    """The pages of a hash. count: their number."""

    def __init__(self, file: Aside) -> None:
        meta = file.read(0, _META_BYTES)
        self._file = file
        self._order = "<" if int.from_bytes(meta[12:16], "little") == MAGIC else ">"
        (size,) = struct.unpack_from(self._order + "I", meta, 20)
        (last,) = struct.unpack_from(self._order + "I", meta, _LAST_PAGE_AT)
        if (
            not 512 <= size <= 65_536
            or size & (size - 1)
            or meta[24]
            or meta[25] != _HASH_META
            or meta[26] & _CHECKSUMS
        ):
            raise MetadataInvalidError("a kind of Berkeley DB that rpm does not write")
        self._size = size
        self.count = file.size // size
        if file.size % size or last >= self.count:
            raise MetadataInvalidError("a database without all its pages")
        self._seen = bytearray(self.count)

    def read(self, number: int) -> bytes:
        """The page *number*."""
        return self._file.read(number * self._size, self._size)

    def values(self, page: bytes) -> Iterator[bytes]:
        """The headers that the hash page *page* names."""
        (entries,) = struct.unpack_from(self._order + "H", page, 20)
        if _PAGE_BYTES + 2 * entries > self._size or entries % 2:
            raise MetadataInvalidError("more entries than a page has room for")
        places = struct.unpack_from(f"{self._order}{entries}H", page, _PAGE_BYTES)
        ends = (self._size, *places)
        if any(not _PAGE_BYTES <= place < end for place, end in zip(places, ends, strict=False)):
            raise MetadataInvalidError("entries that lie over one another")
        items = [page[place:end] for place, end in zip(places, ends, strict=False)]
        for key, data in zip(items[::2], items[1::2], strict=True):
            # The number of the next package is kept under the key 0.
            if key[0] != _INLINE or key[1:].strip(b"\0"):
                yield self._value(data)

    def _value(self, item: bytes) -> bytes:
        if item[0] == _INLINE:
            return item[1:]
        if item[0] != _OFF_PAGE or len(item) < 12:
            raise MetadataInvalidError("a value of a kind that rpm does not write")
        number, size = struct.unpack_from(self._order + "II", item, 4)
        if size > MOST_BYTES:
            raise MetadataInvalidError("a package of more than 16 MiB")
        value = bytearray()
        while len(value) < size:
            if not 0 < number < self.count or self._seen[number]:
                raise MetadataInvalidError("a page that is not there, or met twice")
            self._seen[number] = 1
            page = self.read(number)
            following, length = struct.unpack_from(self._order + "I2xH", page, 16)
            if page[25] != _OVERFLOW or not 0 < length <= self._size - _PAGE_BYTES:
                raise MetadataInvalidError("a page that is no part of a value")
            value += page[_PAGE_BYTES : _PAGE_BYTES + length]
            number = following
        if len(value) != size:
            raise MetadataInvalidError("a value that is longer than it says")
        return bytes(value)
