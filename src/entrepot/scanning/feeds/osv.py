"""One OSV record to advisories (OSV schema 1.7: fields `affected`, `events`, `severity`, `upstream`, `related`).

An advisory is what the record says of one package of one namespace; several `affected` entries of a package are
one advisory. Bounds become keys of the namespace's order. Where a bound is malformed, or where no comparable
version is named at all, the range is marked as not comparable: the matcher then answers "unknown".
"""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from hashlib import sha256
from itertools import groupby
from typing import Annotated, Final, NamedTuple

import msgspec

from entrepot.scanning.errors import VersionMalformedError
from entrepot.scanning.feeds import cvss
from entrepot.scanning.feeds.ecosystems import namespace_of
from entrepot.scanning.model import Advisory, Range, Rating, Severity
from entrepot.scanning.severity import DEBIAN, GHSA
from entrepot.scanning.versions.scheme import key_for, last_key_for, package_name

MAX_SUMMARY_CHARS: Final = 240
_FEW_RANGES: Final = 64

CVE: Final = re.compile(r"CVE-[0-9]{4}-[0-9]{4,19}")
_ID: Final = re.compile(r"[!-~]{1,128}")
# Renamed CVE records, one CVE each: another name of it, not an erratum.
_RENAMED_CVE: Final = re.compile(r"(?:DEBIAN|ALPINE|UBUNTU)-(CVE-[0-9]{4}-[0-9]{4,19})")
# Debian's, Ubuntu's, and those of RHEL and what is built from it (`ALSA-2024:9625`), of SUSE, Mageia and Photon OS.
_ERRATUM: Final = re.compile(
    r"(?:DSA|DLA|DTSA|USN|MGASA|PHSA)-[0-9].*|(?:RH|AL|RL)[SBE]A-[0-9].*|RXSA-[0-9].*|(?:open)?SUSE-[A-Z]U-[0-9].*"
)
Name = Annotated[str, msgspec.Meta(min_length=1, max_length=256)]
_Time = Annotated[str, msgspec.Meta(max_length=64)]
_EVENTS: Final = frozenset(("introduced", "fixed", "last_affected", "limit"))
_NOT_TEXT: Final = re.compile(r"[^ -~]+")

_GHSA_SEVERITIES: Final[Mapping[str, Severity]] = {
    "LOW": Severity.LOW,
    "MODERATE": Severity.MEDIUM,
    "MEDIUM": Severity.MEDIUM,
    "HIGH": Severity.HIGH,
    "CRITICAL": Severity.CRITICAL,
}
_ERRATUM_VENDORS: Final = {"AL": "almalinux", "RH": "redhat", "RL": "rocky"}
# How errata of RHEL and what is built from it begin their summaries: `Important: squid security update`.
_ERRATUM_WORDS: Final[Mapping[str, Severity]] = {
    "Low": Severity.LOW,
    "Moderate": Severity.MEDIUM,
    "Important": Severity.HIGH,
    "Critical": Severity.CRITICAL,
}
# RustSec's words for records that name no weakness; its `unsound` is one.
_INFORMING: Final = frozenset(("notice", "unmaintained"))
# "not yet assigned" and "end-of-life" rate nothing.
_DEBIAN_URGENCIES: Final[Mapping[str, Severity]] = {
    "unimportant": Severity.NEGLIGIBLE,
    "low": Severity.LOW,
    "medium": Severity.MEDIUM,
    "high": Severity.HIGH,
}


class _Point(NamedTuple):
    """An event as a point on the line of versions; is_after: just behind its key, so that the key still is affected."""

    key: bytes
    is_after: bool
    name: str
    text: str


class OsvPackage(msgspec.Struct, frozen=True):
    """`affected[].package`."""

    ecosystem: Name
    name: Name


class OsvRange(msgspec.Struct, frozen=True):
    """`affected[].ranges[]`: an event is an object of one name (introduced, fixed, …) and a version."""

    type: str
    events: list[dict[str, str]]


class OsvSeverity(msgspec.Struct, frozen=True):
    """`severity[]`: a vector or word, by the type's own rules."""

    type: str
    score: str


class OsvSpecific(msgspec.Struct, frozen=True):
    """The vendor fields we read of `ecosystem_specific` and `database_specific`; vendors put any type there."""

    urgency: object = None
    severity: object = None
    informational: object = None


class OsvAffected(msgspec.Struct, frozen=True):
    """`affected[]`; sources write absent lists as nulls as well."""

    package: OsvPackage | None = None
    ranges: list[OsvRange] | None = None
    versions: list[str] | None = None
    severity: list[OsvSeverity] | None = None
    ecosystem_specific: OsvSpecific | None = None
    database_specific: OsvSpecific | None = None


