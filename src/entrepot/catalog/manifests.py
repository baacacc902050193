"""Manifests in repositories: what they name must be there when they come, and stays while they stay.

Invariant: no live manifest names a hidden link or a deleted manifest of its repository (a client's bookkeeping aside,
`holders`). It holds because whoever deletes locks the row first and looks for references in a later statement, and
whoever refers locks what he names, in the order of the digests, and sees under his locks whether it is deleted:
manifests before links, everywhere. Broken, `tests/integration/test_racing_pairs.py` fails.
"""

import contextlib
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Final

from sqlalchemy import insert, select, update

from entrepot.access.model import Repository
from entrepot.access.scoped import Scoped
from entrepot.catalog import blobs, operations, quota, reviews
from entrepot.catalog.errors import (
    ManifestBlobUnknownError,
    ManifestUnknownError,
    Parent,
    StillReferencedError,
    UndoImpossibleError,
)
from entrepot.catalog.model import ManifestDeleted, ManifestPushed
from entrepot.catalog.operations import Deletion, Kind
from entrepot.catalog.quota import Usage
from entrepot.catalog.tables import manifest, manifest_push, project, ref_blob, ref_manifest, repo, tag, tag_history
from entrepot.catalog.tags import forget_all
from entrepot.oci import mediatype
from entrepot.oci.descriptor import Descriptor
from entrepot.oci.digest import Digest
from entrepot.oci.errors import SizeInvalidError
from entrepot.oci.manifest import Manifest, is_attestation
from entrepot.runtime.unit_of_work import Unit
from entrepot.runtime.upsert import insert_or

FALLBACK: Final = re.compile(r"sha(?:256|512)-[0-9a-f]{64}\Z")
"""Tags under which clients keep lists of referrers. Spec: OCI distribution-spec, "Referrers Tag Schema"."""

SUBJECT_WAIT: Final = blobs.LEASE * 7
"""How long a referrer waits for its subject."""


async def put(
    unit: Unit, repository: Scoped[Repository], reference: str, digest: Digest, document: Manifest, now: datetime
) -> Usage | None:
    """The repository has *document*, whose digest is *digest*, from now on, and the account pushed it.

    reference: the tag or digest it was pushed under. Gives and raises as `keep`.
    """
    resource = repository.resource
    usage = await keep(unit, repository, digest, document, now)
    push = {
        "repo_id": resource.id,
        "digest": str(digest),
        "account_id": repository.principal.actor.account_id,
        "at": now,
    }
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
    return usage


async def keep(
    unit: Unit, repository: Scoped[Repository], digest: Digest, document: Manifest, now: datetime
) -> Usage | None:
    """The repository has *document*, whose digest is *digest*, from now on; a deleted one lives again.

    Gives what the project keeps now if that became more. The blob row of *digest* must be there.
    Raises ManifestBlobUnknownError (every missing digest), SizeInvalidError, QuotaExceededError.
    """
    resource = repository.resource
    shown = await _check_children(unit, resource, document)
    actor = repository.principal.actor
    values = {
        "repo_id": resource.id,
        "digest": str(digest),
        "media_type": document.media_type,
        "artifact_type": document.artifact_type,
        "kind": document.kind.value,
        "size": len(document.body),
        "bytes": document.body,
        "subject_digest": None if document.subject is None else str(document.subject),
        "pushed_by": actor.name,
        "pushed_at": now,
    }
    usage = None
    insert_new = insert_or(manifest).values(values).on_conflict_do_nothing().returning(manifest.c.digest)
    new = await unit.fetch_one(insert_new)
    # One that is there can be purged before it is locked: then it is new after all.
    again = {"pushed_by": actor.name, "pushed_at": now}
    while new is None and not await _push_again(unit, resource, str(digest), again):
        new = await unit.fetch_one(insert_new)
    if new is not None:
        await _add_references(unit, resource.id, str(digest), document, shown)
        usage = await quota.charge(unit, resource.project, len(document.body))
        if document.subject is not None and not await _live(unit, resource.id, [str(document.subject)]):
            place = [(resource.id, str(digest))]
            await reviews.ask(unit, reviews.Kind.MANIFEST, place, now + SUBJECT_WAIT, "no-subject")
    return usage


async def family(unit: Unit, repo_id: int, digests: Sequence[str]) -> list[str]:
    """*digests*, the manifests they list, and the live referrers of all of these, with theirs."""
    below = await _with_children(unit, repo_id, digests)
    found = dict.fromkeys(below)
    for digest in below:
        found |= dict.fromkeys(await _referrers(unit, repo_id, digest))
    return list(found)


