"""One package version against every advisory of its name: which findings it has.

Identity. Records are joined by `aliases`, at most one CVE each: a record belongs to the CVE it is or names; one that
names none joins the only CVE its names lead to, if there is just one; the rest are joined among themselves. So two
CVE ids never merge, though records claim one another's aliases, and the order of records does not matter.

Errata. A record with `cves` (DSA …) gives one finding per CVE. Where a record of that CVE speaks of the same package,
that record decides, and an erratum that says so too is only attached. The reason: the tracker is the finer source. In
the Debian 12 feed of 2025-02 the two name the same fix in 1,944 of 1,947 cases, and in the other 3 the erratum's fix
was not enough. In Debian 11 (5,366 of 5,387 the same, 12 not enough, 7 without a fix in the CVE's record) 2 errata
name a later fix than the CVE's record: a repaired regression, and an update that carries two upstream releases.

A finding stands if any deciding record says affected. A version or bound that can't be compared gives `unknown`.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Final

from entrepot.scanning.errors import VersionMalformedError
from entrepot.scanning.model import Advisory, Finding, FindingStatus
from entrepot.scanning.severity import choose
from entrepot.scanning.versions.scheme import key_for

_CVE: Final = "CVE-"


class _Answer(Enum):
    NO = 0
    UNKNOWN = 1
    YES = 2


@dataclass(slots=True)
class _Group:
    """One vulnerability: the records that decide on it, and the errata attached to them."""

    id: str
    deciding: list[Advisory] = field(default_factory=list)
    attached: list[Advisory] = field(default_factory=list)


def match(namespace: str, package: str, version: str, advisories: Sequence[Advisory]) -> tuple[Finding, ...]:
    """The findings of *version* of the source package *package* in *namespace*, sorted by id.

    advisories: all of that namespace and package, from every feed; other ones are ignored.
    """
    try:
        key = key_for(namespace, version)
    except VersionMalformedError:
        key = None
    records = sorted(
        (a for a in advisories if not a.withdrawn and a.namespace == namespace and a.package == package),
        # GHSA first: it names a finding that has no CVE, and its summary is the better one.
        key=lambda a: (not a.id.startswith(_CVE), not a.id.startswith("GHSA-"), a.id, a.content_hash),
    )
    findings = (_finding(namespace, package, version, key, group) for group in _groups(records))
    return tuple(sorted((f for f in findings if f is not None), key=lambda f: f.id))


def _groups(records: Iterable[Advisory]) -> Iterable[_Group]:
    groups: dict[str, _Group] = {}
    errata: list[Advisory] = []
    nameless: list[Advisory] = []
    claims: dict[str, set[str]] = {}
    for record in records:
        cves = _cves(record)
        if not cves and record.cves:
            errata.append(record)
        elif not cves:
            nameless.append(record)
        for cve in cves:
            groups.setdefault(cve, _Group(cve)).deciding.append(record)
            for name in (record.id, *record.aliases):
                claims.setdefault(name, set()).add(cve)
    for joined in _joined(nameless):
        led_to = {cve for record in joined for name in (record.id, *record.aliases) for cve in claims.get(name, ())}
        id_ = led_to.pop() if len(led_to) == 1 else joined[0].id
        groups.setdefault(id_, _Group(id_)).deciding.extend(joined)
    known = set(groups)
    for erratum in errata:
        for cve in erratum.cves:
            group = groups.setdefault(cve, _Group(cve))
            (group.attached if cve in known else group.deciding).append(erratum)
    return groups.values()


def _cves(record: Advisory) -> tuple[str, ...]:
    """The CVE ids *record* stands for by its own names; a CVE record stands for itself only."""
    if record.id.startswith(_CVE):
        return (record.id,)
    return tuple(alias for alias in record.aliases if alias.startswith(_CVE))


def _joined(records: Sequence[Advisory]) -> Iterator[list[Advisory]]:
    """*records* in sets that share names (union-find), each in the order given."""
    parents: dict[str, str] = {}

    def root(name: str) -> str:
        while (parent := parents.setdefault(name, name)) != name:
            parents[name] = parents[parent]
            name = parent
        return name

    for record in records:
        for alias in record.aliases:
            parents[root(alias)] = root(record.id)
    sets: dict[str, list[Advisory]] = {}
    for record in records:
        sets.setdefault(root(record.id), []).append(record)
    yield from sets.values()


def _finding(namespace: str, package: str, version: str, key: bytes | None, group: _Group) -> Finding | None:
    answers = [(record, _answer(record, key)) for record in group.deciding]
    saying = [record for record, answer in answers if answer is not _Answer.NO]
    if not saying:
        return None
    is_certain = any(answer is _Answer.YES for _, answer in answers)
    fixed_version = _fixed_version(saying, key)
    severity, severity_source = choose(rating for record in saying for rating in record.ratings)
    names = {name for record in group.deciding if group.id not in record.cves for name in (record.id, *record.aliases)}
    attached = [record for record in group.attached if _answer(record, key) is not _Answer.NO]
    status = FindingStatus.FIXED_AVAILABLE if fixed_version else FindingStatus.AFFECTED
    return Finding(
        id=group.id,
        # Another CVE among the names is another finding's id: named here, an exception for it would hide this one.
        aliases=tuple(sorted(name for name in names - {group.id} if not name.startswith(_CVE))),
        namespace=namespace,
        package=package,
        version=version,
        severity=severity,
        severity_source=severity_source,
        fixed_version=fixed_version,
        status=status if is_certain else FindingStatus.UNKNOWN,
        advisories=tuple(sorted({record.id for record in (*saying, *attached)})),
        summary=next((record.summary for record in saying if record.summary), ""),
        counted=any(record.counted for record in saying),
    )


def _answer(record: Advisory, key: bytes | None) -> _Answer:
    """Whether *record* says that the version of *key* is affected; key None: the version is malformed."""
    if record.not_affected:
        return _Answer.NO
    if key is not None and key in record.versions:
        return _Answer.YES
    answer = _Answer.NO
    for one in record.ranges:
        if key is None:
            # Only "every version" needs no comparison.
            if one.comparable and not one.intro and one.fixed is None and one.last is None:
                return _Answer.YES
            answer = _Answer.UNKNOWN
        elif key < one.intro:
            continue
        elif not one.comparable:
            answer = _Answer.UNKNOWN
        elif (one.fixed is None or key < one.fixed) and (one.last is None or key <= one.last):
            return _Answer.YES
    return _Answer.UNKNOWN if key is None and record.versions else answer


def _fixed_version(records: Sequence[Advisory], key: bytes | None) -> str:
    """The smallest version above *key* that some record calls fixed and none calls affected.

    If none is agreed upon, the smallest that some record calls fixed; for a malformed version the highest of all.
    Where no fix can be compared, the only one that is written down.
    """
    fixes: Mapping[bytes, str] = {
        one.fixed: one.fixed_version
        for record in records
        for one in record.ranges
        if one.fixed is not None and one.fixed_version
    }
    if not fixes:
        texts = {one.fixed_version for record in records for one in record.ranges if not one.comparable} - {""}
        return texts.pop() if len(texts) == 1 else ""
    if key is None:
        return fixes[max(fixes)]
    above = sorted(fixed for fixed in fixes if fixed > key)
    agreed = (fixed for fixed in above if all(_answer(record, fixed) is not _Answer.YES for record in records))
    best = next(agreed, above[0] if above else None)
    return fixes[best] if best is not None else ""