class OsvRecord(msgspec.Struct, frozen=True):
    """The fields of an OSV record that say something about matching, names, severity and age."""

    id: str
    modified: _Time | None = None
    published: _Time | None = None
    withdrawn: _Time | None = None
    aliases: list[str] | None = None
    related: list[str] | None = None
    upstream: list[str] | None = None
    summary: str | None = None
    details: str | None = None
    severity: list[OsvSeverity] | None = None
    affected: list[OsvAffected] | None = None
    database_specific: OsvSpecific | None = None

    def __post_init__(self) -> None:
        """Refuse an id that could not be shown or addressed."""
        if not _ID.fullmatch(self.id):
            raise ValueError("the id is not 1 to 128 printable ASCII characters")


def content_hash(document: Mapping[str, object]) -> str:
    """SHA-256 in hex of a decoded record less `modified`: neither key order nor a touched date changes it."""
    kept = {name: value for name, value in document.items() if name != "modified"}
    return sha256(msgspec.json.encode(kept, order="deterministic")).hexdigest()


def advisories(record: OsvRecord, content_hash: str) -> tuple[Advisory, ...]:
    """What *record* says, one advisory for each package of each namespace with a known order of versions."""
    packages: dict[tuple[str, str], list[OsvAffected]] = {}
    for affected in record.affected or ():
        if affected.package is not None and (namespace := namespace_of(affected.package.ecosystem)) is not None:
            key = (namespace, package_name(namespace, affected.package.name))
            packages.setdefault(key, []).append(affected)
    if not packages:
        return ()
    aliases, cves = _names(record)
    common = Advisory(
        id=record.id,
        namespace="",
        package="",
        ranges=(),
        aliases=aliases,
        cves=cves,
        summary=_summary(record.summary or record.details or ""),
        ratings=tuple(_ratings(record)),
        withdrawn=bool(record.withdrawn),
        published=record.published or "",
        modified=record.modified or "",
        content_hash=content_hash,
    )
    return tuple(
        _of_package(replace(common, namespace=namespace, package=package), entries)
        for (namespace, package), entries in packages.items()
    )


def _of_package(common: Advisory, entries: Sequence[OsvAffected]) -> Advisory:
    """*common* with what *entries*, all of its package, say."""
    ranges: dict[Range, None] = {}
    versions: set[bytes] = set()
    for entry in entries:
        found = [one for one in entry.ranges or () if one.type != "GIT"]
        if not found and not entry.versions:
            # "Affected", but nothing says which: better unknown than silently clean.
            ranges[Range(b"", comparable=False)] = None
        for one in found:
            ranges.update(dict.fromkeys(_intervals(common.namespace, one.events)))
        versions.update(_named_versions(common.namespace, entry.versions or ()))
    urgencies = [_urgency(entry) for entry in entries] if common.namespace.startswith("debian:") else []
    own = [Rating(DEBIAN, _DEBIAN_URGENCIES[word]) for word in urgencies if word in _DEBIAN_URGENCIES]
    own += [rating for entry in entries for rating in _vectors(entry.severity)]
    ratings = tuple(dict.fromkeys((*own, *common.ratings)))
    # Whoever rated a record took it for a weakness, whatever the record calls itself.
    is_informing = not ratings and all(map(_only_informs, entries))
    return replace(
        common,
        ranges=tuple(ranges),
        versions=tuple(sorted(_unheld(versions, ranges))),
        ratings=ratings,
        counted=not is_informing and (not urgencies or any(word != "unimportant" for word in urgencies)),
    )


def _names(record: OsvRecord) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The record's aliases, and the CVE ids it stands for if it is an erratum or derived from them."""
    aliases = {name for name in record.aliases or () if _ID.fullmatch(name)}
    if CVE.fullmatch(record.id):
        return tuple(sorted(aliases - {record.id})), ()
    if renamed := _RENAMED_CVE.fullmatch(record.id):
        return tuple(sorted(aliases | {renamed[1]})), ()
    sources = record.upstream or (record.related if _ERRATUM.fullmatch(record.id) else None)
    cves = {name for name in sources or () if CVE.fullmatch(name)} - aliases
    return tuple(sorted(aliases - {record.id})), tuple(sorted(cves))


def _summary(text: str) -> str:
    """The first paragraph of *text* as one line, cut, with nothing a terminal or a page could act on."""
    line = text.strip().partition("\n\n")[0][: 2 * MAX_SUMMARY_CHARS]
    if not line.isascii() or not line.isprintable():
        line = _NOT_TEXT.sub(lambda match: "".join(c if c.isprintable() else " " for c in match[0]), line)
    line = " ".join(line.split())
    return line if len(line) <= MAX_SUMMARY_CHARS else line[: MAX_SUMMARY_CHARS - 1].rstrip() + "…"