async def is_live(unit: Unit, repository: Scoped[Repository], digest: Digest) -> bool:
    """Whether the repository has the manifest *digest*."""
    there = (manifest.c.repo_id == repository.resource.id) & (manifest.c.digest == str(digest))
    return await unit.fetch_one(select(manifest.c.digest).where(there, manifest.c.deleted_at.is_(None))) is not None


async def pushed_by(unit: Unit, project_id: int, account_id: int, digests: Sequence[str]) -> bool:
    """Whether the account pushed one of *digests*, into whichever repository of the project.

    What was promoted once has no push where it stands: whoever pushed it did so elsewhere.
    """
    pushed = select(manifest_push.c.digest).join(repo, repo.c.id == manifest_push.c.repo_id)
    own = (repo.c.project_id == project_id) & (manifest_push.c.account_id == account_id)
    question = pushed.where(own, manifest_push.c.digest.in_(list(digests))).limit(1)
    return await unit.fetch_one(question) is not None


async def delete(
    unit: Unit, repository: Scoped[Repository], digest: Digest, when: Deletion, kind: Kind = Kind.MANIFEST
) -> str:
    """The manifest *digest*, its tags, and its referrers with theirs are gone; the operation that undoes it.

    Raises ManifestUnknownError, StillReferencedError: a live index holds it.
    """
    resource = repository.resource
    family = await _locked(unit, resource.id, [str(digest)])
    if not family:
        raise ManifestUnknownError(f"{digest} is not in {resource.name}")
    # A new referrer locks its subject: so from here on none is added that would be left behind.
    family |= await _locked(unit, resource.id, await _referrers(unit, resource.id, str(digest)))
    needed = await holders(unit, resource.id, [str(digest)], beside={str(digest)})
    if needed:
        parents = needed[str(digest)]
        first = ", ".join(parents[0].tags) or parents[0].digest
        raise StillReferencedError(f"{digest.short()} is listed by index {first}; delete that one first", parents)
    going = await _without_held(unit, resource.id, str(digest), family)
    where = {"project": resource.project.name, "repository": resource.name}
    op = await operations.begin(unit, kind, when, **where, reference=str(digest))
    await take_away(unit, repository, going, when.at, op)
    return op


async def take_away(unit: Unit, repository: Scoped[Repository], digests: Iterable[str], now: datetime, op: str) -> None:
    """Manifests that the caller has locked, and which nothing holds, and their tags are gone by the operation *op*."""
    resource = repository.resource
    for digest in digests:
        change = update(manifest).where(manifest.c.repo_id == resource.id, manifest.c.digest == digest)
        await unit.execute(change.values(deleted_at=now, delete_op=op))
        tags = await forget_all(unit, repository, Digest.parse(digest), now, op)
        where = {"project": resource.project.name, "repository": resource.name}
        unit.emit(ManifestDeleted(**where, digest=digest, tags=tuple(tags), operation=op))


async def revive(unit: Unit, repo_id: int, digests: Iterable[str]) -> list[str]:
    """*digests* and the manifests they list live again, and the blobs of all of them show; what was deleted before.

    Raises UndoImpossibleError, and nothing is changed: something of it is gone.
    """
    wanted = sorted(set(digests))
    closure = await _with_children(unit, repo_id, wanted)
    there = (manifest.c.repo_id == repo_id) & manifest.c.digest.in_(closure)
    locked = select(manifest.c.digest, manifest.c.deleted_at).where(there).order_by(manifest.c.digest)
    rows = {row.digest: row.deleted_at for row in await unit.fetch_all(locked.with_for_update())}
    missing = [digest for digest in closure if digest not in rows]
    needed = select(ref_blob.c.digest).distinct().where(ref_blob.c.repo_id == repo_id, ref_blob.c.parent.in_(closure))
    missing += await blobs.show(unit, repo_id, [row.digest for row in await unit.fetch_all(needed)])
    if missing:
        raise UndoImpossibleError(f"{missing[0]} is gone for good: push the image again", missing)
    dead = [digest for digest, deleted_at in rows.items() if deleted_at is not None]
    await unit.execute(update(manifest).where(there).values(deleted_at=None, delete_op=None))
    return dead


