"""Endpoints: what an image is made of, what was found in it, and what the policy says."""

from typing import Annotated, Final

from fastapi import APIRouter, Depends

from entrepot.access.model import Permission
from entrepot.catalog.queries import Artifact
from entrepot.policy.model import Outcome
from entrepot.runtime.lists import Wanted, part_of
from entrepot.scanning.model import ImagePackage
from entrepot.scanning.queries import (
    FINDINGS,
    PACKAGES,
    ImageFinding,
    ScanState,
    finding_key,
    finding_value,
    package_key,
    package_value,
)
from entrepot.web.api.context import Asked
from entrepot.web.api.keyed import KeyedRoute
from entrepot.web.api.listed import asked_for
from entrepot.web.api.schemas import (
    ArtifactDetail,
    ChildItem,
    FindingItem,
    LayerItem,
    PackageItem,
    Page,
    ScanDetail,
    ScanSummary,
    VerdictSummary,
)
from entrepot.web.context import Context

router = APIRouter(tags=["artifacts"], route_class=KeyedRoute)
PATH: Final = "/repositories/{name:path}/-/artifacts/{reference}"


@router.get(PATH, operation_id="getArtifact")
async def get_artifact(asked: Asked, name: str, reference: str) -> ArtifactDetail:
    """A manifest: layers, children, scan and verdict."""
    artifact = await asked.artifact(Permission.REPO_READ, name, reference)
    # The verdict first: it follows the scan, so one that is there never stands beside a scan that is not done.
    verdict = await asked.services.policy.verdict(artifact)
    state = await asked.services.scans.state(artifact)
    steps = {package.layer: package.step for package in await asked.services.scans.packages(artifact)}
    return ArtifactDetail(
        repository=artifact.repository,
        digest=artifact.digest,
        media_type=artifact.media_type,
        artifact_type=artifact.artifact_type,
        size=artifact.size,
        platform=state.platform,
        tags=list(artifact.tags),
        pushed_at=artifact.pushed_at,
        pushed_by=artifact.pushed_by,
        layers=[
            LayerItem(
                index=layer.index,
                digest=layer.digest,
                size=layer.size,
                media_type=layer.media_type,
                step=steps.get(layer.index, "unknown"),
            )
            for layer in artifact.layers
        ],
        children=await _children(asked, artifact),
        scan=_summary(state),
        verdict=VerdictSummary(
            outcome=verdict.outcome.value, mode=verdict.mode.value, policy=verdict.policy, text=verdict.text
        ),
    )


@router.get(PATH + "/scan", operation_id="getScan")
async def get_scan(asked: Asked, name: str, reference: str) -> ScanDetail:
    """How far analysis and judgement of a manifest are."""
    artifact = await asked.artifact(Permission.SCAN_READ, name, reference)
    # The verdict first: it follows the scan, so one that is there never stands beside a scan that is not done.
    verdict = await asked.services.policy.verdict(artifact)
    state = await asked.services.scans.state(artifact)
    return ScanDetail(
        digest=artifact.digest,
        status=state.status.value,
        reasons=list(state.reasons),
        waiting=state.waiting,
        outcome=verdict.outcome.value,
        mode=verdict.mode.value,
        text=verdict.text,
    )


@router.get(PATH + "/packages", operation_id="listPackages")
async def list_packages(
    asked: Asked, name: str, reference: str, wanted: Annotated[Wanted, Depends(asked_for(PACKAGES))]
) -> Page[PackageItem]:
    """The packages of an image."""
    artifact = await asked.artifact(Permission.SCAN_READ, name, reference)
    part = part_of(await asked.services.scans.packages(artifact), PACKAGES, wanted, package_value, package_key)
    return Page(items=[_package(each) for each in part.items], next=part.next, total=part.total)


@router.get(PATH + "/findings", operation_id="listFindings")
async def list_findings(
    asked: Asked, name: str, reference: str, wanted: Annotated[Wanted, Depends(asked_for(FINDINGS))]
) -> Page[FindingItem]:
    """The open findings of an image, each with the layer that brought its package."""
    artifact = await asked.artifact(Permission.SCAN_READ, name, reference)
    part = part_of(await asked.services.scans.findings(artifact), FINDINGS, wanted, finding_value, finding_key)
    return Page(items=[finding_item(each) for each in part.items], next=part.next, total=part.total)


def _package(each: ImagePackage) -> PackageItem:
    return PackageItem(
        name=each.package.name,
        version=each.package.version,
        arch=each.package.arch,
        ecosystem=each.package.ecosystem,
        namespace=each.namespace,
        source_name=each.package.source_name,
        source_version=each.package.source_version,
        path=each.package.path,
        layer=each.layer,
        layer_digest=each.layer_digest,
        step=each.step,
    )


def finding_item(each: ImageFinding) -> FindingItem:
    """A finding as the API shows it."""
    return FindingItem(
        id=each.finding.id,
        aliases=list(each.finding.aliases),
        severity=each.finding.severity.value,
        severity_source=each.finding.severity_source,
        package=each.finding.package,
        version=each.finding.version,
        fixed_version=each.finding.fixed_version,
        status=each.finding.status.value,
        counted=each.finding.counted,
        layer=each.origin.layer,
        layer_digest=each.origin.layer_digest,
        step=each.origin.step,
        summary=each.finding.summary,
        advisories=list(each.finding.advisories),
    )


async def _children(asked: Context, artifact: Artifact) -> list[ChildItem]:
    outcomes = await asked.services.policy.outcomes(artifact)
    platforms = await asked.services.scans.platforms(child.digest for child in artifact.children)
    return [
        ChildItem(
            digest=child.digest,
            platform=child.platform or platforms.get(child.digest, ""),
            outcome=outcomes.get(child.digest, Outcome.PENDING).value,
        )
        for child in artifact.children
    ]


def _summary(state: ScanState) -> ScanSummary:
    return ScanSummary(
        status=state.status.value,
        reasons=list(state.reasons),
        os=state.os,
        packages=state.packages,
        findings={severity.value: count for severity, count in state.counts.items()},
        since=state.since,
        finished_at=state.finished_at,
    )
