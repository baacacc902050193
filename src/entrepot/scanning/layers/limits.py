"""What a layer may cost. Design: scanning.md, section 3.1."""

from dataclasses import dataclass
from typing import Final

MIB: Final = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerLimits:
    """Limits of one walk over one layer; passing one gives a problem, never an exception.

    ratio: uncompressed bytes per byte of the whole layer, once ratio_after_bytes came out. window_bytes: what a
    decompressor may hold. pax_record_bytes, pax_bytes: one record, all records of a member. long_name_bytes: what is
    read of a GNU long name. database_bytes, metadata_bytes, text_bytes, binary_bytes, archive_bytes: one member of
    that kind; a larger one is not read. packages, entries: how many of them the facts may hold (an entry is a
    whiteout, an opaque directory, a link). facts_characters: all text of the facts together.
    """

    ratio: int = 200
    ratio_after_bytes: int = MIB
    uncompressed_bytes: int = 64 << 30
    members: int = 2_000_000
    path_bytes: int = 4_096
    depth: int = 512
    pax_record_bytes: int = 64 << 10
    pax_bytes: int = MIB
    window_bytes: int = 128 * MIB
    database_bytes: int = 256 * MIB
    metadata_bytes: int = 16 * MIB
    text_bytes: int = 64 << 10
    binary_bytes: int = 512 * MIB
    archive_bytes: int = 256 * MIB
    # Not the design's 500,000: with a 128 MiB zstd window open, 60 MB are left of the 200 MB for everything else, and
    # a character may take four bytes. Real layers have thousands.
    packages: int = 50_000
    entries: int = 50_000
    facts_characters: int = 4 * MIB
    problems_per_code: int = 20


class CutError(Exception):
    """The walk ends here. *code* becomes the problem's code; never leaves `layers`."""

    def __init__(self, code: str, detail: str = "") -> None:
        super().__init__(code, detail)
        self.code = code
        self.detail = detail
