"""Packages of rpm: its database in each of its three forms, and the list that images without rpm carry.

Design: scanning.md, section 5. Whichever form a database has is seen from its first bytes, not from its name.
"""

from collections.abc import Iterator
from typing import ClassVar, Final

from entrepot.scanning.ecosystems.rpm import bdb, manifest, ndb, sqlite
from entrepot.scanning.ecosystems.rpm.header import (
    ARCH,
    EPOCH,
    MODULARITY_LABEL,
    NAME,
    RELEASE,
    SOURCE_RPM,
    VENDOR,
    VERSION,
    fields,
)
from entrepot.scanning.extractor import Aside, MemberReader, MetadataInvalidError, aside, each
from entrepot.scanning.model import Package
from entrepot.scanning.versions.rpm import source_of

FOLDERS: Final = ("var/lib/rpm", "usr/lib/sysimage/rpm")
LOG: Final = "rpmdb.sqlite-wal"
LIST: Final = "var/lib/rpmmanifest/container-manifest-2"
NO_PACKAGE: Final = "gpg-pubkey"
MOST_HEADERS: Final = 100_000
"""How many headers are looked at, broken ones too: a small file can name the same one for ever."""


class RpmExtractor:
    """Reads `rpmdb.sqlite`, `Packages.db` (ndb) and `Packages` (Berkeley DB) in both of rpm's folders, and the list."""

    name: ClassVar[str] = "rpm"
    databases: ClassVar[frozenset[str]] = frozenset(
        (LIST, *(f"{folder}/{file}" for folder in FOLDERS for file in ("rpmdb.sqlite", "Packages.db", "Packages")))
    )
    folders: ClassVar[frozenset[str]] = frozenset()

    def wants(self, path: str) -> bool:
        """Whether *path* is a database, the list, or what sqlite has not yet written into a database."""
        return path in self.databases or (path.endswith(LOG) and path.removesuffix(f"/{LOG}") in FOLDERS)

    def extract(self, path: str, reader: MemberReader) -> Iterator[Package]:
        """The installed packages; keys that rpm keeps as packages (gpg-pubkey) are none.

        Raises MetadataInvalidError at the end if a header or line was not usable, at once if the file is of no known
        form, and for a write-ahead log that is not empty: its packages were not read.
        """
        if path.endswith(LOG):
            if reader.read(1):
                raise MetadataInvalidError("changes that are not in the database yet")
            return
        if path == LIST:
            yield from each(manifest.entries(reader), lambda line: _package(manifest.fields(line), path))
            return
        yield from each(_headers(aside(reader)), lambda header: _package(fields(header), path))


def _headers(file: Aside) -> Iterator[bytes]:
    """Those in the database. Raises MetadataInvalidError for a file of no known form, or of too many."""
    for number, header in enumerate(_opened(file), 1):
        if number > MOST_HEADERS:
            raise MetadataInvalidError("more packages than any system has")
        yield header


def _opened(file: Aside) -> Iterator[bytes]:
    head = file.read(0, min(16, file.size))
    if head == sqlite.MAGIC:
        return sqlite.headers(file)
    if head.startswith(ndb.MAGIC):
        return ndb.headers(file)
    if bdb.is_hash(head):
        return bdb.headers(file)
    raise MetadataInvalidError("no database of rpm's")


def _package(tags: dict[int, str], path: str) -> Package | None:
    """The package of a header or line; None if it is a key."""
    name, version, release = tags.get(NAME, ""), tags.get(VERSION, ""), tags.get(RELEASE, "")
    if name == NO_PACKAGE:
        return None
    if not name or not version:
        raise MetadataInvalidError("a package without a name or version")
    epoch = f"{tags[EPOCH]}:" if tags.get(EPOCH, "0") != "0" else ""
    full = f"{epoch}{version}-{release}" if release else f"{epoch}{version}"
    source, source_version = source_of(tags.get(SOURCE_RPM, ""))
    return Package(
        ecosystem="rpm",
        name=name,
        version=full,
        arch=tags.get(ARCH, ""),
        source_name=source or name,
        source_version=f"{epoch}{source_version}" if source else full,
        path=path,
        vendor=tags.get(VENDOR, ""),
        module=tags.get(MODULARITY_LABEL, ""),
    )
