"""A feed file to a header and its advisories.

Three forms, told apart by content: OSV records as JSON lines (plain or zstd), one OSV record, one Alpine secdb
file. A first line `{"entrepot_feed": {"source", "built_at", "attribution", "packages": {namespace: [names]}}}` may
name the source and say what the feed covers.

The file is read twice: first as a whole, so that a feed which is refused has given nothing, then for its
advisories. Records that can't be read are counted; more than 1 % of them refuse the feed.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from itertools import chain
from pathlib import Path
from typing import Annotated, Final, TypeVar

import msgspec

from entrepot.scanning.errors import FeedInvalidError
from entrepot.scanning.feeds import osv, secdb
from entrepot.scanning.feeds.ecosystems import namespace_of
from entrepot.scanning.feeds.lines import depth_exceeds, lines
from entrepot.scanning.model import Advisory
from entrepot.scanning.versions.scheme import is_ordered, package_name

MAX_BROKEN_PERCENT: Final = 1
ONE_HOME_PERCENT: Final = 99
MAX_DOCUMENT_BYTES: Final = 64 * 2**20

_DECLARATION: Final = re.compile(rb'\s*\{\s*"entrepot_feed"')

T = TypeVar("T")


class FeedForm(StrEnum):
    """In which form a feed file is written."""

    OSV = "osv"
    SECDB = "secdb"


@dataclass(frozen=True, slots=True)
class Feed:
    """What a feed is and what it speaks of; read before any of its advisories.

    namespaces: those its advisories are in or it covers. coverage: namespace -> the packages it knows all about, None
    for every package. part: the part of its namespaces that it speaks of (`main` of a branch of Alpine), empty for all
    of them. built_at: as declared, else the newest `modified`; None where neither exists. records: OSV
    records or secdb packages read; broken: those that could not be, first_broken says where and why. skipped: OSV
    ecosystem -> entries left out because its versions have no known order.
    """

    source: str
    form: FeedForm
    namespaces: tuple[str, ...]
    coverage: Mapping[str, frozenset[str] | None]
    built_at: datetime | None
    attribution: str
    records: int
    broken: int = 0
    first_broken: str = ""
    skipped: Mapping[str, int] = field(default_factory=dict)
    part: str = ""


class _Declared(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    source: Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9][a-z0-9._:/+-]{0,127}$")] | None = None
    built_at: Annotated[datetime, msgspec.Meta(tz=True)] | None = None
    attribution: Annotated[str, msgspec.Meta(max_length=4_096)] = ""
    packages: dict[str, list[str] | None] | None = None


class _FirstLine(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    entrepot_feed: _Declared


@dataclass(slots=True)
class _Tally:
    """What was met so far while a feed is read."""

    records: int = 0
    broken: int = 0
    first_broken: tuple[str, str] = ("", "")
    namespaces: set[str] = field(default_factory=set)
    skipped: Counter[str] = field(default_factory=Counter)
    homes: Counter[str] = field(default_factory=Counter)
    part: str = ""
    newest: datetime | None = None

    def failed(self, where: str, why: str) -> None:
        """One record at *where* could not be read."""
        self.broken += 1
        if self.broken == 1:
            self.first_broken = (where, why)


def read_feed(path: Path) -> tuple[Feed, Iterator[Advisory]]:
    """The header of the feed file *path*, and its advisories in the file's order, read as they are taken.

    Raises FeedInvalidError, whose *field* names the line, for an unknown form, a passed limit, a broken header or
    more than 1 % broken records.
    """
    declared, form, rest = _opened(path)
    tally = _Tally()
    if form is FeedForm.SECDB:
        namespace, repository, entries = _secdb_entries(rest, tally)
        for _ in entries:
            pass
        derived: str | None = f"secdb/{namespace}/{repository}"
    else:
        for record, _ in _osv_records(rest, tally):
            _look_at(record, tally)
        derived = None
    return _header(declared, form, derived, tally), _advisories(path)


def _opened(path: Path) -> tuple[_Declared | None, FeedForm, Iterator[tuple[int, bytes]]]:
    """The declaration, if any, the form of what follows it, and that as numbered lines."""
    numbered = lines(path)
    first = next(numbered, None)
    declared = None
    if first is not None and _DECLARATION.match(first[1]):
        declared = _decoded(first[1], lambda text: msgspec.json.decode(text, type=_FirstLine), f"line {first[0]}")
        first = next(numbered, None)
    if first is None:
        if declared is None:
            raise FeedInvalidError("the feed is empty", field="line 1")
        return declared.entrepot_feed, FeedForm.OSV, iter(())
    rest: Iterator[tuple[int, bytes]] = chain((first,), numbered)
    where = f"line {first[0]}"
    try:
        document = _decoded(first[1], _object, where)
    except FeedInvalidError:
        # Not one object on one line: then all that follows must be one document.
        whole = _joined(rest)
        document = _decoded(whole, _object, where)
        rest = iter([(first[0], whole)])
    if isinstance(document.get("packages"), list) and "distroversion" in document:
        form = FeedForm.SECDB
    elif "id" in document:
        form = FeedForm.OSV
    else:
        raise FeedInvalidError("neither OSV records nor an Alpine secdb file", field=where)
    return declared.entrepot_feed if declared is not None else None, form, rest


def _joined(rest: Iterable[tuple[int, bytes]]) -> bytes:
    parts: list[bytes] = []
    size = 0
    for _, line in rest:
        size += len(line) + 1
        if size > MAX_DOCUMENT_BYTES:
            raise FeedInvalidError(f"one document has more than {MAX_DOCUMENT_BYTES} bytes")
        parts.append(line)
    return b"\n".join(parts)


def _decoded(text: bytes, decode: Callable[[bytes], T], where: str) -> T:
    """*decode* of *text*, its failures as FeedInvalidError naming *where*."""
    if depth_exceeds(text):
        raise FeedInvalidError(f"{where}: JSON is nested too deeply", field=where)
    try:
        return decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise FeedInvalidError(f"{where}: {_one_line(error)}", field=where) from error


def _one_line(error: Exception) -> str:
    if isinstance(error, UnicodeDecodeError):
        return "not UTF-8"
    return " ".join(str(error).split())[:200]


def _object(text: bytes) -> dict[str, object]:
    return msgspec.json.decode(text, type=dict[str, object])


def _osv_records(rest: Iterable[tuple[int, bytes]], tally: _Tally) -> Iterator[tuple[osv.OsvRecord, dict[str, object]]]:
    seen: set[str] = set()
    for number, line in rest:
        where = f"line {number}"
        try:
            document, record = _decoded(line, _record, where)
        except FeedInvalidError as error:
            tally.failed(where, error.message)
            continue
        if record.id in seen:
            tally.failed(where, f"{where}: {record.id} occurs twice")
            continue
        seen.add(record.id)
        tally.records += 1
        yield record, document


def _record(text: bytes) -> tuple[dict[str, object], osv.OsvRecord]:
    document = _object(text)
    return document, msgspec.convert(document, osv.OsvRecord)


def _look_at(record: osv.OsvRecord, tally: _Tally) -> None:
    tally.homes[record.id.partition("-")[0].lower()] += 1
    for affected in record.affected or ():
        if affected.package is None:
            continue
        namespace = namespace_of(affected.package.ecosystem)
        if namespace is None:
            tally.skipped[affected.package.ecosystem] += 1
        else:
            tally.namespaces.add(namespace)
    modified = _time(record.modified)
    if modified is not None and (tally.newest is None or modified > tally.newest):
        tally.newest = modified


def _time(text: str | None) -> datetime | None:
    """The instant *text*, None if it is none; a time without a zone is taken as UTC."""
    try:
        time = datetime.fromisoformat(text or "")
        return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _secdb_entries(rest: Iterable[tuple[int, bytes]], tally: _Tally) -> tuple[str, str, Iterator[secdb.SecdbPackage]]:
    number, text = next(iter(rest))
    where = f"line {number}"
    document = _decoded(text, lambda text: msgspec.json.decode(text, type=secdb.SecdbDocument), where)
    if not is_ordered(document.namespace):
        raise FeedInvalidError(f"{document.distroversion[:64]!r} is no Alpine branch", field=where)
    tally.namespaces.add(document.namespace)
    tally.part = document.reponame
    return document.namespace, document.reponame, _secdb_packages(document, tally)


def _secdb_packages(document: secdb.SecdbDocument, tally: _Tally) -> Iterator[secdb.SecdbPackage]:
    seen: set[str] = set()
    for index, raw in enumerate(document.packages):
        where = f"packages/{index}"
        try:
            entry = _decoded(bytes(raw), lambda text: msgspec.json.decode(text, type=secdb.SecdbEntry), where)
        except FeedInvalidError as error:
            tally.failed(where, error.message)
            continue
        if entry.pkg.name in seen:
            tally.failed(where, f"{where}: {entry.pkg.name} occurs twice")
            continue
        seen.add(entry.pkg.name)
        tally.records += 1
        yield entry.pkg


def _families(namespaces: tuple[str, ...]) -> str:
    """`debian:12` for one namespace; for several their families, `debian` or `alpine+pypi`."""
    if len(namespaces) == 1:
        return namespaces[0]
    return "+".join(sorted({namespace.partition(":")[0] for namespace in namespaces}))


def _home(tally: _Tally) -> str:
    """`/ghsa` where the ids are of one database, so that two databases about one namespace stand side by side."""
    home, count = (tally.homes.most_common(1) or [("", 0)])[0]
    return f"/{home}" if home.isalnum() and count * 100 >= tally.homes.total() * ONE_HOME_PERCENT > 0 else ""


def _header(declared: _Declared | None, form: FeedForm, derived: str | None, tally: _Tally) -> Feed:
    where, why = tally.first_broken
    if tally.broken * 100 > (tally.broken + tally.records) * MAX_BROKEN_PERCENT:
        total = tally.broken + tally.records
        raise FeedInvalidError(f"{tally.broken} of {total} records can't be read, first {why}", field=where)
    declared = declared or _Declared()
    coverage: dict[str, frozenset[str] | None] = dict.fromkeys(sorted(tally.namespaces))
    if declared.packages is not None:
        coverage = {
            namespace: None if names is None else frozenset(package_name(namespace, name) for name in names)
            for namespace, names in sorted(declared.packages.items())
        }
        if unknown := [namespace for namespace in coverage if not is_ordered(namespace)]:
            raise FeedInvalidError(f"versions of {unknown[0][:64]!r} can't be compared, so not covered", field="line 1")
    namespaces = tuple(sorted(tally.namespaces | coverage.keys()))
    if not namespaces:
        ecosystems = ", ".join(sorted(tally.skipped)[:5]) or "none"
        raise FeedInvalidError(f"no record is of a namespace whose versions we can compare (found: {ecosystems})")
    return Feed(
        source=declared.source or derived or f"osv/{_families(namespaces)}{_home(tally)}",
        form=form,
        namespaces=namespaces,
        coverage=coverage,
        built_at=declared.built_at or tally.newest,
        attribution=declared.attribution,
        records=tally.records,
        broken=tally.broken,
        first_broken=why,
        skipped=dict(tally.skipped),
        part="" if declared.packages is not None else tally.part,
    )


def _advisories(path: Path) -> Iterator[Advisory]:
    _, form, rest = _opened(path)
    if form is FeedForm.SECDB:
        namespace, _, packages = _secdb_entries(rest, _Tally())
        for package in packages:
            yield from secdb.advisories(namespace, package)
        return
    for record, document in _osv_records(rest, _Tally()):
        yield from osv.advisories(record, osv.content_hash(document))
