"""Programs as files: ELF, PE and Mach-O, as far as reading what a linker left in them needs.

Formats: System V ABI, "Object Files" and "Program Header"; Microsoft, "PE Format"; Apple, mach-o/loader.h. Only
tables of headers are read, each of a size that was checked; nothing is loaded. Design: scanning.md, sections 3.1, 5.
"""

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from entrepot.scanning.extractor import Aside, MetadataInvalidError
from entrepot.scanning.model import Package

ELF: Final = b"\x7fELF"
PE: Final = b"MZ"
# 32 and 64 bits, both byte orders; the universal form is several programs in one file.
MACH_O: Final = frozenset((b"\xfe\xed\xfa\xce", b"\xfe\xed\xfa\xcf", b"\xce\xfa\xed\xfe", b"\xcf\xfa\xed\xfe"))
MAGIC_BYTES: Final = 4
MOST_TABLE_BYTES: Final = 1 << 20
MOST_HEADERS: Final = 4_096

_ELF_LOAD: Final = 1
_ELF_WRITABLE: Final = 2
_ELF_NO_BYTES: Final = 8  # SHT_NOBITS: .bss
_PE_WRITABLE: Final = 0x80000000
_PE_PLUS: Final = 0x20B
_MACH_SEGMENT_32: Final = 0x1
_MACH_SEGMENT_64: Final = 0x19
_MACH_WRITABLE: Final = 2


@dataclass(frozen=True, slots=True)
class Region:
    """A stretch of the file that is loaded at *address*; name is empty for a segment of ELF."""

    name: str
    address: int
    offset: int
    size: int
    is_writable: bool


@dataclass(frozen=True, slots=True)
class Executable:
    """A program: the stretches of its file that are loaded (segments), and those that have names (sections).

    defect: why sections are missing that it may have, empty if none are.
    """

    file: Aside
    is_big_endian: bool
    segments: tuple[Region, ...]
    sections: tuple[Region, ...]
    defect: str = ""

    def section(self, name: str) -> Region | None:
        """The first section *name*; None if there is none."""
        return next((section for section in self.sections if section.name == name), None)

    def at(self, address: int, size: int) -> bytes:
        """The *size* bytes that are loaded at *address*. Raises MetadataInvalidError if no segment has them."""
        for segment in self.segments:
            if 0 <= address - segment.address <= segment.size - size:
                return self.file.read(segment.offset + address - segment.address, size)
        raise MetadataInvalidError("an address that is not loaded from the file")


class BinaryExtractor(Protocol):
    """What one ecosystem's linker leaves in programs. name: the ecosystem's name in problem codes."""

    @property
    def name(self) -> str: ...  # noqa: D102

    def extract(self, path: str, program: Executable) -> Iterator[Package]:
        """The packages that *program*, the file at *path*, says it was linked from; none if it is not of its kind.

        Equal bytes give equal packages. Raises MetadataInvalidError, and nothing else of its own.
        """
        ...


def is_executable(head: bytes) -> bool:
    """Whether a file that begins with *head* (MAGIC_BYTES of it) is a program of a kind that is read here."""
    return head.startswith((ELF, PE)) or head in MACH_O


def read_executable(file: Aside) -> Executable | None:
    """The program in *file*; None if it only looks like one (a DOS program, a text that begins with `MZ`).

    Raises MetadataInvalidError for headers that contradict the file.
    """
    magic = file.read(0, min(MAGIC_BYTES, file.size))
    if magic == ELF:
        return _elf(file)
    return _mach_o(file, magic) if magic in MACH_O else _pe(file)


def _elf(file: Aside) -> Executable:
    ident = file.read(0, 16)
    if ident[4] not in {1, 2} or ident[5] not in {1, 2}:
        raise MetadataInvalidError("neither 32 nor 64 bits, or no byte order")
    is_64, is_big = ident[4] == 2, ident[5] == 2
    order = ">" if is_big else "<"
    fields = struct.unpack(
        order + ("16xHHIQQQIHHHHHH" if is_64 else "16xHHIIIIIHHHHHH"), file.read(0, 64 if is_64 else 52)
    )
    _, _, _, _, segments_at, sections_at, _, _, segment_size, segments, section_size, sections, names_at = fields
    segment_form = struct.Struct(order + ("IIQQQQQQ" if is_64 else "IIIIIIII"))
    section_form = struct.Struct(order + ("IIQQQQIIQQ" if is_64 else "IIIIIIIIII"))
    loaded = []
    for row in _rows(file, segment_form, segments_at, segment_size, segments):
        kind, flags, offset, address, size = (
            (row[0], row[1], row[2], row[3], row[5]) if is_64 else (row[0], row[6], row[1], row[2], row[4])
        )
        if kind == _ELF_LOAD:
            loaded.append(Region("", address, offset, size, bool(flags & _ELF_WRITABLE)))
    try:
        rows = _rows(file, section_form, sections_at, section_size, sections)
        names = _section_names(file, rows, names_at)
        defect = "a table of sections without a number" if sections_at and not rows else ""
    except MetadataInvalidError as error:
        rows, names, defect = [], b"", error.message  # a program runs without them, and packers break them
    named = tuple(
        Region(_text(names, row[0]), row[3], row[4], row[5], bool(row[2] & 1))
        for row in rows
        if row[1] != _ELF_NO_BYTES
    )
    return Executable(file, is_big, tuple(loaded), named, defect)


