"""Installed node packages: the package.json of each folder that npm, yarn or pnpm put into a node_modules.

Formats: npm, package.json; Node.js, "Loading from node_modules folders". Lock files are not read. Design: scanning.md,
section 5.
"""

import re
from collections.abc import Iterator
from typing import ClassVar, Final

import msgspec

from entrepot.scanning.extractor import MemberReader, MetadataInvalidError, decoded, document, library, value
from entrepot.scanning.model import Package

ENDING: Final = "/package.json"
# A package's own folder: what lies deeper is part of it.
PLACE: Final = re.compile(r"(?:\A|/)node_modules/(?P<name>(?:@[^/]+/)?[^/@][^/]*)/package\.json\Z")


class Manifest(msgspec.Struct, frozen=True):
    """What of a package.json names the package, as written. Either may be of any type: it is not npm that wrote it."""

    name: msgspec.Raw = msgspec.Raw()
    version: msgspec.Raw = msgspec.Raw()


_DECODER: Final = msgspec.json.Decoder(Manifest)
_TEXT: Final = msgspec.json.Decoder(str)


class NpmExtractor:
    """Reads `node_modules/**/package.json`: also scoped, nested and bundled packages."""

    name: ClassVar[str] = "npm"
    databases: ClassVar[frozenset[str]] = frozenset()
    folders: ClassVar[frozenset[str]] = frozenset()

    def wants(self, path: str) -> bool:
        """Whether *path* is the package.json of an installed package's own folder."""
        return path.endswith(ENDING) and PLACE.search(path) is not None

    def extract(self, path: str, reader: MemberReader) -> Iterator[Package]:
        """The one package; none if the file gives no version, for then it is in no registry.

        A package without a name is called as its folder is. Raises MetadataInvalidError for a file that is no object of
        JSON, and for a version that is no text.
        """
        manifest = document(reader, _DECODER)
        version = _text(manifest.version)
        if version is None and bytes(manifest.version):
            raise MetadataInvalidError("a version that is no text")
        place = PLACE.search(path)
        name = _text(manifest.name) or (place["name"] if place else "")
        if name and version:
            yield library("npm", name, version, path)


def _text(written: msgspec.Raw) -> str | None:
    """A field's text; None if it is no text. What else it is was not built: there may be millions of it."""
    raw = bytes(written)
    return value(decoded(raw, _TEXT)) if raw.startswith(b'"') else None
