"""One pass over a layer's bytes: what they say, as LayerFacts.

Equal bytes and limits give equal facts; nothing else goes in. Design: scanning.md, sections 3 and 3.1.
"""

from bisect import bisect_left, insort
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Final

from entrepot.oci.digest import Digest
from entrepot.scanning.executables import MAGIC_BYTES, is_executable, read_executable
from entrepot.scanning.extractor import Extractor, LimitExceededError, MetadataInvalidError, PutAsideError, Spool, aside
from entrepot.scanning.layers.compression import ByteSource, LayerStream
from entrepot.scanning.layers.known_paths import ARCHIVES, BINARY_EXTRACTORS, EXTRACTORS, ON_THE_WAY
from entrepot.scanning.layers.limits import CutError, LayerLimits
from entrepot.scanning.layers.problems import ProblemLog
from entrepot.scanning.layers.walk import Member, Payload, Walk
from entrepot.scanning.model import LayerFacts, Link, OsRelease, Package, PackageDatabase
from entrepot.scanning.os import APK_REPOSITORIES, OS_RELEASE_PATHS, parse_apk_repositories, parse_os_release

WHITEOUT: Final = ".wh."
OPAQUE: Final = ".wh..wh..opq"
WHITEOUT_META: Final = ".wh..wh."
LEAST_PROGRAM_BYTES: Final = 64
PROGRAM: Final = "executable"
"""Who reads a program's own headers, as problem codes call it."""

Found = PackageDatabase | tuple[Package, ...] | OsRelease | Link | frozenset[str]
"""What stands at a path: a database, packages of their own, an os-release, a link, or apk's branches."""


def analyse_stream(
    source: ByteSource,
    digest: Digest,
    size: int,
    limits: LayerLimits,
    extractors: tuple[Extractor, ...] = EXTRACTORS,
    *,
    spool: Spool | None = None,
) -> LayerFacts:
    """The facts of the layer *digest* of *size* bytes that *source* gives, once, from its first byte.

    spool: where members are put aside that are read at any place and too large for memory; without it they are
    problems (`limit:spool`).

    Whatever the bytes are, there are facts; what could not be read is one of their problems. Raises only what
    *source* raises. A source that gives other bytes than *digest* says is the problem `digest_mismatch`.
    """
    problems = ProblemLog(limits.problems_per_code)
    stream = LayerStream(source, size, limits, digest.algorithm)
    walk = Walk(stream.pieces(), limits, problems)
    collected = _Collected(limits, problems, extractors, spool)
    try:
        for member, payload in walk.members():
            collected.take(member, payload)
    except CutError as error:
        walk.cut(error)
    if walk.is_ended and stream.digest != digest:
        problems.add("digest_mismatch", detail=f"the bytes read are {stream.digest}")
    return LayerFacts(
        digest=str(digest),
        diff_id=str(stream.diff_id) if walk.is_ended else "",
        compression=stream.compression,
        compressed_bytes=stream.compressed_bytes,
        uncompressed_bytes=stream.uncompressed_bytes,
        members=walk.count,
        complete=walk.is_ended and not problems.has_cut,
        problems=problems.all(),
        whiteouts=tuple(sorted(collected.whiteouts)),
        opaques=tuple(sorted(collected.opaques)),
        databases=tuple(found for _, found in collected.all() if isinstance(found, PackageDatabase)),
        packages=tuple(package for _, found in collected.all() if isinstance(found, tuple) for package in found),
        os_releases=tuple(found for _, found in collected.all() if isinstance(found, OsRelease)),
        links=tuple(found for _, found in collected.all() if isinstance(found, Link)),
        apk_branches=tuple(b for _, found in collected.all() if isinstance(found, frozenset) for b in sorted(found)),
        directories=tuple(sorted(collected.directories)),
        obstacles=tuple(sorted(collected.obstacles)),
    )


