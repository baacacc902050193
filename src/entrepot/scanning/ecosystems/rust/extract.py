"""Rust programs built with cargo-auditable: the crates that were linked in.

Format: cargo-auditable, PARSING.md and its JSON schema: the section `.dep-v0` holds a zlib stream of one JSON
document, at most 8 MiB. Design: scanning.md, sections 3.1 and 5.
"""

import zlib
from collections.abc import Iterator
from typing import ClassVar, Final

import msgspec

from entrepot.scanning.executables import Executable
from entrepot.scanning.extractor import MetadataInvalidError, decoded, each, library
from entrepot.scanning.model import Package

SECTION: Final = ".dep-v0"
MOST_PACKED_BYTES: Final = 1 << 20
MOST_BYTES: Final = 8 << 20


class _Crate(msgspec.Struct, frozen=True, gc=False):
    name: str
    version: str
    kind: str = "runtime"


class _Crates(msgspec.Struct, frozen=True):
    packages: list[_Crate]


_DECODER: Final = msgspec.json.Decoder(_Crates)


class RustExtractor:
    """Reads the section `.dep-v0` of ELF, PE and Mach-O programs."""

    name: ClassVar[str] = "rust"

    def extract(self, path: str, program: Executable) -> Iterator[Package]:
        """The crates that are linked in, the program's own among them; not those that only built it.

        Raises MetadataInvalidError at once if the section holds no such list, at the end if a crate has no name.
        """
        section = program.section(SECTION)
        if section is None:
            return
        if section.size > MOST_PACKED_BYTES:
            raise MetadataInvalidError(f"a list of crates of more than {MOST_PACKED_BYTES:,} bytes")
        crates = decoded(_inflated(program.file.read(section.offset, section.size)), _DECODER)
        linked = (crate for crate in crates.packages if crate.kind != "build")
        yield from each(linked, lambda crate: library("crates.io", crate.name, crate.version, path))


def _inflated(packed: bytes) -> bytes:
    """What *packed* holds; PE pads the section with zeros, which come after the stream."""
    inflater = zlib.decompressobj()
    try:
        data = inflater.decompress(packed, MOST_BYTES)
    except zlib.error:
        raise MetadataInvalidError("a list of crates that can't be inflated") from None
    if not inflater.eof:
        raise MetadataInvalidError(f"a list of crates that was cut short, or is over {MOST_BYTES:,} bytes")
    return data
