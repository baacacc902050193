"""rpm's ndb database, `Packages.db`: pages of slots that say where each package's header lies.

Format: rpm, lib/backend/ndb/rpmpkg.c (described there in comments); all numbers are little-endian.
"""

import struct
from collections.abc import Iterator
from itertools import islice
from typing import Final

from entrepot.scanning.ecosystems.rpm.header import MOST_BYTES
from entrepot.scanning.extractor import Aside, MetadataInvalidError

MAGIC: Final = b"RpmP"

_PAGE_BYTES: Final = 4096
_BLOCK_BYTES: Final = 16
_SLOT: Final = struct.Struct("<4sIII")
_SLOTS_IN_HEADER: Final = 2  # the file's own header takes their place
_BLOB: Final = struct.Struct("<4sIII")
_MOST_SLOT_PAGES: Final = 2_048


def headers(file: Aside) -> Iterator[bytes]:
    """The header of each installed package, in the order of their slots. Raises MetadataInvalidError."""
    version, _, pages = struct.unpack_from("<III", file.read(0, 32), 4)
    if version != 0 or not 0 < pages <= _MOST_SLOT_PAGES:
        raise MetadataInvalidError("a version or number of slots that ndb does not have")
    left, seen = file.size, set[int]()
    slots = file.read(0, pages * _PAGE_BYTES)
    for magic, index, block, _ in islice(_SLOT.iter_unpack(slots), _SLOTS_IN_HEADER, None):
        if magic != b"Slot":
            raise MetadataInvalidError("a slot that is none")
        if not index:
            continue
        if index in seen:
            raise MetadataInvalidError("two slots of one package")
        seen.add(index)
        start = block * _BLOCK_BYTES
        blob, number, _, size = _BLOB.unpack(file.read(start, _BLOB.size))
        # Slots that share their bytes would make a small file many large ones.
        left -= size
        if blob != b"BlbS" or number != index or size > MOST_BYTES or left < 0:
            raise MetadataInvalidError("a slot that leads to no package of its own")
        yield file.read(start + _BLOB.size, size)
