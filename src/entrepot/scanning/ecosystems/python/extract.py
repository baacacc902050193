"""Installed Python distributions, wherever they lie.

Formats: Core metadata specification; "Recording installed projects" (dist-info); setuptools' egg-info. Names are
compared as in the specification "Names and normalization" (PEP 503). Design: scanning.md, section 5.
"""

import re
from collections.abc import Iterator
from typing import ClassVar, Final

from entrepot.scanning.extractor import MemberReader, library, lines, value
from entrepot.scanning.model import Package

RUNS: Final = re.compile(r"[-_.]+")
ENDINGS: Final = (".dist-info/METADATA", ".egg-info/PKG-INFO", ".egg-info")
FIELDS: Final = frozenset((b"name", b"version"))


class PythonExtractor:
    """Reads `*.dist-info/METADATA`, `*.egg-info/PKG-INFO` and `*.egg-info` files."""

    name: ClassVar[str] = "python"
    databases: ClassVar[frozenset[str]] = frozenset()
    folders: ClassVar[frozenset[str]] = frozenset()

    def wants(self, path: str) -> bool:
        """Whether *path* is an installed distribution's metadata file."""
        return path.endswith(ENDINGS)

    def extract(self, path: str, reader: MemberReader) -> Iterator[Package]:
        """The one distribution; source_name is its normalized name.

        Raises MetadataInvalidError if the headers, up to the first empty line, name none.
        """
        fields: dict[bytes, bytes] = {}
        for line in lines(reader):
            if not line.strip():
                break
            key, _, content = line.partition(b":")
            key = key.lower()
            if key in FIELDS:
                fields.setdefault(key, content)
        name, version = fields.get(b"name", b""), fields.get(b"version", b"")
        yield library("pypi", name, version, path, source_name=normalized(value(name)))


def normalized(name: str) -> str:
    """A distribution's *name* as indexes compare it: `Zope.Interface` is `zope-interface`."""
    return RUNS.sub("-", name).lower()
