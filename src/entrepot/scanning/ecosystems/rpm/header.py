"""One package's header as rpm's databases keep it: a table of tags, then their data.

Format: RPM file format 4, "Header Structure" (without the magic); tag numbers: rpm, "RPM Tags".
"""

import struct
from typing import Final

from entrepot.scanning.extractor import LONGEST_VALUE, MetadataInvalidError, value

NAME: Final = 1000
VERSION: Final = 1001
RELEASE: Final = 1002
EPOCH: Final = 1003
VENDOR: Final = 1011
ARCH: Final = 1022
SOURCE_RPM: Final = 1044
MODULARITY_LABEL: Final = 5096

WANTED: Final = frozenset((NAME, VERSION, RELEASE, EPOCH, VENDOR, ARCH, SOURCE_RPM, MODULARITY_LABEL))
MOST_TAGS: Final = 0xFFFF
MOST_BYTES: Final = 16 << 20
"""The largest header that is read. A kernel with all its files has 5 MB."""

_INT32: Final = 4
_STRING: Final = 6
_I18N: Final = 9
_ENTRY: Final = struct.Struct(">IIiI")


def fields(header: bytes) -> dict[int, str]:
    """The WANTED tags of *header* as text; EPOCH in decimal. Absent ones are absent.

    Raises MetadataInvalidError if the table contradicts the header's length, or a wanted tag is not of its type.
    """
    if len(header) < 8:
        raise MetadataInvalidError("a header without a table")
    tags, size = struct.unpack_from(">II", header)
    start = 8 + _ENTRY.size * tags
    if tags > MOST_TAGS or start + size != len(header):
        raise MetadataInvalidError("a header whose table and length disagree")
    found: dict[int, str] = {}
    for tag, kind, offset, count in _ENTRY.iter_unpack(header[8:start]):
        if tag not in WANTED or tag in found:
            continue
        place = start + offset
        if offset < 0 or not count:
            raise MetadataInvalidError("a tag without a place")
        if tag == EPOCH:
            if kind != _INT32 or place + 4 > len(header):
                raise MetadataInvalidError("an epoch that is no number")
            found[tag] = str(int.from_bytes(header[place : place + 4], "big"))
        else:
            # One byte more than a value may have, so that `value` sees a longer one.
            end = header.find(b"\0", place, place + LONGEST_VALUE + 1)
            if kind not in {_STRING, _I18N} or place >= len(header):
                raise MetadataInvalidError("a tag that is no text")
            found[tag] = value(header[place : end if end >= 0 else place + LONGEST_VALUE + 1])
    return found