async def deleted_by(unit: Unit, op: str) -> list[tuple[int, str]]:
    """Repository rows and digests of the manifests that the operation *op* holds in the trash."""
    rows = await unit.fetch_all(select(manifest.c.repo_id, manifest.c.digest).where(manifest.c.delete_op == op))
    return [(row.repo_id, row.digest) for row in rows]


async def holders(
    unit: Unit, repo_id: int, children: Sequence[str], beside: Iterable[str] = ()
) -> Mapping[str, list[Parent]]:
    """The live indexes that hold each of *children*, those of *beside* left out; nothing where none does.

    An index under a fallback tag alone, or untagged now but under one before, is a client's bookkeeping: it lists
    referrers and holds none of them (registry.md, section 2).
    """
    question = (
        select(ref_manifest.c.child, ref_manifest.c.parent)
        .distinct()
        .join(manifest, (manifest.c.repo_id == ref_manifest.c.repo_id) & (manifest.c.digest == ref_manifest.c.parent))
        .where(
            ref_manifest.c.repo_id == repo_id,
            ref_manifest.c.child.in_(list(children)),
            ref_manifest.c.parent.not_in(list(beside)),
            manifest.c.deleted_at.is_(None),
        )
    )
    pairs = [(row.child, row.parent) for row in await unit.fetch_all(question)]
    parents = {digest: Parent(digest, names) for digest, names in (await _holding(unit, repo_id, pairs)).items()}
    found: dict[str, list[Parent]] = {}
    for child, parent in pairs:
        if parent in parents:
            found.setdefault(child, []).append(parents[parent])
    return found


async def _holding(unit: Unit, repo_id: int, pairs: Sequence[tuple[str, str]]) -> dict[str, tuple[str, ...]]:
    """The parents of *pairs* that are no bookkeeping, with their tags."""
    digests = sorted({parent for _, parent in pairs})
    now = select(tag.c.digest, tag.c.name).where(tag.c.repo_id == repo_id, tag.c.digest.in_(digests))
    before = select(tag_history.c.digest, tag_history.c.name).where(
        tag_history.c.repo_id == repo_id, tag_history.c.digest.in_(digests)
    )
    names: dict[str, list[str]] = {}
    for row in await unit.fetch_all(now.order_by(tag.c.name)) if digests else ():
        names.setdefault(row.digest, []).append(row.name)
    once = {row.digest for row in await unit.fetch_all(before) if FALLBACK.match(row.name)} if digests else set()
    return {
        digest: tuple(names.get(digest, ()))
        for digest in digests
        if any(not FALLBACK.match(name) for name in names.get(digest, ())) or digest not in once
    }


async def _without_held(unit: Unit, repo_id: int, digest: str, family: Mapping[str, str | None]) -> list[str]:
    """The members of *family* that go with *digest*: a referrer that a live index outside holds stays, and its own."""
    going = set(family)
    while held := set(await holders(unit, repo_id, sorted(going - {digest}), beside=going)):
        going -= held
        while orphans := {one for one in going - {digest} if family[one] not in going}:
            going -= orphans
    return sorted(going)


async def _referrers(unit: Unit, repo_id: int, digest: str, op: str | None = None) -> list[str]:
    """Manifests whose subject is *digest*, and theirs: the live ones, or those the operation *op* deleted."""
    found: dict[str, None] = {}
    subjects = [digest]
    state = manifest.c.deleted_at.is_(None) if op is None else manifest.c.delete_op == op
    while subjects:
        question = select(manifest.c.digest).where(
            manifest.c.repo_id == repo_id, manifest.c.subject_digest.in_(subjects[: blobs.CHUNK]), state
        )
        new = [row.digest for row in await unit.fetch_all(question)]
        new = [each for each in new if each not in found and each != digest]
        found |= dict.fromkeys(new)
        subjects = subjects[blobs.CHUNK :] + new
    return list(found)


async def _with_children(unit: Unit, repo_id: int, digests: Sequence[str]) -> list[str]:
    """*digests* and whatever manifests they list, at any depth, in order."""
    found = set(digests)
    level = sorted(found)
    while level:
        question = (
            select(ref_manifest.c.child)
            .distinct()
            .where(ref_manifest.c.repo_id == repo_id, ref_manifest.c.parent.in_(level[: blobs.CHUNK]))
        )
        new = {row.child for row in await unit.fetch_all(question)} - found
        found |= new
        level = level[blobs.CHUNK :] + sorted(new)
    return sorted(found)


