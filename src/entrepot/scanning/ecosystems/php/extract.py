"""Installed Composer packages.

Format: composer, `FilesystemRepository::write`: an object with `packages` (Composer 2), or the
bare array (Composer 1). The application itself is not among them. Design: scanning.md, section 5.
"""

from collections.abc import Iterator
from typing import ClassVar, Final

import msgspec

from entrepot.scanning.extractor import MemberReader, document, each, library, value
from entrepot.scanning.model import Package

INSTALLED: Final = "composer/installed.json"


class _Entry(msgspec.Struct, frozen=True, gc=False):
    name: str = ""
    version: str = ""


class _Installed(msgspec.Struct, frozen=True):
    packages: list[_Entry]


_DECODER: Final = msgspec.json.Decoder(_Installed | list[_Entry])


class PhpExtractor:
    """Reads `composer/installed.json` in any vendor directory."""

    name: ClassVar[str] = "php"
    databases: ClassVar[frozenset[str]] = frozenset()
    folders: ClassVar[frozenset[str]] = frozenset()

    def wants(self, path: str) -> bool:
        """Whether *path* is Composer's list of what it installed."""
        return path == INSTALLED or path.endswith(f"/{INSTALLED}")

    def extract(self, path: str, reader: MemberReader) -> Iterator[Package]:
        """The installed packages; source_name is the name in lower case, by which Composer compares.

        Raises MetadataInvalidError at once if it is no such list, at the end if an entry has no name or version.
        """
        installed = document(reader, _DECODER)
        entries = installed.packages if isinstance(installed, _Installed) else installed
        yield from each(entries, lambda entry: _package(entry, path))


def _package(entry: _Entry, path: str) -> Package:
    return library("packagist", entry.name, entry.version, path, source_name=value(entry.name).lower())
