"""Java archives and the archives in them: which Maven artifacts are inside.

Every pom.properties is an artifact, for shaded archives hold many. An archive that has none of its own is named by
its manifest and its file name, see `names`; one whose Maven group they don't tell is in an ecosystem of its own, for no
advisory could match it. Design: scanning.md, sections 3.1 and 5.
"""

import re
from collections.abc import Iterator
from typing import ClassVar, Final

from entrepot.scanning.ecosystems.java.archive import NESTING, Archive, Budget
from entrepot.scanning.ecosystems.java.names import (
    BEGINNING_BYTES,
    Coordinates,
    from_file_name,
    from_manifest,
    from_properties,
    main_attributes,
)
from entrepot.scanning.extractor import Aside, LimitExceededError, MemberReader, MetadataInvalidError, aside, library
from entrepot.scanning.model import Package

ENDINGS: Final = (".jar", ".war", ".ear", ".hpi", ".jpi")
PROPERTIES: Final = "pom.properties"
MANIFEST: Final = "META-INF/MANIFEST.MF"
WANTED: Final = re.compile(
    rb"META-INF/MANIFEST\.MF\Z|(?:.*/)?META-INF/maven/[^/]+/[^/]+/pom\.properties\Z|.*\.(?:jar|war|ear|hpi|jpi)\Z",
    re.DOTALL,
)
DEPTH: Final = 3


class JavaExtractor:
    """Reads `*.jar`, `*.war`, `*.ear`, and Jenkins' `*.hpi` and `*.jpi`, and what is nested in them."""

    name: ClassVar[str] = "java"
    databases: ClassVar[frozenset[str]] = frozenset()
    folders: ClassVar[frozenset[str]] = frozenset()

    def wants(self, path: str) -> bool:
        """Whether *path* is an archive by its name."""
        return path.endswith(ENDINGS)

    def extract(self, path: str, reader: MemberReader) -> Iterator[Package]:
        """Each artifact once, however often it is inside; path is the outermost archive.

        Raises MetadataInvalidError at the end if any part could not be read, LimitExceededError (`limit:nesting`) if
        any part was not, because it is nested too deeply or the whole holds too much.
        """
        file = aside(reader)
        reading = _Reading()
        found: set[Coordinates] = set()
        for coordinates in reading.outermost(file, path):
            if coordinates in found:
                continue
            found.add(coordinates)
            try:
                yield library(coordinates.ecosystem, coordinates.name, coordinates.version, path)
            except MetadataInvalidError as error:
                reading.note(error)
        if reading.defect is not None:
            raise reading.defect


class _Reading:
    """One outermost archive being read: what it may still cost, and the first thing that went wrong."""

    def __init__(self) -> None:
        self._budget = Budget()
        self.defect: MetadataInvalidError | None = None

    def note(self, error: MetadataInvalidError) -> None:
        """Keeps *error* for the end; one that stopped the reading tells more than one that did not."""
        if self.defect is None or (
            isinstance(error, LimitExceededError) and not isinstance(self.defect, LimitExceededError)
        ):
            # Its traceback would hold on to the archive that was being read, up to 64 MiB.
            self.defect = error.with_traceback(None)

    def outermost(self, file: Aside, path: str) -> Iterator[Coordinates]:
        """The artifacts of the archive in *file*."""
        try:
            archive = Archive(file, 0, file.size, self._budget)
        except MetadataInvalidError as error:
            self.note(error)
        else:
            yield from self._artifacts(archive, path, 0)

    def _artifacts(self, archive: Archive, path: str, depth: int) -> Iterator[Coordinates]:
        """The artifacts of an archive at *path* in the one around it, and of those in it."""
        manifest = b""
        held: set[str] = set()
        try:
            for entry in archive.entries(WANTED.match):
                try:
                    self._budget.spend(opened=1)
                    if entry.name == MANIFEST:
                        manifest = archive.beginning(entry, BEGINNING_BYTES)
                    elif entry.name.endswith(PROPERTIES):
                        coordinates = from_properties(archive.beginning(entry, BEGINNING_BYTES + 1), entry.name)
                        held.add(coordinates.artifact)
                        yield coordinates
                    elif depth == DEPTH:
                        raise LimitExceededError(NESTING, f"archives nested more than {DEPTH} deep")
                    else:
                        with archive.nested(entry) as inner:
                            yield from self._artifacts(inner, entry.name, depth + 1)
                except MetadataInvalidError as error:
                    self.note(error)
        except MetadataInvalidError as error:
            self.note(error)
        file_name = path.rpartition("/")[2].rpartition(".")[0]
        own = from_manifest(main_attributes(manifest), file_name)
        if own is not None and (not held or _is_missing(own, file_name, held)):
            yield own


def _is_missing(own: Coordinates, file_name: str, held: set[str]) -> bool:
    """Whether an archive that holds others' pom.properties is itself a known artifact without one."""
    return bool(own.group and from_file_name(file_name)[1]) and own.artifact not in held