class _Collected:
    """What the members so far leave behind in this layer: a later member replaces an earlier one, as in a runtime."""

    def __init__(
        self, limits: LayerLimits, problems: ProblemLog, extractors: tuple[Extractor, ...], spool: Spool | None
    ) -> None:
        self._limits = limits
        self._problems = problems
        self._extractors = extractors
        self._spool = spool
        self._found: dict[str, Found] = {}
        self._paths: list[str] = []  # the keys of _found, sorted: what lies below a directory is one stretch
        self._packages_left = limits.packages
        self._entries_left = limits.entries
        self._text_left = limits.facts_characters
        self.whiteouts: set[str] = set()
        self.opaques: set[str] = set()
        self.directories: set[str] = set()
        self.obstacles: set[str] = set()

    def all(self) -> list[tuple[str, Found]]:
        """What was found, by path."""
        return sorted(self._found.items(), key=lambda item: item[0])

    def take(self, member: Member, payload: Payload) -> None:
        """Looks at one member. Raises CutError as the payload does; what was read until then is kept."""
        path = member.path
        name = path[path.rfind("/") + 1 :]
        if name.startswith(WHITEOUT):
            self._whiteout(path, name)
            return
        if self._found:
            self._replace(path, is_directory=member.kind == "directory")
        if path in ON_THE_WAY:
            self._on_the_way(member)
        if member.kind == "file":
            self._file(member, payload)
        elif member.kind == "hardlink":
            self._hardlink(member)

    def _whiteout(self, path: str, name: str) -> None:
        folder = path[: -len(name)].rstrip("/")
        hidden = name.removeprefix(WHITEOUT)
        if name == OPAQUE:
            if folder not in self.opaques and self._has_room(folder):
                self.opaques.add(folder)
        elif name.startswith(WHITEOUT_META):
            return  # aufs keeps its own books under such names; runtimes pass over them
        elif hidden in {"", ".", ".."}:
            self._problems.add("path_escape", path)
        else:
            target = f"{folder}/{hidden}" if folder else hidden
            if target not in self.whiteouts and self._has_room(target):
                self.whiteouts.add(target)

    def _replace(self, path: str, *, is_directory: bool) -> None:
        """Drops what stood at *path*, and below it, where only directories keep what they hold."""
        gone = []
        if path in self._found:
            gone = [path]
        if not is_directory:
            below = f"{path}/"
            start = end = bisect_left(self._paths, below)
            while end < len(self._paths) and self._paths[end].startswith(below):
                end += 1
            gone += self._paths[start:end]
        for known in gone:
            del self._found[known]
            del self._paths[bisect_left(self._paths, known)]
        if gone:
            self._problems.add("duplicate", path, cut=False)

    def _put(self, path: str, found: Found) -> None:
        self._found[path] = found
        insort(self._paths, path)

    def _on_the_way(self, member: Member) -> None:
        path = member.path
        self.directories.discard(path)
        self.obstacles.discard(path)
        if member.kind == "directory":
            self.directories.add(path)
        elif member.kind == "symlink":
            if self._has_room(path + member.target):
                self._put(path, Link(path, member.target))
        else:
            self.obstacles.add(path)

    def _file(self, member: Member, payload: Payload) -> None:
        path = member.path
        extractor = next((e for e in self._extractors if e.wants(path)), None)
        if extractor is not None:
            is_database = path in extractor.databases
            if self._is_readable(member, self._most_bytes(extractor, is_database=is_database)):
                payload.spool = self._spool
                self._keep(extractor.name, path, extractor.extract(path, payload), is_database=is_database)
        elif path in OS_RELEASE_PATHS and self._is_readable(member, self._limits.text_bytes):
            self._put(path, parse_os_release(path, _whole(payload)))
        elif path == APK_REPOSITORIES and self._is_readable(member, self._limits.text_bytes):
            self._put(path, frozenset(parse_apk_repositories(_whole(payload))))
        elif (member.is_executable or path.endswith(".exe")) and member.size >= LEAST_PROGRAM_BYTES:
            self._program(member, payload)

    def _program(self, member: Member, payload: Payload) -> None:
        """Looks at what may be executed: a program costs its bytes, anything else its first four."""
        head = payload.read(MAGIC_BYTES)
        while len(head) < MAGIC_BYTES:
            head += payload.read(MAGIC_BYTES - len(head))
        # One that is sparse begins with its map, or with any part: what it is can't be told.
        if (member.is_sparse or is_executable(head)) and self._is_readable(member, self._limits.binary_bytes):
            payload.spool = self._spool
            self._keep(PROGRAM, member.path, self._linked(member.path, payload, head), is_database=False)

    def _linked(self, path: str, payload: Payload, head: bytes) -> Iterator[Package]:
        program = read_executable(aside(payload, head))
        if program is None:
            return
        if program.defect:
            self._problems.add(f"analyser:{PROGRAM}:malformed", path, program.defect)
        for extractor in BINARY_EXTRACTORS:
            try:
                yield from extractor.extract(path, program)
            except MetadataInvalidError as error:
                self._problems.add(f"analyser:{extractor.name}:malformed", path, error.message)

    def _most_bytes(self, extractor: Extractor, *, is_database: bool) -> int:
        if is_database:
            return self._limits.database_bytes
        return self._limits.archive_bytes if extractor is ARCHIVES else self._limits.metadata_bytes

    def _is_readable(self, member: Member, most_bytes: int) -> bool:
        if member.is_sparse:
            self._problems.add("sparse_member", member.path)
        elif member.size > most_bytes:
            self._problems.add("limit:member", member.path, f"{member.size} bytes")
        return not member.is_sparse and member.size <= most_bytes

    def _keep(self, name: str, path: str, packages: Iterable[Package], *, is_database: bool) -> None:
        """Puts the *packages* that the extractor *name* finds: all for which there is room, up to an error."""
        kept: list[Package] = []
        try:
            for package in packages:
                if not self._has_room_for(package, 0 if is_database else len(path)):
                    break
                kept.append(package)
        except LimitExceededError as error:
            self._problems.add(error.code, path, error.message)
        except MetadataInvalidError as error:
            self._problems.add(f"analyser:{name}:malformed", path, error.message)
        except PutAsideError as error:
            self._problems.add("limit:spool", path, str(error))
        finally:
            # Also when the payload was cut: what was read stays.
            if is_database:
                self._put(path, PackageDatabase(name, path, tuple(kept)))
            elif kept:
                self._put(path, tuple(kept))

    def _hardlink(self, member: Member) -> None:
        """A second name of an earlier member: it says the same here, if both names mean something here."""
        path = member.path
        extractor = next((e for e in self._extractors if e.wants(path)), None)
        target = "/".join(part for part in member.target.split("/") if part not in {"", "."})
        found = self._found.get(target)
        if isinstance(found, PackageDatabase):
            found = found.packages
        if extractor is None:
            if path in OS_RELEASE_PATHS or path == APK_REPOSITORIES:
                self._problems.add("unresolved_link", path)
            elif isinstance(found, tuple) and not any(e.wants(target) for e in self._extractors):
                packages = (replace(package, path=path) for package in found)  # a program is one under any name
                self._keep(PROGRAM, path, packages, is_database=False)
        elif not isinstance(found, tuple) or not extractor.wants(target):
            self._problems.add("unresolved_link", path)
        else:
            packages = (replace(package, path=path) for package in found)
            self._keep(extractor.name, path, packages, is_database=path in extractor.databases)

    def _has_room(self, text: str) -> bool:
        """Whether one more entry of *text* may be kept."""
        self._entries_left -= 1
        self._text_left -= len(text)
        return self._is_within(self._entries_left)

    def _has_room_for(self, package: Package, path_length: int) -> bool:
        self._packages_left -= 1
        texts = (
            *(package.name, package.version, package.arch, package.source_name, package.source_version),
            *(package.vendor, package.module),
        )
        self._text_left -= path_length + sum(map(len, texts))
        return self._is_within(self._packages_left)

    def _is_within(self, left: int) -> bool:
        if left >= 0 and self._text_left >= 0:
            return True
        self._problems.add("limit:facts")
        return False


def _whole(payload: Payload) -> bytes:
    read = b""
    while piece := payload.read(64 << 10):
        read += piece
    return read
