"""Rows of layer facts, images, package versions, advisories and findings."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import bindparam, delete, func, insert, select, tuple_, update

from entrepot.catalog.tables import manifest, ref_blob
from entrepot.runtime.ports import Connection
from entrepot.runtime.unit_of_work import Unit
from entrepot.runtime.upsert import insert_or
from entrepot.scanning.codec import advisory_of, document
from entrepot.scanning.model import Advisory, Finding, LayerFacts, ScanStatus
from entrepot.scanning.tables import (
    advisory,
    feed,
    feed_coverage,
    image_scan,
    layer_facts,
    package_set,
    pv,
    pv_finding,
    rematch,
    set_pv,
)

CHUNK: Final = 300
PARTS: Final = {"alpine": frozenset({"main", "community"})}

FEEDS: Final = ("scanning", "feeds")
"""Held by whoever puts a feed into force, and by whoever adds versions that were matched with those in force."""

Name = tuple[str, str]
Version = tuple[str, str, str]

# Statements of each layer stand built: building one and finding its compiled text again takes longer than running it.
FACTS_KEY: Final = select(layer_facts.c.object_key).where(
    layer_facts.c.digest == bindparam("wanted"), layer_facts.c.analyser_set == bindparam("by")
)
ADD_FACTS: Final = insert_or(layer_facts).on_conflict_do_nothing()
IS_LAYER: Final = (
    select(ref_blob.c.parent).where(ref_blob.c.digest == bindparam("wanted"), ref_blob.c.kind == "layer").limit(1)
)
WAITING_FOR: Final = (
    select(ref_blob.c.parent)
    .distinct()
    .join(image_scan, image_scan.c.digest == ref_blob.c.parent)
    .where(ref_blob.c.digest == bindparam("wanted"), image_scan.c.status.in_(["queued", "analysing"]))
)


async def facts_key(unit: Unit, digest: str, analyser_set: str) -> str | None:
    """Where the facts of the layer lie; None if there are none by this set of analysers."""
    row = await unit.fetch_one(FACTS_KEY, {"wanted": digest, "by": analyser_set})
    return None if row is None else str(row.object_key)


async def add_facts(unit: Unit, facts: LayerFacts, analyser_set: str, key: str, now: datetime) -> None:
    """Records where the facts of a layer lie; the first to come stay."""
    values = {"digest": facts.digest, "analyser_set": analyser_set, "object_key": key, "at": now}
    values["state"] = "complete" if facts.complete else "partial"
    await unit.execute(ADD_FACTS, values)


async def is_layer(unit: Unit, digest: str) -> bool:
    """Whether a manifest calls the blob a layer."""
    return await unit.fetch_one(IS_LAYER, {"wanted": digest}) is not None


async def images_waiting_for(unit: Unit, layer: str) -> list[str]:
    """Digests of images with this layer whose analysis is not done."""
    return [row.parent for row in await unit.fetch_all(WAITING_FOR, {"wanted": layer})]


async def manifest_bytes(unit: Unit, digest: str) -> bytes | None:
    """The bytes of the manifest *digest*, from whichever repository has it."""
    row = await unit.fetch_one(select(manifest.c.bytes).where(manifest.c.digest == digest).limit(1))
    return None if row is None else bytes(row.bytes)


async def image_status(unit: Unit, digest: str, analyser_set: str) -> ScanStatus | None:
    """How far the analysis of the image is, by this set of analysers."""
    row = await unit.fetch_one(
        select(image_scan.c.status).where(image_scan.c.digest == digest, image_scan.c.analyser_set == analyser_set)
    )
    return None if row is None else ScanStatus(row.status)


@dataclass(frozen=True, slots=True)
class Scan:
    """The result of an image's analysis, as its row has it."""

    status: ScanStatus
    reasons: tuple[str, ...]
    os: str
    platform: str
    facts_key: str
    set_id: int | None


async def put_waiting(unit: Unit, digest: str, waiting: int, analyser_set: str, now: datetime) -> None:
    """The image waits for *waiting* layers. A result it has already stays until there is a new one."""
    values = {
        "digest": digest,
        "status": ScanStatus.ANALYSING.value,
        "reasons": "[]",
        "os": "",
        "platform": "",
        "waiting": waiting,
        "facts_key": "",
        "analyser_set": analyser_set,
        "queued_at": now,
    }
    statement = insert_or(image_scan).values(values)
    await unit.execute(statement.on_conflict_do_update(index_elements=[image_scan.c.digest], set_={"waiting": waiting}))


