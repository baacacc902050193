"""Scanning: from layers to packages to findings.

A layer is walked once; what it says is `LayerFacts`, kept as long as the layer. An image is the overlay of
its layers' facts: `ImagePackage`s, each with the layer and build step that brought it. A package's version is
compared with the advisories of its namespace; a match is a `Finding`. Nothing that failed, was cut short or is
not covered by a feed is ever called clean: `ScanStatus.PARTIAL` lists the reasons.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

FACTS_FORMAT: Final = 1


class Severity(StrEnum):
    """How bad a finding is, by its chosen source. `unknown`: no source rates it, which is not the lowest."""

    UNKNOWN = "unknown"
    NEGLIGIBLE = "negligible"
    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"

    @property
    def rank(self) -> int:
        """0 (unknown) to 5 (critical), for comparisons."""
        return RANKS[self]


RANKS: Final = {severity: rank for rank, severity in enumerate(Severity)}


class ScanStatus(StrEnum):
    """States of an image's analysis."""

    QUEUED = "queued"
    ANALYSING = "analysing"
    COMPLETE = "complete"
    PARTIAL = "partial"
    FAILED = "failed"
    NOT_APPLICABLE = "not_applicable"


@dataclass(frozen=True, slots=True)
class Problem:
    """What was not read, or not as announced. *code* as in scanning.md 2 and 3.1, e.g. `limit:ratio`, `corrupt:1536`.

    *cut*: whether something may be missing from the facts because of it (then the facts are partial).
    """

    code: str
    path: str = ""
    detail: str = ""
    cut: bool = True


@dataclass(frozen=True, slots=True)
class Package:
    """One installed package, as its own metadata names it.

    ecosystem: `deb`, `apk`, `rpm`, `pypi`, `npm`, `go` … source_name, source_version: what advisories speak of (equal
    to name and version where the ecosystem has no sources). path: the database, metadata file or program it was read
    from, no leading /. vendor: who built it, by its own word; module: the stream that it belongs to, as
    `name:stream:version:context` (of rpm both, else empty).
    """

    ecosystem: str
    name: str
    version: str
    arch: str
    source_name: str
    source_version: str
    path: str
    vendor: str = ""
    module: str = ""


@dataclass(frozen=True, slots=True)
class PackageDatabase:
    """A whole package database as it stood in one layer. The highest layer's version of it is the truth."""

    kind: str
    path: str
    packages: tuple[Package, ...]


@dataclass(frozen=True, slots=True)
class OsRelease:
    """The fields of an os-release file that choose a namespace; empty text where absent."""

    path: str
    id: str
    version_id: str
    codename: str = ""
    pretty_name: str = ""


@dataclass(frozen=True, slots=True)
class Link:
    """A symbolic link: where it stands and what it says, as written."""

    path: str
    target: str


@dataclass(frozen=True, slots=True)
class LayerFacts:
    """What one layer's bytes say. Made from the bytes alone, so equal bytes give equal facts.

    whiteouts: paths this layer hides in lower ones; opaques: directories it empties there. databases: dpkg and
    apk databases; packages: those that stand for themselves (dist-info, dpkg status.d). links: only symbolic
    links on the way to a known database path. apk_branches: release branches named by etc/apk/repositories
    (`3.20`, `edge`). complete: walked to its end with nothing cut. diff_id: empty unless walked to its end.
    directories: those on the way to a known path, which replace a link of a lower layer. obstacles: members there
    of any other kind but symbolic links, which replace whatever a lower layer has at or below them.
    """

    digest: str
    diff_id: str
    compression: str
    compressed_bytes: int
    uncompressed_bytes: int
    members: int
    complete: bool
    problems: tuple[Problem, ...] = ()
    whiteouts: tuple[str, ...] = ()
    opaques: tuple[str, ...] = ()
    databases: tuple[PackageDatabase, ...] = ()
    packages: tuple[Package, ...] = ()
    os_releases: tuple[OsRelease, ...] = ()
    links: tuple[Link, ...] = ()
    apk_branches: tuple[str, ...] = ()
    directories: tuple[str, ...] = ()
    obstacles: tuple[str, ...] = ()
    format: int = FACTS_FORMAT


@dataclass(frozen=True, slots=True)
class ImagePackage:
    """A package of an image: what it is, in which namespace, and who brought it.

    namespace: `debian:12`, `alpine:3.20`, `pypi`; `unknown` when the operating system was not identified.
    layer: index in the manifest's `layers`, lowest 0; layer_digest: its blob. step: the build step's text,
    `unknown` where history and layers do not add up.
    """

    package: Package
    namespace: str
    layer: int
    layer_digest: str
    step: str


@dataclass(frozen=True, slots=True)
class ImageFacts:
    """The overlay of an image's layers: its packages, sorted, and why it is not complete, if so."""

    packages: tuple[ImagePackage, ...]
    reasons: tuple[str, ...]
    os: str


@dataclass(frozen=True, slots=True)
class Range:
    """Versions [intro, fixed) or [intro, last] as keys of the namespace's order; b"" = from the first on.

    comparable: False where a bound of the advisory is malformed; then every version it could touch is unknown.
    """

    intro: bytes
    fixed: bytes | None = None
    last: bytes | None = None
    fixed_version: str = ""
    comparable: bool = True


@dataclass(frozen=True, slots=True)
class Rating:
    """One source's word on severity: e.g. `ghsa` high, `cvss:3.1` 9.8 critical with its vector."""

    source: str
    severity: Severity
    score: float | None = None
    vector: str = ""


@dataclass(frozen=True, slots=True)
class Advisory:
    """What one record of one feed says about one package of one namespace.

    versions: keys affected by equality, beside the ranges. cves: for an erratum (DSA …), the CVE ids it fixes,
    taken from `upstream`, else from `related`. aliases: other names of the same vulnerability. counted: False for
    what the distribution calls unimportant: shown, not counted in limits. content_hash: of the record as the feed
    has it, less `modified` alone, so that a touched time stamp changes nothing.
    """

    id: str
    namespace: str
    package: str
    ranges: tuple[Range, ...]
    versions: tuple[bytes, ...] = ()
    aliases: tuple[str, ...] = ()
    cves: tuple[str, ...] = ()
    summary: str = ""
    ratings: tuple[Rating, ...] = ()
    counted: bool = True
    withdrawn: bool = False
    not_affected: bool = False
    published: str = ""
    modified: str = ""
    content_hash: str = ""


class FindingStatus(StrEnum):
    """What an advisory means for a package. UNKNOWN: the versions can't be compared, so it counts as affected."""

    AFFECTED = "affected"
    FIXED_AVAILABLE = "fixed_available"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Finding:
    """A vulnerability in a package version: one per (canonical id, source package, version).

    id: the CVE if the group of aliases has one, else the record's own id. aliases: all other names. advisories:
    ids of the records that say so. severity_source: who gave it (`debian`, `ghsa`, `cvss:3.1`, empty if unknown).
    """

    id: str
    aliases: tuple[str, ...]
    namespace: str
    package: str
    version: str
    severity: Severity
    severity_source: str
    fixed_version: str
    status: FindingStatus
    advisories: tuple[str, ...]
    summary: str
    counted: bool
