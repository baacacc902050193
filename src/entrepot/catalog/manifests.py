"""Manifests in repositories: what they name must be there when they come, and stays while they stay."""

from datetime import datetime

from sqlalchemy import insert, select, update

from entrepot.access.model import Repository
from entrepot.access.scoped import Scoped
from entrepot.catalog import blobs
from entrepot.catalog.errors import ManifestBlobUnknownError, ManifestUnknownError, StillReferencedError
from entrepot.catalog.model import ManifestDeleted, ManifestPushed
from entrepot.catalog.tables import manifest, manifest_push, ref_blob, ref_manifest, repo_blob
from entrepot.catalog.tags import forget_all
from entrepot.oci import mediatype
from entrepot.oci.descriptor import Descriptor
from entrepot.oci.digest import Digest
from entrepot.oci.errors import SizeInvalidError
from entrepot.oci.manifest import Manifest, is_attestation
from entrepot.runtime.unit_of_work import Unit
from entrepot.runtime.upsert import insert_or


async def put(
    unit: Unit, repository: Scoped[Repository], reference: str, digest: Digest, document: Manifest, now: datetime
) -> None:
    """The repository has *document*, whose digest is *digest*, from now on; a deleted one lives again.

    reference: the tag or digest it was pushed under.
    Raises ManifestBlobUnknownError (every missing digest), SizeInvalidError.
    """
    resource = repository.resource
    await _check_children(unit, resource, document)
    actor = repository.principal.actor
    values = {
        "repo_id": resource.id,
        "digest": str(digest),
        "media_type": document.media_type,
        "artifact_type": document.artifact_type,
        "kind": document.kind.value,
        "size": len(document.body),
        "bytes": document.body,
        "pushed_by": actor.name,
        "pushed_at": now,
    }
    known = select(manifest.c.deleted_at).where(manifest.c.repo_id == resource.id, manifest.c.digest == str(digest))
    before = await unit.fetch_one(known)
    if before is None:
        await unit.execute(insert(manifest).values(values))
        await _add_references(unit, resource.id, str(digest), document)
    elif before.deleted_at is not None:
        change = update(manifest).where(manifest.c.repo_id == resource.id, manifest.c.digest == str(digest))
        await unit.execute(change.values(deleted_at=None, pushed_by=actor.name, pushed_at=now))
    push = {"repo_id": resource.id, "digest": str(digest), "account_id": actor.account_id, "at": now}
    key = [manifest_push.c.repo_id, manifest_push.c.digest, manifest_push.c.account_id]
    await unit.execute(
        insert_or(manifest_push).values(push).on_conflict_do_update(index_elements=key, set_={"at": now})
    )
    unit.emit(
        ManifestPushed(
            project=resource.project.name,
            repository=resource.name,
            reference=reference,
            digest=str(digest),
            repo_id=resource.id,
            kind=document.kind.value,
            media_type=document.media_type,
            size=len(document.body),
        )
    )


async def delete(unit: Unit, repository: Scoped[Repository], digest: Digest, now: datetime) -> None:
    """The manifest *digest* and its tags are gone. Raises ManifestUnknownError, StillReferencedError."""
    resource = repository.resource
    parents = (
        select(ref_manifest.c.parent)
        .join(manifest, (manifest.c.repo_id == ref_manifest.c.repo_id) & (manifest.c.digest == ref_manifest.c.parent))
        .where(
            ref_manifest.c.repo_id == resource.id,
            ref_manifest.c.child == str(digest),
            manifest.c.deleted_at.is_(None),
        )
        .limit(5)
    )
    needed = [row.parent for row in await unit.fetch_all(parents)]
    if needed:
        raise StillReferencedError(f"{digest.short()} is listed by index {needed[0]}; delete that one first", needed)
    change = update(manifest).where(
        manifest.c.repo_id == resource.id, manifest.c.digest == str(digest), manifest.c.deleted_at.is_(None)
    )
    if not (await unit.execute(change.values(deleted_at=now))).rowcount:
        raise ManifestUnknownError(f"{digest} is not in {resource.name}")
    tags = await forget_all(unit, repository, digest, now)
    event = ManifestDeleted(
        project=resource.project.name, repository=resource.name, digest=str(digest), tags=tuple(tags)
    )
    unit.emit(event)


async def _check_children(unit: Unit, resource: Repository, document: Manifest) -> None:
    manifests = [child for child in document.children if child.media_type in mediatype.ALL]
    wanted = [child for child in document.children if child.media_type not in mediatype.ALL]
    wanted += [document.config] if document.config is not None else []
    wanted += document.layers
    sizes = await blobs.linked(unit, resource.id, (child.digest for child in wanted))
    sizes |= await _manifest_sizes(unit, resource.id, [str(child.digest) for child in manifests])
    missing = {
        str(child.digest): None
        for child in (*wanted, *manifests)
        if str(child.digest) not in sizes and not mediatype.is_foreign(child.media_type)
    }
    if missing:
        raise ManifestBlobUnknownError(resource.name, list(missing))
    for child in (*wanted, *manifests):
        if sizes.get(str(child.digest), child.size) != child.size:
            raise SizeInvalidError(
                f"{child.digest.short()} has {sizes[str(child.digest)]} bytes, the manifest says {child.size}", "size"
            )


async def _manifest_sizes(unit: Unit, repo_id: int, digests: list[str]) -> dict[str, int]:
    found: dict[str, int] = {}
    for start in range(0, len(digests), blobs.CHUNK):
        question = select(manifest.c.digest, manifest.c.size).where(
            manifest.c.repo_id == repo_id,
            manifest.c.digest.in_(digests[start : start + blobs.CHUNK]),
            manifest.c.deleted_at.is_(None),
        )
        found |= {row.digest: row.size for row in await unit.fetch_all(question)}
    return found


async def _add_references(unit: Unit, repo_id: int, parent: str, document: Manifest) -> None:
    links = [(child, "blob") for child in document.children if child.media_type not in mediatype.ALL]
    links += [(document.config, "config")] if document.config is not None else []
    links += [(layer, "layer") for layer in document.layers]
    present = {
        row.digest
        for row in await unit.fetch_all(
            select(repo_blob.c.digest).where(
                repo_blob.c.repo_id == repo_id, repo_blob.c.digest.in_([str(link.digest) for link, _ in links])
            )
        )
    }
    rows = [
        {"repo_id": repo_id, "parent": parent, "position": index, "digest": str(link.digest), "kind": kind}
        for index, (link, kind) in enumerate(links)
        if str(link.digest) in present
    ]
    if rows:
        await unit.execute(insert(ref_blob), rows)
    children = [child for child in document.children if child.media_type in mediatype.ALL]
    if children:
        await unit.execute(insert(ref_manifest), [_child(repo_id, parent, i, c) for i, c in enumerate(children)])


def _child(repo_id: int, parent: str, position: int, child: Descriptor) -> dict[str, object]:
    return {
        "repo_id": repo_id,
        "parent": parent,
        "position": position,
        "child": str(child.digest),
        "platform": child.platform,
        "attestation": is_attestation(child),
    }
