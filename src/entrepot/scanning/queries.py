"""Read-only questions about scans, packages, findings and feeds.

An image's facts are readable only through a manifest that the caller may read: so they are asked for with the
artifact that was looked up for him.
"""

import asyncio
import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import func, select

from entrepot.catalog.queries import Artifact
from entrepot.content.ports import SmallBytes
from entrepot.runtime.database import Database
from entrepot.runtime.filters import Field, Kind
from entrepot.runtime.lists import Listing
from entrepot.scanning.codec import finding_of, unpack_image
from entrepot.scanning.model import Finding, ImageFacts, ImagePackage, ScanStatus, Severity
from entrepot.scanning.tables import feed, feed_coverage, image_scan, pv_finding, set_pv

NOTHING: Final = ImageFacts((), (), "")
PACKAGES: Final = Listing(
    {
        "name": Field(Kind.TEXT),
        "version": Field(Kind.TEXT),
        "arch": Field(Kind.TEXT),
        "ecosystem": Field(Kind.TEXT),
        "namespace": Field(Kind.TEXT),
        "source_name": Field(Kind.TEXT),
        "path": Field(Kind.TEXT),
        "layer": Field(Kind.NUMBER),
    },
    key="name",
    default="ecosystem",
)
FINDINGS: Final = Listing(
    {
        "id": Field(Kind.TEXT),
        "severity": Field(Kind.RANKED, tuple(severity.value for severity in Severity)),
        "package": Field(Kind.TEXT),
        "version": Field(Kind.TEXT),
        "fixed_version": Field(Kind.TEXT),
        "fixable": Field(Kind.BOOLEAN),
        "status": Field(Kind.TEXT),
        "counted": Field(Kind.BOOLEAN),
        "layer": Field(Kind.NUMBER),
    },
    key="id",
    default="-severity",
)


@dataclass(frozen=True, slots=True)
class ScanState:
    """How far the analysis of an image is. counts: open counted findings by severity."""

    status: ScanStatus
    reasons: tuple[str, ...]
    os: str
    platform: str
    waiting: int
    packages: int
    counts: dict[Severity, int]
    since: datetime | None
    finished_at: datetime | None


@dataclass(frozen=True, slots=True)
class ImageFinding:
    """A finding of an image, with the package that brought it."""

    finding: Finding
    origin: ImagePackage


@dataclass(frozen=True, slots=True)
class FeedRow:
    """A feed in force. covers: a short text of what it speaks of."""

    source: str
    records: int
    namespaces: tuple[str, ...]
    covers: str
    built_at: str
    imported_at: datetime


FEEDS: Final = Listing(
    {
        "source": Field(Kind.TEXT),
        "records": Field(Kind.NUMBER),
        "covers": Field(Kind.TEXT),
        "built_at": Field(Kind.TEXT),
        "imported_at": Field(Kind.INSTANT),
    },
    key="source",
    default="source",
)