async def _locked(unit: Unit, repo_id: int, digests: Iterable[str]) -> dict[str, str | None]:
    """Those of *digests* that live, and their subjects; nobody refers to or deletes them until *unit* ends."""
    question = (
        select(manifest.c.digest, manifest.c.subject_digest)
        .where(
            manifest.c.repo_id == repo_id,
            manifest.c.digest.in_(sorted(set(digests))),
            manifest.c.deleted_at.is_(None),
        )
        .order_by(manifest.c.digest)
        .with_for_update()
    )
    return {row.digest: row.subject_digest for row in await unit.fetch_all(question)}


async def _live(unit: Unit, repo_id: int, digests: list[str]) -> dict[str, int]:
    """Sizes of those of *digests* that are there; they stay so until *unit* ends."""
    found: dict[str, int] = {}
    wanted = sorted(set(digests))
    for start in range(0, len(wanted), blobs.CHUNK):
        question = (
            select(manifest.c.digest, manifest.c.size)
            .where(
                manifest.c.repo_id == repo_id,
                manifest.c.digest.in_(wanted[start : start + blobs.CHUNK]),
                manifest.c.deleted_at.is_(None),
            )
            .order_by(manifest.c.digest)
            .with_for_update(read=True, key_share=True)
        )
        found |= {row.digest: row.size for row in await unit.fetch_all(question)}
    return found


async def _push_again(unit: Unit, resource: Repository, digest: str, values: Mapping[str, object]) -> bool:
    """A manifest that is there stays, and one in the trash lives again, its referrers too if they can; False: gone."""
    there = (manifest.c.repo_id == resource.id) & (manifest.c.digest == digest)
    question = select(manifest.c.deleted_at, manifest.c.delete_op).where(there)
    before = await unit.fetch_one(question.with_for_update(key_share=True))
    if before is None or before.deleted_at is None:
        return before is not None
    await unit.execute(update(manifest).where(there).values(deleted_at=None, delete_op=None, **values))
    # What it needs was seen to show, save layers from elsewhere, which may be missing but not hidden.
    needed = select(ref_blob.c.digest).where(ref_blob.c.repo_id == resource.id, ref_blob.c.parent == digest)
    await blobs.show(unit, resource.id, [row.digest for row in await unit.fetch_all(needed)])
    if before.delete_op is not None:
        with contextlib.suppress(UndoImpossibleError):
            await revive(unit, resource.id, await _referrers(unit, resource.id, digest, before.delete_op))
    return True


async def _check_children(unit: Unit, resource: Repository, document: Manifest) -> frozenset[str]:
    """Digests of the blobs *document* names that the repository shows; what must be there and is not is an error."""
    manifests = [child for child in document.children if child.media_type in mediatype.ALL]
    wanted = [child for child in document.children if child.media_type not in mediatype.ALL]
    wanted += [document.config] if document.config is not None else []
    wanted += document.layers
    below = await _live(unit, resource.id, [str(child.digest) for child in manifests])
    shown = await blobs.linked(unit, resource.id, (child.digest for child in wanted))
    sized = [(child, shown) for child in wanted] + [(child, below) for child in manifests]
    missing = {
        str(child.digest): None
        for child, sizes in sized
        if str(child.digest) not in sizes and not mediatype.is_foreign(child.media_type)
    }
    if missing:
        raise ManifestBlobUnknownError(resource.name, list(missing))
    for child, sizes in sized:
        if sizes.get(str(child.digest), child.size) != child.size:
            if not await _wants_sizes(unit, resource):
                break
            raise SizeInvalidError(
                f"{child.digest.short()} has {sizes[str(child.digest)]} bytes, the manifest says {child.size}", "size"
            )
    return frozenset(shown)


async def _wants_sizes(unit: Unit, resource: Repository) -> bool:
    """Whether the project refuses sizes that are wrong: some old tools write such."""
    question = select(project.c.strict_sizes).where(project.c.id == resource.project.id)
    row = await unit.fetch_one(question)
    return row is None or bool(row.strict_sizes)


async def _add_references(unit: Unit, repo_id: int, parent: str, document: Manifest, shown: frozenset[str]) -> None:
    links = [(child, "blob") for child in document.children if child.media_type not in mediatype.ALL]
    links += [(document.config, "config")] if document.config is not None else []
    links += [(layer, "layer") for layer in document.layers]
    rows = [
        {"repo_id": repo_id, "parent": parent, "position": index, "digest": str(link.digest), "kind": kind}
        for index, (link, kind) in enumerate(links)
        if str(link.digest) in shown
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
