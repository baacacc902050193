"""All that belongs to a manifest: what it lists and who refers to it; and linking it elsewhere, no byte moved."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from graphlib import TopologicalSorter
from typing import Final

from sqlalchemy import select

from entrepot.access.model import Repository
from entrepot.access.scoped import Scoped
from entrepot.catalog import blobs, manifests, tags
from entrepot.catalog.errors import ClosureTooLargeError, ManifestBlobUnknownError
from entrepot.catalog.tables import manifest, tag
from entrepot.oci import mediatype
from entrepot.oci.descriptor import Descriptor
from entrepot.oci.digest import Digest
from entrepot.oci.manifest import Manifest
from entrepot.runtime.unit_of_work import Unit

MAX_MEMBERS: Final = 1_000
SUFFIXES: Final = ("", ".sig", ".att", ".sbom")
"""What clients name the referrers of a digest after it, where they use tags for that."""


@dataclass(frozen=True, slots=True)
class Member:
    """A manifest of a closure. tags: those that hold it as a referrer by their name."""

    digest: Digest
    document: Manifest
    tags: tuple[str, ...]


async def closure(unit: Unit, repo_id: int, digest: Digest) -> list[Member]:
    """The manifest, all it lists, and all referrers of these; what is listed stands before what lists it.

    None of it goes until *unit* ends. Raises ManifestBlobUnknownError, ClosureTooLargeError.
    """
    found: dict[str, None] = {str(digest): None}
    named: dict[str, list[str]] = {}
    pending = [str(digest)]
    while pending:
        around = await manifests.family(unit, repo_id, pending)
        for name, of in await _named_after(unit, repo_id, around):
            named.setdefault(of, []).append(name)
            around.append(of)
        pending = [each for each in dict.fromkeys(around) if each not in found]
        found |= dict.fromkeys(pending)
        if len(found) > MAX_MEMBERS:
            raise ClosureTooLargeError(str(digest), MAX_MEMBERS)
    question = (
        select(manifest.c.digest, manifest.c.bytes, manifest.c.media_type)
        .where(manifest.c.repo_id == repo_id, manifest.c.digest.in_(sorted(found)), manifest.c.deleted_at.is_(None))
        .order_by(manifest.c.digest)
        .with_for_update(read=True, key_share=True)
    )
    members = {
        row.digest: Member(
            Digest.parse(row.digest),
            Manifest.parse(row.bytes, row.media_type),
            tuple(sorted(set(named.get(row.digest, ())))),
        )
        for row in await unit.fetch_all(question)
    }
    if str(digest) not in members:
        raise ManifestBlobUnknownError("the repository", [str(digest)])
    below = {text: [str(child.digest) for child in each.document.children] for text, each in members.items()}
    return [members[text] for text in TopologicalSorter(below).static_order() if text in members]


async def link(
    unit: Unit, source_id: int, target: Scoped[Repository], members: Sequence[Member], now: datetime
) -> None:
    """*target* has *members* too, of the repository *source_id*: rows, and no byte moved.

    Raises QuotaExceededError, RepositoryUnknownError, TagLockedError, BlobUnknownError.
    """
    wanted = {child.digest for member in members for child in _blobs_of(member.document)}
    there = await blobs.linked(unit, source_id, wanted)
    for text in sorted(there):
        await blobs.link(unit, target, Digest.parse(text), now)
    for member in members:
        await manifests.keep(unit, target, member.digest, member.document, now)
    for name, to in sorted((name, member.digest) for member in members for name in member.tags):
        await tags.move(unit, target, name, to, now)


def _blobs_of(document: Manifest) -> list[Descriptor]:
    config = [document.config] if document.config is not None else []
    return [*config, *document.layers, *(each for each in document.children if each.media_type not in mediatype.ALL)]


async def _named_after(unit: Unit, repo_id: int, digests: Sequence[str]) -> list[tuple[str, str]]:
    """Tags that are named after one of *digests*, and what they name."""
    names = [each.replace(":", "-", 1) + suffix for each in digests for suffix in SUFFIXES]
    question = select(tag.c.name, tag.c.digest).where(tag.c.repo_id == repo_id)
    found: list[tuple[str, str]] = []
    for start in range(0, len(names), blobs.CHUNK):
        rows = await unit.fetch_all(question.where(tag.c.name.in_(names[start : start + blobs.CHUNK])))
        found += [(row.name, row.digest) for row in rows]
    return found