@dataclass(frozen=True, slots=True)
class ScanQueries:
    """Asks *database*; packages lie in *files*."""

    database: Database
    files: SmallBytes

    async def state(self, artifact: Artifact) -> ScanState:
        """How far the analysis of *artifact* is; an index is as far as its least child."""
        if artifact.kind == "artifact":
            return _state(ScanStatus.NOT_APPLICABLE)
        if artifact.kind == "index":
            images = [child.digest for child in artifact.children if child.kind == "image"]
            return _worst([await self._image(digest) or _state(ScanStatus.QUEUED) for digest in images])
        return await self._image(artifact.digest) or _state(ScanStatus.QUEUED)

    async def packages(self, artifact: Artifact) -> tuple[ImagePackage, ...]:
        """The packages of *artifact*, sorted by ecosystem and name; none while it is not analysed."""
        return (await self._facts(artifact.digest)).packages

    async def findings(self, artifact: Artifact) -> list[ImageFinding]:
        """Open findings of *artifact*, worst first."""
        question = (
            select(pv_finding.c.document)
            .join(set_pv, set_pv.c.pv_id == pv_finding.c.pv_id)
            .join(image_scan, image_scan.c.set_id == set_pv.c.set_id)
            .where(image_scan.c.digest == artifact.digest, pv_finding.c.closed_at.is_(None))
        )
        async with self.database.reading() as connection:
            found = [finding_of(row.document) for row in await connection.execute(question)]
        origins: dict[tuple[str, str, str], ImagePackage] = {}
        for each in await self.packages(artifact):
            key = (each.namespace, each.package.source_name, each.package.source_version)
            if key not in origins or each.layer < origins[key].layer:
                origins[key] = each
        known = [(finding, origins.get((finding.namespace, finding.package, finding.version))) for finding in found]
        rows = [ImageFinding(finding, origin) for finding, origin in known if origin is not None]
        return sorted(rows, key=lambda row: (-row.finding.severity.rank, row.finding.package, row.finding.id))

    async def feeds(self) -> list[FeedRow]:
        """Every feed in force, by source."""
        async with self.database.reading() as connection:
            rows = (await connection.execute(select(feed).where(feed.c.sha256 != "").order_by(feed.c.source))).all()
            covered = (await connection.execute(select(feed_coverage))).all()
        return [
            FeedRow(
                row.source,
                row.records,
                tuple(sorted(each.namespace for each in covered if each.source == row.source)),
                ", ".join(
                    _covers(each.namespace, each.part, each.packages) for each in covered if each.source == row.source
                ),
                row.built_at,
                row.imported_at,
            )
            for row in rows
        ]

    async def by_status(self) -> dict[str, int]:
        """How many images there are by the state of their analysis."""
        question = select(image_scan.c.status, func.count()).group_by(image_scan.c.status)
        async with self.database.reading() as connection:
            return {row[0]: row[1] for row in await connection.execute(question)}

    async def by_severity(self) -> dict[tuple[str, bool], int]:
        """How many findings are open by severity and whether there is a fix; each once per package version."""
        fixable = pv_finding.c.fixed_version != ""
        question = select(pv_finding.c.severity, fixable, func.count()).where(pv_finding.c.closed_at.is_(None))
        async with self.database.reading() as connection:
            rows = await connection.execute(question.group_by(pv_finding.c.severity, fixable))
            return {(row[0], bool(row[1])): row[2] for row in rows}

    async def platforms(self, digests: Iterable[str]) -> dict[str, str]:
        """`os/architecture` of analysed images, by digest."""
        question = select(image_scan.c.digest, image_scan.c.platform).where(image_scan.c.digest.in_(list(digests)))
        async with self.database.reading() as connection:
            return {row.digest: row.platform for row in await connection.execute(question)}

    async def _image(self, digest: str) -> ScanState | None:
        async with self.database.reading() as connection:
            row = (await connection.execute(select(image_scan).where(image_scan.c.digest == digest))).one_or_none()
            if row is None:
                return None
            question = (
                select(pv_finding.c.severity, func.count())
                .join(set_pv, set_pv.c.pv_id == pv_finding.c.pv_id)
                .where(set_pv.c.set_id == row.set_id, pv_finding.c.closed_at.is_(None), pv_finding.c.counted)
                .group_by(pv_finding.c.severity)
            )
            counts = {Severity(each[0]): int(each[1]) for each in await connection.execute(question)}
        return ScanState(
            ScanStatus(row.status),
            tuple(json.loads(row.reasons)),
            row.os,
            row.platform,
            row.waiting,
            len((await self._facts(digest)).packages),
            counts,
            row.queued_at,
            row.finished_at,
        )

    async def _facts(self, digest: str) -> ImageFacts:
        async with self.database.reading() as connection:
            question = select(image_scan.c.facts_key).where(image_scan.c.digest == digest)
            key = (await connection.execute(question)).scalar_one_or_none()
        if not key:
            return NOTHING
        return await asyncio.to_thread(unpack_image, await self.files.get(key))


def _state(status: ScanStatus) -> ScanState:
    return ScanState(status, (), "", "", 0, 0, {}, None, None)


def _worst(states: list[ScanState]) -> ScanState:
    """An index is done when each child is; its counts are its children's together."""
    order = (ScanStatus.ANALYSING, ScanStatus.QUEUED, ScanStatus.FAILED, ScanStatus.PARTIAL, ScanStatus.COMPLETE)
    if not states:
        return _state(ScanStatus.NOT_APPLICABLE)
    status = min((state.status for state in states), key=order.index)
    counts = {each: sum(state.counts.get(each, 0) for state in states) for each in Severity}
    finished = [state.finished_at for state in states if state.finished_at is not None]
    return ScanState(
        status,
        tuple(sorted({reason for state in states for reason in state.reasons})),
        "",
        "",
        sum(state.waiting for state in states),
        sum(state.packages for state in states),
        {key: value for key, value in counts.items() if value},
        min((state.since for state in states if state.since is not None), default=None),
        max(finished, default=None),
    )


def _covers(namespace: str, part: str, packages: str | None) -> str:
    if packages is None:
        return f"{namespace} ({part or 'all'})"
    return f"{namespace} ({len(json.loads(packages))} packages)"


def finding_value(row: ImageFinding, field: str) -> Any:
    """The value of a finding's *field*, of those in FINDINGS."""
    match field:
        case "fixable":
            return bool(row.finding.fixed_version)
        case "severity" | "status":
            return getattr(row.finding, field).value
        case "layer":
            return row.origin.layer
        case _:
            return getattr(row.finding, field)


def finding_key(row: ImageFinding) -> str:
    """A text that no two findings of an image share."""
    finding = row.finding
    return "\n".join((finding.package, finding.id, finding.version, str(row.origin.layer), *finding.advisories))


def package_value(row: ImagePackage, field: str) -> Any:
    """The value of a package's *field*, of those in PACKAGES."""
    return getattr(row if field in {"namespace", "layer"} else row.package, field)


def package_key(row: ImagePackage) -> str:
    """A text that no two packages of an image share."""
    package = row.package
    names = (package.ecosystem, row.namespace, package.name, package.version, package.arch, package.path)
    return "\n".join((*names, str(row.layer)))
