"""Endpoints: what an artifact is made of, down to the layers, and what is different in another."""

from typing import Annotated, Final

from fastapi import APIRouter, Query
from pydantic import BaseModel

from entrepot.access.model import Permission, Repository
from entrepot.access.scoped import Scoped
from entrepot.catalog.queries import Artifact
from entrepot.scanning.difference import PackageChange, findings_gained, packages_differ
from entrepot.web.api.artifacts import PATH, finding_item
from entrepot.web.api.context import Asked
from entrepot.web.api.keyed import KeyedRoute
from entrepot.web.api.schemas import FindingItem
from entrepot.web.context import Context

router = APIRouter(tags=["artifacts"], route_class=KeyedRoute)
MOST_REFERRERS: Final = 100
MOST_CHILDREN: Final = 100
DEEPEST: Final = 3
"""How far down indexes in indexes are followed."""
With = Annotated[str, Query(alias="with", max_length=140, description="The tag or digest to compare with.")]


class LayerNode(BaseModel):
    """A layer. step: the build step that made it, `unknown` where the config does not say."""

    index: int
    digest: str
    size: int
    media_type: str
    step: str


class ReferrerNode(BaseModel):
    """A manifest that speaks of another: a signature, an attestation, an SBOM."""

    digest: str
    artifact_type: str
    size: int


class TreeNode(BaseModel):
    """A manifest and what is below it. platform: as the index says; children: the first 100 of an index."""

    digest: str
    kind: str
    media_type: str
    platform: str
    size: int
    children: list["TreeNode"]
    layers: list[LayerNode]
    referrers: list[ReferrerNode]


class PackageChangeItem(BaseModel):
    """A package and its versions before and after."""

    ecosystem: str
    namespace: str
    name: str
    before: list[str]
    after: list[str]


class LayerShare(BaseModel):
    """A layer by digest and size."""

    digest: str
    size: int


class DiffDetail(BaseModel):
    """What is different in `to` from `from`: packages, findings, and layers that both have or only one."""

    from_digest: str
    to_digest: str
    added: list[PackageChangeItem]
    removed: list[PackageChangeItem]
    changed: list[PackageChangeItem]
    gained: list[FindingItem]
    lost: list[FindingItem]
    shared_layers: list[LayerShare]
    only_from_layers: list[LayerShare]
    only_to_layers: list[LayerShare]


@router.get(PATH + "/tree", operation_id="getArtifactTree")
async def get_artifact_tree(asked: Asked, name: str, reference: str) -> TreeNode:
    """A manifest with all below it: an index's platforms, an image's layers with their build steps, referrers."""
    artifact = await asked.artifact(Permission.REPO_READ, name, reference)
    return await _node(asked, await asked.repository(Permission.REPO_READ, name), artifact, "", DEEPEST)


@router.get(PATH + "/diff", operation_id="diffArtifacts")
async def diff_artifacts(asked: Asked, name: str, reference: str, other: With) -> DiffDetail:
    """What another artifact of the same repository has more, less, or in other versions: from this one to `with`."""
    before = await asked.artifact(Permission.SCAN_READ, name, reference)
    after = await asked.artifact(Permission.SCAN_READ, name, other)
    scans = asked.services.scans
    packages = packages_differ(await scans.packages(before), await scans.packages(after))
    old, new = await scans.findings(before), await scans.findings(after)
    mine, theirs = _layers(before), _layers(after)
    return DiffDetail(
        from_digest=before.digest,
        to_digest=after.digest,
        added=[_change(each) for each in packages.added],
        removed=[_change(each) for each in packages.removed],
        changed=[_change(each) for each in packages.changed],
        gained=[finding_item(each) for each in findings_gained(old, new)],
        lost=[finding_item(each) for each in findings_gained(new, old)],
        shared_layers=[layer for digest, layer in mine.items() if digest in theirs],
        only_from_layers=[layer for digest, layer in mine.items() if digest not in theirs],
        only_to_layers=[layer for digest, layer in theirs.items() if digest not in mine],
    )


async def _node(
    asked: Context, repository: Scoped[Repository], artifact: Artifact, platform: str, deeper: int
) -> TreeNode:
    catalog = asked.services.catalog
    steps = await asked.services.steps(await catalog.config_copy(artifact), len(artifact.layers))
    children = []
    for child in artifact.children[:MOST_CHILDREN] if deeper else ():
        below = await catalog.artifact(repository, child.digest)
        children.append(await _node(asked, repository, below, child.platform, deeper - 1))
    return TreeNode(
        digest=artifact.digest,
        kind=artifact.kind,
        media_type=artifact.media_type,
        platform=platform,
        size=artifact.size,
        children=children,
        layers=[
            LayerNode(index=each.index, digest=each.digest, size=each.size, media_type=each.media_type, step=step)
            for each, step in zip(artifact.layers, steps, strict=True)
        ],
        referrers=[
            ReferrerNode(digest=each.digest, artifact_type=each.artifact_type, size=each.size)
            for each in await catalog.referrers(artifact, MOST_REFERRERS)
        ],
    )


def _layers(artifact: Artifact) -> dict[str, LayerShare]:
    return {layer.digest: LayerShare(digest=layer.digest, size=layer.size) for layer in artifact.layers}


def _change(each: PackageChange) -> PackageChangeItem:
    return PackageChangeItem(
        ecosystem=each.ecosystem,
        namespace=each.namespace,
        name=each.name,
        before=list(each.before),
        after=list(each.after),
    )
