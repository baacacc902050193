"""Installed conda packages: one record each in an environment's `conda-meta`.

Format: conda, `conda.models.records.PrefixRecord`. No OSV source speaks of conda packages, so an image with them is
never complete; their names are still worth knowing. Design: scanning.md, section 5.
"""

from collections.abc import Iterator
from typing import ClassVar, Final

import msgspec

from entrepot.scanning.extractor import MemberReader, document, library, value
from entrepot.scanning.model import Package

FOLDER: Final = "conda-meta"
# The list of files is in the record: 4 MiB for 15,000 headers.
RECORD_BYTES: Final = 16 << 20


class _Record(msgspec.Struct, frozen=True):
    name: str = ""
    version: str = ""
    subdir: str = ""


_DECODER: Final = msgspec.json.Decoder(_Record)


class CondaExtractor:
    """Reads `conda-meta/*.json`."""

    name: ClassVar[str] = "conda"
    databases: ClassVar[frozenset[str]] = frozenset()
    folders: ClassVar[frozenset[str]] = frozenset()

    def wants(self, path: str) -> bool:
        """Whether *path* is an installed package's record."""
        folder, _, name = path.rpartition("/")
        return name.endswith(".json") and (folder == FOLDER or folder.endswith(f"/{FOLDER}"))

    def extract(self, path: str, reader: MemberReader) -> Iterator[Package]:
        """The one package; arch is the channel's subdirectory (`linux-64`, `noarch`).

        Raises MetadataInvalidError if it is no record, or names no package or version.
        """
        record = document(reader, _DECODER, RECORD_BYTES)
        yield library("conda", record.name, record.version, path, arch=value(record.subdir))
