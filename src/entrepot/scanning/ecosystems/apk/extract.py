"""Alpine packages: apk's installed database. Format: apk-tools, "installed database v2". Design: scanning.md, 5."""

from collections.abc import Iterator
from typing import ClassVar, Final

from entrepot.scanning.extractor import MemberReader, MetadataInvalidError, each, lines, value
from entrepot.scanning.model import Package

FIELDS: Final = frozenset((b"P:", b"V:", b"A:", b"o:"))


class ApkExtractor:
    """Reads `lib/apk/db/installed` and its newer place below `usr`."""

    name: ClassVar[str] = "apk"
    databases: ClassVar[frozenset[str]] = frozenset(("lib/apk/db/installed", "usr/lib/apk/db/installed"))
    folders: ClassVar[frozenset[str]] = frozenset()

    def wants(self, path: str) -> bool:
        """Whether *path* is an installed database."""
        return path in self.databases

    def extract(self, path: str, reader: MemberReader) -> Iterator[Package]:
        """The installed packages; the source is the origin, at the package's own version.

        Raises MetadataInvalidError at the end of the file if an entry had no usable name or version.
        """
        yield from each(_entries(reader), lambda fields: _package(fields, path))


def _entries(reader: MemberReader) -> Iterator[dict[bytes, bytes]]:
    """The wanted fields of each entry; an empty mapping stands for one without any of them."""
    fields: dict[bytes, bytes] = {}
    is_open = False
    for line in lines(reader):
        if not line.strip():
            if is_open:
                yield fields
            fields, is_open = {}, False
            continue
        is_open = True
        # A file's lines (F: R: Z: …) follow its package's; none of the wanted keys comes again among them.
        if line[:2] in FIELDS:
            fields[line[:2]] = line[2:]
    if is_open:
        yield fields


def _package(fields: dict[bytes, bytes], path: str) -> Package:
    name, version = value(fields.get(b"P:", b"")), value(fields.get(b"V:", b""))
    if not name or not version:
        raise MetadataInvalidError("an entry without P: or V:")
    return Package(
        ecosystem="apk",
        name=name,
        version=version,
        arch=value(fields.get(b"A:", b"")),
        source_name=value(fields.get(b"o:", b"")) or name,
        source_version=version,
        path=path,
    )