async def put_scan(unit: Unit, digest: str, scan: Scan, analyser_set: str, now: datetime) -> None:
    """The image's analysis came to its end."""
    values: dict[str, Any] = {
        "status": scan.status.value,
        "reasons": json.dumps(scan.reasons),
        "os": scan.os,
        "platform": scan.platform,
        "waiting": 0,
        "facts_key": scan.facts_key,
        "analyser_set": analyser_set,
        "set_id": scan.set_id,
        "finished_at": now,
    }
    statement = insert_or(image_scan).values(digest=digest, queued_at=now, **values)
    await unit.execute(statement.on_conflict_do_update(index_elements=[image_scan.c.digest], set_=values))


async def feed_stamp(connection: Connection) -> tuple[int, Any]:
    """Equal as long as no feed was applied."""
    question = select(func.count(), func.max(feed.c.imported_at))
    row = (await connection.execute(question)).one()
    return (row[0], row[1])


@dataclass(frozen=True, slots=True)
class Coverage:
    """What feeds know all about in a namespace: *names*, None for every package. missing: parts no feed speaks of."""

    names: frozenset[str] | None
    missing: tuple[str, ...] = ()

    def has(self, name: str) -> bool:
        """Whether an absent advisory about *name* means that there is none."""
        return self.names is None or name in self.names


async def coverage(connection: Connection, namespaces: Iterable[str]) -> dict[str, Coverage]:
    """What feeds cover of *namespaces*; one that no feed speaks of is absent.

    Alpine keeps its fixes by repository, and a package does not say which one it is from: so a branch is covered
    when both are, and with one alone nothing in it is known to be clean.
    """
    names: dict[str, set[str]] = {}
    parts: dict[str, set[str]] = {}
    question = select(feed_coverage.c.namespace, feed_coverage.c.part, feed_coverage.c.packages)
    for row in await connection.execute(question.where(feed_coverage.c.namespace.in_(list(namespaces)))):
        names.setdefault(row.namespace, set()).update(json.loads(row.packages or "[]"))
        if row.packages is None:
            parts.setdefault(row.namespace, set()).add(row.part)
    found = {}
    for namespace, listed in names.items():
        have = parts.get(namespace, set())
        missing = sorted(PARTS.get(namespace.partition(":")[0], frozenset({""})) - have)
        whole = "" in have or not missing
        found[namespace] = Coverage(None if whole else frozenset(listed), () if whole else tuple(filter(None, missing)))
    return found


async def known_versions(connection: Connection, wanted: Sequence[Version]) -> dict[Version, int]:
    """Row ids of those of *wanted* (namespace, name, version) that are known, and so were matched."""
    found: dict[Version, int] = {}
    for start in range(0, len(wanted), CHUNK):
        question = select(pv.c.id, pv.c.namespace, pv.c.name, pv.c.version).where(
            tuple_(pv.c.namespace, pv.c.name, pv.c.version).in_(wanted[start : start + CHUNK])
        )
        for row in await connection.execute(question):
            found[row.namespace, row.name, row.version] = row.id
    return found


async def add_versions(unit: Unit, versions: Sequence[Version]) -> dict[Version, int]:
    """Row ids of *versions*, made where they are not there."""
    rows = [{"namespace": a, "name": b, "version": c} for a, b, c in versions]
    if rows:
        await unit.execute(insert_or(pv).on_conflict_do_nothing(), rows)
    return await known_versions(unit.connection, versions)


async def add_set(unit: Unit, hash_: str, pv_ids: Sequence[int]) -> int:
    """The row id of the package set *hash_*, made of *pv_ids* if it is not there."""
    known = select(package_set.c.id).where(package_set.c.hash == hash_)
    row = await unit.fetch_one(known)
    if row is not None:
        return int(row.id)
    made = (await unit.execute(insert(package_set).values(hash=hash_).returning(package_set.c.id))).one()
    if pv_ids:
        await unit.execute(insert(set_pv), [{"set_id": made.id, "pv_id": id_} for id_ in pv_ids])
    return int(made.id)


async def advisories(connection: Connection, names: Sequence[Name]) -> dict[Name, list[Advisory]]:
    """Every advisory about *names* (namespace, package), of all feeds."""
    found: dict[Name, list[Advisory]] = {}
    for start in range(0, len(names), CHUNK):
        question = select(advisory.c.namespace, advisory.c.package, advisory.c.document).where(
            tuple_(advisory.c.namespace, advisory.c.package).in_(names[start : start + CHUNK])
        )
        for row in await connection.execute(question):
            found.setdefault((row.namespace, row.package), []).append(advisory_of(row.document))
    return found


