"""Go modules linked into a program: the build information that Go's linker leaves in it.

Formats: Go, debug/buildinfo (both encodings: strings inline since Go 1.18, behind pointers before) and
runtime/debug.ParseBuildInfo (the lines). Design: scanning.md, section 5.
"""

import io
import re
from collections.abc import Iterator
from typing import ClassVar, Final, Literal

from entrepot.scanning.executables import Executable, Region
from entrepot.scanning.extractor import MetadataInvalidError, value
from entrepot.scanning.model import Package

MAGIC: Final = b"\xff Go buildinf:"
SECTIONS: Final = (".go.buildinfo", "__go_buildinfo")
ALIGNMENT: Final = 16
HEADER_BYTES: Final = 32
SENTINEL_BYTES: Final = 16
MOST_INFO_BYTES: Final = 1 << 20
STEP_BYTES: Final = 1 << 20

DEVELOPMENT: Final = "(devel)"
STANDARD_LIBRARY: Final = "stdlib"
_INLINE: Final = 2
_BIG_ENDIAN: Final = 1
_EXPERIMENTS: Final = re.compile(r"[ -]X:")
_BUILDER: Final = re.compile(r"[ +-]")
# `-X` sets a variable of the program, and the usual name of the one for the version is this.
_LINKED_VERSION: Final = re.compile(r"-X[ =]['\"]?[^\s='\"]*\.version=(v?\d+\.\d+\.\d+[^\s'\"]*)", re.IGNORECASE)


class GolangExtractor:
    """Reads the build information of ELF, PE and Mach-O programs."""

    name: ClassVar[str] = "golang"

    def extract(self, path: str, program: Executable) -> Iterator[Package]:
        """The standard library, the main module and each module it was linked with, at the replacement if replaced.

        Raises MetadataInvalidError for build information that contradicts itself, after the standard library if only
        its lines about modules do.
        """
        place = _place(program)
        if place is None:
            return
        go_version, modules = _read(program, place)
        library = _EXPERIMENTS.split(go_version, maxsplit=1)[0]
        # What a distribution adds to Go's version (`go1.22.5-fips`, `go1.19.13 (Red Hat …)`) is no part of its order.
        yield _package(STANDARD_LIBRARY, library, path, _BUILDER.split(library, maxsplit=1)[0])
        for name, version in _modules(_lines(modules)):
            yield _package(name, version, path, version)


def _package(name: str, version: str, path: str, compared: str) -> Package:
    if not name or not version:
        raise MetadataInvalidError("a module without a name or version")
    return Package("go", name, version, "", name, compared, path)


def _place(program: Executable) -> int | None:
    """Where in the file the build information begins; None if there is none, so it is no program of Go's."""
    named = [section for section in program.sections if section.name in SECTIONS]
    left = program.file.size
    for region in named or [segment for segment in program.segments if segment.is_writable]:
        left -= region.size
        if left < 0:
            raise MetadataInvalidError("segments that are larger than their file")
        found = _search(program, region)
        if found is not None:
            return found
    return None


def _search(program: Executable, region: Region) -> int | None:
    end = min(region.offset + region.size, program.file.size)
    for start in range(region.offset, end, STEP_BYTES):
        data = program.file.read(start, min(STEP_BYTES + len(MAGIC), end - start))
        at = data.find(MAGIC)
        while at >= 0:
            if (start + at - region.offset) % ALIGNMENT == 0 and start + at + HEADER_BYTES <= end:
                return start + at
            at = data.find(MAGIC, at + 1)
    return None


def _read(program: Executable, place: int) -> tuple[str, bytes]:
    """Go's version and the text about modules."""
    header = program.file.read(place, HEADER_BYTES)
    pointer_bytes, flags = header[14], header[15]
    if flags & _INLINE:
        version, after = _inline(program, place + HEADER_BYTES)
        modules, _ = _inline(program, after)
    elif pointer_bytes in {4, 8}:
        order: Literal["big", "little"] = "big" if flags & _BIG_ENDIAN else "little"
        version, modules = (
            _pointed(program, header[16 + at : 16 + at + pointer_bytes], order) for at in (0, pointer_bytes)
        )
    else:
        raise MetadataInvalidError("build information of no known form")
    return value(version), modules


def _lines(modules: bytes) -> Iterator[str]:
    """The lines of the text about modules, which 16 bytes before and after guard; a program may have no such text."""
    if modules and (len(modules) <= 2 * SENTINEL_BYTES or modules[-SENTINEL_BYTES - 1 : -SENTINEL_BYTES] != b"\n"):
        raise MetadataInvalidError("modules without the bytes that guard them")
    for line in io.BytesIO(modules[SENTINEL_BYTES:-SENTINEL_BYTES]):
        yield line.decode("utf-8", "backslashreplace").rstrip("\n")


def _inline(program: Executable, at: int) -> tuple[bytes, int]:
    """The text at *at*, after its length as a varint, and the place behind it."""
    size = shift = 0
    while True:
        byte = program.file.read(at, 1)[0]
        at += 1
        size |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            break
        if shift > 28:
            raise MetadataInvalidError("a length of no known form")
    return _bounded(program, at, size), at + size


def _pointed(program: Executable, pointer: bytes, order: Literal["big", "little"]) -> bytes:
    """The text of the Go string whose header *pointer* points to: an address and a length."""
    size = len(pointer)
    header = program.at(int.from_bytes(pointer, order), 2 * size)
    length = int.from_bytes(header[size:], order)
    if length > MOST_INFO_BYTES:
        raise MetadataInvalidError("build information of more than 1 MiB")
    return program.at(int.from_bytes(header[:size], order), length)


def _bounded(program: Executable, at: int, size: int) -> bytes:
    if size > MOST_INFO_BYTES:
        raise MetadataInvalidError("build information of more than 1 MiB")
    return program.file.read(at, size)


def _modules(lines: Iterator[str]) -> Iterator[tuple[str, str]]:
    """Name and version of each module, in the order of *lines*: the main one, then its dependencies."""
    modules: list[tuple[str, str]] = []
    linked = ""
    for line in lines:
        word, _, rest = line.partition("\t")
        columns = rest.split("\t")
        if word in {"mod", "dep"}:
            modules.append((columns[0], columns[1] if len(columns) > 1 else ""))
        elif word == "=>" and modules:
            modules[-1] = _replacement(modules[-1][0], columns)
        elif word == "build" and rest.startswith("-ldflags="):
            found = _LINKED_VERSION.search(rest)
            linked = found[1] if found else ""
    for index, (name, version) in enumerate(modules):
        is_main = index == 0 and version in {"", DEVELOPMENT}
        shown = linked if is_main and linked else version or DEVELOPMENT
        yield value(name), value(shown)


def _replacement(name: str, columns: list[str]) -> tuple[str, str]:
    """The module that stands for *name*; one from a folder has no version that could be compared."""
    version = columns[1] if len(columns) > 1 else ""
    return (columns[0], version) if version and version != DEVELOPMENT else (name, DEVELOPMENT)