def _section_names(file: Aside, rows: Sequence[tuple[Any, ...]], names_at: int) -> bytes:
    """What the names in *rows* are offsets into. Raises MetadataInvalidError if any is beyond it."""
    if not rows:
        return b""
    if names_at >= len(rows):
        raise MetadataInvalidError("names of sections in a section that is not there")
    names = file.read(rows[names_at][4], min(rows[names_at][5], MOST_TABLE_BYTES))
    if any(row[0] >= len(names) for row in rows):
        raise MetadataInvalidError("a section without a name")
    return names


def _pe(file: Aside) -> Executable | None:
    if file.size < 0x40:
        return None
    start = int.from_bytes(file.read(0x3C, 4), "little")
    if start + 26 > file.size or file.read(start, 4) != b"PE\0\0":
        return None
    (sections, optional) = struct.unpack("<2xH12xH2x", file.read(start + 4, 20))
    (kind,) = struct.unpack("<H", file.read(start + 24, 2))
    base_at, base_size = (start + 48, 8) if kind == _PE_PLUS else (start + 52, 4)
    base = int.from_bytes(file.read(base_at, base_size), "little")
    named = []
    for row in _rows(file, struct.Struct("<8sIIII12xI"), start + 24 + optional, 40, sections):
        name, memory_size, address, size, offset, flags = row
        # What is beyond the section's size in memory is padding of the file.
        loaded = min(size, memory_size) if memory_size else size
        named.append(Region(_text(name, 0), base + address, offset, loaded, bool(flags & _PE_WRITABLE)))
    return Executable(file, is_big_endian=False, segments=tuple(named), sections=tuple(named))


def _mach_o(file: Aside, magic: bytes) -> Executable:
    is_big, is_64 = magic[0] == 0xFE, 0xCF in magic
    order = ">" if is_big else "<"
    commands, commands_size = struct.unpack(order + "16xII", file.read(0, 24))
    start = 32 if is_64 else 28
    if commands_size > MOST_TABLE_BYTES or commands > MOST_HEADERS:
        raise MetadataInvalidError("more load commands than any program has")
    table = file.read(start, commands_size)
    segment_form = struct.Struct(order + ("8x16sQQQQIIII" if is_64 else "8x16sIIIIIIII"))
    section_form = struct.Struct(order + ("16s16xQQI28x" if is_64 else "16s16xIII24x"))
    segments: list[Region] = []
    sections: list[Region] = []
    at = 0
    for _ in range(commands):
        kind, size = struct.unpack_from(order + "II", _within(table, at, 8))
        if kind in {_MACH_SEGMENT_32, _MACH_SEGMENT_64}:
            row = segment_form.unpack(_within(table, at, segment_form.size))
            name, address, _, offset, file_size, _, protection, count, _ = row
            is_writable = bool(protection & _MACH_WRITABLE)
            segments.append(Region(_text(name, 0), address, offset, file_size, is_writable))
            if len(sections) + count > MOST_HEADERS:
                raise MetadataInvalidError("more sections than any program has")
            for index in range(count):
                place = at + segment_form.size + index * section_form.size
                title, begin, length, where = section_form.unpack(_within(table, place, section_form.size))
                sections.append(Region(_text(title, 0), begin, where, length, is_writable))
        if size < 8:
            raise MetadataInvalidError("a load command without a size")
        at += size
    return Executable(file, is_big, tuple(segments), tuple(sections))


def _rows(file: Aside, form: struct.Struct, offset: int, stride: int, count: int) -> list[tuple[Any, ...]]:
    """*count* rows of a table, each *form* at the beginning of *stride* bytes."""
    if not count:
        return []
    if stride < form.size or stride * count > MOST_TABLE_BYTES or count > MOST_HEADERS:
        raise MetadataInvalidError("a table of headers that no program has")
    table = file.read(offset, stride * count)
    return [form.unpack_from(table, index * stride) for index in range(count)]


def _within(table: bytes, at: int, size: int) -> bytes:
    if at + size > len(table):
        raise MetadataInvalidError("load commands beyond their end")
    return table[at : at + size]


def _text(names: bytes, at: int) -> str:
    return names[at : at + 64].partition(b"\0")[0].decode("latin-1")
