"""Debian packages: dpkg's status file, and the single files of images built without dpkg.

Formats: deb-control(5); dpkg(1), "Package states"; Debian Policy 5.6.1 (Source). Design: scanning.md, section 5.
"""

import re
from collections.abc import Iterator
from typing import ClassVar, Final

from entrepot.scanning.extractor import MemberReader, MetadataInvalidError, each, lines, value
from entrepot.scanning.model import Package

STATUS: Final = "var/lib/dpkg/status"
SINGLE_FILES: Final = "var/lib/dpkg/status.d"
FIELDS: Final = frozenset((b"package", b"status", b"version", b"architecture", b"source"))
ABSENT: Final = frozenset(("not-installed", "config-files"))
SOURCE: Final = re.compile(r"(?P<name>[^\s()]+)(?:\s+\((?P<version>[^()]*)\))?\Z")


class DpkgExtractor:
    """Reads `var/lib/dpkg/status` and `var/lib/dpkg/status.d/*`."""

    name: ClassVar[str] = "dpkg"
    databases: ClassVar[frozenset[str]] = frozenset((STATUS,))
    folders: ClassVar[frozenset[str]] = frozenset((SINGLE_FILES,))

    def wants(self, path: str) -> bool:
        """Whether *path* is the status file or a single package's file (not its list of checksums)."""
        if path == STATUS:
            return True
        folder, _, name = path.rpartition("/")
        return folder == SINGLE_FILES and not name.endswith(".md5sums")

    def extract(self, path: str, reader: MemberReader) -> Iterator[Package]:
        """The installed packages. A paragraph without Status, as in status.d, is an installed package.

        Raises MetadataInvalidError at the end of the file if a paragraph had no usable name, version or source.
        """
        yield from each(_paragraphs(reader), lambda fields: _package(fields, path))


def _paragraphs(reader: MemberReader) -> Iterator[dict[bytes, bytes]]:
    """The wanted fields of each paragraph; an empty mapping stands for one without any of them."""
    fields: dict[bytes, bytes] = {}
    is_open = False
    for line in lines(reader):
        if not line.strip():
            if is_open:
                yield fields
            fields, is_open = {}, False
            continue
        is_open = True
        if line[:1] in b" \t":
            continue
        key, _, content = line.partition(b":")
        key = key.lower()
        if key in FIELDS:
            fields[key] = content
    if is_open:
        yield fields


def _package(fields: dict[bytes, bytes], path: str) -> Package | None:
    """The package of a paragraph; None if it is not installed."""
    status = value(fields.get(b"status", b"")).split()
    if status and status[-1] in ABSENT:
        return None
    name, version = value(fields.get(b"package", b"")), value(fields.get(b"version", b""))
    if not name or not version:
        raise MetadataInvalidError("a paragraph without Package or Version")
    source = SOURCE.match(value(fields.get(b"source", b"")) or name)
    if source is None:
        raise MetadataInvalidError(f"{name}: a Source that is no name")
    return Package(
        ecosystem="deb",
        name=name,
        version=version,
        arch=value(fields.get(b"architecture", b"")),
        source_name=source["name"],
        source_version=source["version"] or version,
        path=path,
    )