def _ratings(record: OsvRecord) -> Iterator[Rating]:
    word = record.database_specific.severity if record.database_specific is not None else None
    if record.id.startswith("GHSA-") and isinstance(word, str) and word.upper() in _GHSA_SEVERITIES:
        yield Rating(GHSA, _GHSA_SEVERITIES[word.upper()])
    vendor, first = _ERRATUM_VENDORS.get(record.id[:2]), (record.summary or "").partition(":")[0]
    if vendor is not None and _ERRATUM.fullmatch(record.id) and first in _ERRATUM_WORDS:
        yield Rating(vendor, _ERRATUM_WORDS[first])
    yield from _vectors(record.severity)


def _vectors(severities: Iterable[OsvSeverity] | None) -> Iterator[Rating]:
    for severity in severities or ():
        if severity.type.startswith("CVSS_") and (rating := cvss.rate(severity.score)) is not None:
            yield rating


def _urgency(entry: OsvAffected) -> str:
    word = entry.ecosystem_specific.urgency if entry.ecosystem_specific is not None else None
    return word if isinstance(word, str) else ""


def _only_informs(entry: OsvAffected) -> bool:
    word = entry.database_specific.informational if entry.database_specific is not None else None
    return isinstance(word, str) and word in _INFORMING


def _named_versions(namespace: str, texts: Iterable[str]) -> Iterator[bytes]:
    for text in texts:
        try:
            yield key_for(namespace, text)
        except VersionMalformedError:
            # Only the same malformed text could equal it, and that one is unknown to every advisory anyway.
            continue


def _unheld(versions: set[bytes], ranges: Collection[Range]) -> Iterable[bytes]:
    """*versions* less those that one of *ranges* says already; only where that is cheap, for it only saves room."""
    if len(ranges) > _FEW_RANGES:
        return versions
    return (key for key in versions if not any(_holds(one, key) for one in ranges))


def _holds(range_: Range, key: bytes) -> bool:
    if not range_.comparable or key < range_.intro:
        return False
    return (range_.fixed is None or key < range_.fixed) and (range_.last is None or key <= range_.last)


def _intervals(namespace: str, events: Iterable[Mapping[str, str]]) -> Iterator[Range]:
    """The intervals of one range: its events in order of versions, each switching "affected" on or off.

    Two opposite events at one version cancel out, so an interval that ends where the next begins goes on, and one
    that begins and ends at one version is empty; the order in which a source lists them does not matter.
    """
    listed = [event for mapping in events for event in mapping.items() if event[0] in _EVENTS]
    points, malformed = _points(namespace, listed)
    intros = [point.key for point in points if point.name == "introduced"]
    if not listed:
        yield Range(b"", comparable=False)
        return
    if malformed:
        # Nothing below the first beginning is touched, if we know it; above it, anything may be.
        first = min(intros, default=b"") if all(name != "introduced" for name, _ in malformed) else b""
        fixes = [text for name, text in malformed if name == "fixed"]
        yield Range(first, fixed_version=fixes[0] if len(fixes) == 1 else "", comparable=False)
        return
    if not intros:
        points.append(_Point(b"", False, "introduced", "0"))
    limit = max((point.key for point in points if point.name == "limit"), default=None)
    if ("limit", "*") in listed:
        limit = None
    for interval in _switched(point for point in points if point.name != "limit"):
        end = interval.fixed if interval.fixed is not None else interval.last
        if limit is None or (end is not None and end < limit):
            yield interval
        elif interval.intro < limit:
            yield Range(interval.intro, fixed=limit)


def _points(namespace: str, events: Iterable[tuple[str, str]]) -> tuple[list[_Point], list[tuple[str, str]]]:
    """*events* as points, and those whose version is malformed as they are."""
    points: list[_Point] = []
    malformed: list[tuple[str, str]] = []
    for name, text in events:
        if (name, text) == ("limit", "*"):
            continue
        try:
            # "0" is before every version, also before those that sort below the version 0.
            key = b"" if (name, text) == ("introduced", "0") else _key(namespace, name, text)
        except VersionMalformedError:
            malformed.append((name, text))
        else:
            points.append(_Point(key, name == "last_affected", name, text))
    return points, malformed


def _key(namespace: str, name: str, text: str) -> bytes:
    return last_key_for(namespace, text) if name == "last_affected" else key_for(namespace, text)


def _switched(points: Iterable[_Point]) -> Iterator[Range]:
    intro: bytes | None = None
    for (key, is_after), group in groupby(sorted(points), key=lambda point: (point.key, point.is_after)):
        texts = {point.name: point.text for point in group}
        if is_after:
            if intro is not None:
                yield Range(intro, last=key)
            intro = None
        elif len(texts) == 1:
            if intro is None and "introduced" in texts:
                intro = key
            elif intro is not None and "fixed" in texts:
                yield Range(intro, fixed=key, fixed_version=texts["fixed"])
                intro = None
    if intro is not None:
        yield Range(intro)