async def put_findings(unit: Unit, pv_id: int, findings: Sequence[Finding], now: datetime) -> tuple[int, int, bool]:
    """The open findings of the package version are *findings* now: how many opened, closed, and if any counts anew.

    A finding that comes back opens again with its first date; a closed one stays as history.
    """
    question = select(pv_finding.c.id, pv_finding.c.document, pv_finding.c.closed_at)
    before = {row.id: row for row in await unit.fetch_all(question.where(pv_finding.c.pv_id == pv_id))}
    opened, touched = 0, False
    for finding in findings:
        written = document(finding)
        old = before.pop(finding.id, None)
        if old is not None and old.closed_at is None and old.document == written:
            continue
        opened += old is None or old.closed_at is not None
        touched = True
        values = {
            "severity": finding.severity.value,
            "fixed_version": finding.fixed_version,
            "counted": finding.counted,
            "document": written,
            "closed_at": None,
        }
        row = insert_or(pv_finding).values(pv_id=pv_id, id=finding.id, first_seen=now, **values)
        await unit.execute(row.on_conflict_do_update(index_elements=[pv_finding.c.pv_id, pv_finding.c.id], set_=values))
    gone = [id_ for id_, row in before.items() if row.closed_at is None]
    if gone:
        change = update(pv_finding).where(pv_finding.c.pv_id == pv_id, pv_finding.c.id.in_(gone))
        await unit.execute(change.values(closed_at=now))
    return opened, len(gone), touched or bool(gone)


async def add_findings(unit: Unit, found: Iterable[tuple[int, Sequence[Finding]]], now: datetime) -> None:
    """The open findings of package versions (row id, findings) that had none; those that are there stay.

    One statement for all: an image of a few thousand findings is no reason for others to wait.
    """
    rows = [
        {
            "pv_id": pv_id,
            "id": finding.id,
            "first_seen": now,
            "severity": finding.severity.value,
            "fixed_version": finding.fixed_version,
            "counted": finding.counted,
            "document": document(finding),
            "closed_at": None,
        }
        for pv_id, findings in found
        for finding in findings
    ]
    if rows:
        await unit.execute(insert_or(pv_finding).on_conflict_do_nothing(), rows)


async def images_with(unit: Unit, pv_ids: Sequence[int]) -> list[str]:
    """Digests of the images that hold any of the package versions."""
    question = (
        select(image_scan.c.digest)
        .distinct()
        .join(set_pv, set_pv.c.set_id == image_scan.c.set_id)
        .where(set_pv.c.pv_id.in_(pv_ids))
        .order_by(image_scan.c.digest)
    )
    return [row.digest for row in await unit.fetch_all(question)]


async def images_in(unit: Unit, namespaces: Iterable[str]) -> list[str]:
    """Digests of the images that hold a package of any of *namespaces*."""
    question = (
        select(image_scan.c.digest)
        .distinct()
        .join(set_pv, set_pv.c.set_id == image_scan.c.set_id)
        .join(pv, pv.c.id == set_pv.c.pv_id)
        .where(pv.c.namespace.in_(list(namespaces)))
    )
    return [row.digest for row in await unit.fetch_all(question)]


async def versions_of(unit: Unit, name: Name) -> list[tuple[int, str]]:
    """Row ids and versions of the package *name* (namespace, package) that any image holds."""
    question = select(pv.c.id, pv.c.version).where(pv.c.namespace == name[0], pv.c.name == name[1])
    return [(row.id, row.version) for row in await unit.fetch_all(question)]


async def mark_changed(unit: Unit, names: Iterable[Name]) -> None:
    """The package versions of *names* are to be matched again."""
    rows = [{"namespace": namespace, "package": package} for namespace, package in names]
    if rows:
        await unit.execute(insert_or(rematch).on_conflict_do_nothing(), rows)


async def changed_names(unit: Unit, limit: int) -> list[Name]:
    """Names still to be matched again, at most *limit*."""
    question = select(rematch.c.namespace, rematch.c.package).limit(limit)
    return [(row.namespace, row.package) for row in await unit.fetch_all(question)]


async def unmark(unit: Unit, names: Sequence[Name]) -> None:
    """*names* are matched again."""
    await unit.execute(delete(rematch).where(tuple_(rematch.c.namespace, rematch.c.package).in_(names)))
