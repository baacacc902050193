"""A manifest comes in: parsed, stored as bytes, then as rows, then answered; its scan is queued by the same commit."""

import asyncio
from dataclasses import dataclass, field
from typing import Final

from entrepot.access.model import Permission, Principal, Repository
from entrepot.access.scoped import Scoped
from entrepot.catalog import manifests, repositories, tags
from entrepot.clock import Clock
from entrepot.content import copies
from entrepot.content.model import Stored
from entrepot.content.ports import BlobWriter
from entrepot.errors import DeniedError, InvalidError, NotFoundError, PreconditionError
from entrepot.oci.digest import Digest
from entrepot.oci.errors import DigestInvalidError
from entrepot.oci.manifest import Manifest
from entrepot.oci.reference import check_tag
from entrepot.registry.errors import ConditionFailedError, TooManyTagsError
from entrepot.registry.model import MAX_TAGS_PUSHED, UNCONDITIONAL, ManifestPush, PushedManifest
from entrepot.registry.pull import Pull
from entrepot.runtime.unit_of_work import Unit, Work

# 4 MiB of the worst JSON take a third of a second: that is too long for the event loop, a hop of 190 us is not.
INLINE_BYTES: Final = 64 * 1024


@dataclass(frozen=True, slots=True)
class Coming:
    """A manifest PUT that was read: what comes under which digest and tags, and where its bytes lie."""

    push: ManifestPush
    tags: tuple[str, ...]
    digest: Digest
    manifest: Manifest
    stored: Stored


@dataclass(frozen=True, slots=True)
class PutManifest:
    """Takes manifests."""

    pull: Pull
    work: Work
    writer: BlobWriter
    clock: Clock
    # Read, 4 MiB of the worst JSON are 120 MiB of objects: one such document at a time, and the rest waits.
    large: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(1))

    async def __call__(self, principal: Principal, name: str, push: ManifestPush) -> PushedManifest:
        """The manifest *push* is in *name* under its reference and all its tags, or none; durable when this returns.

        Raises ManifestInvalidError and its kin, DigestInvalidError, TagInvalidError, TooManyTagsError,
        ManifestBlobUnknownError, SizeInvalidError, QuotaExceededError, ConditionFailedError,
        PermissionDeniedError, StorageUnavailableError, DatabaseUnavailableError.
        """
        repository = await self.pull.repository(principal, Permission.REPO_PUSH, name)
        if len(push.tags) > MAX_TAGS_PUSHED:
            raise TooManyTagsError(f"more than {MAX_TAGS_PUSHED} tags in one push: push the rest with another")
        expected = Digest.parse(push.reference) if ":" in push.reference else None
        names = {check_tag(tag) for tag in (*push.tags, *(() if expected else (push.reference,)))}
        algorithm = expected.algorithm if expected else "sha256"
        if len(push.body) > INLINE_BYTES:
            async with self.large:
                manifest, digest = await asyncio.to_thread(_read, push, algorithm)
        else:
            manifest, digest = _read(push, algorithm)
        if expected is not None and digest != expected:
            raise DigestInvalidError(f"the manifest's digest is {digest}, not the one it was pushed under", "digest")
        stored = await self.writer.put(push.body, digest)
        coming = Coming(push, tuple(sorted(names)), digest, manifest, stored)
        try:
            kept, warning = await self.work.run(principal.actor, lambda unit: self._take(unit, repository, coming))
        except (DeniedError, InvalidError, NotFoundError, PreconditionError):
            # Refused before any commit. Of other failures the outcome is unknown: better bytes without a row.
            await self.writer.drop(stored)
            raise
        if not kept:
            await self.writer.drop(stored)
        return PushedManifest(digest, manifest.subject, push.tags, warning)

    async def _take(self, unit: Unit, repository: Scoped[Repository], coming: Coming) -> tuple[bool, str]:
        """*coming* is in the repository once *unit* is committed; whether its copy is kept, and what to warn of."""
        now = self.clock.now()
        inside = await repositories.ensure(unit, repository, now)
        if coming.push.condition != UNCONDITIONAL:
            await _check(unit, inside, coming)
        kept = await copies.add_copy(unit, coming.stored, now)
        usage = await manifests.put(unit, inside, coming.push.reference, coming.digest, coming.manifest, now)
        # In one order in all units, for each tag is locked.
        for tag in coming.tags:
            await tags.move(unit, inside, tag, coming.digest, now)
        if usage is None or not usage.is_nearly_used:
            return kept, ""
        project = repository.resource.project.name
        return (
            kept,
            f"project {project} keeps {usage.used} of the {usage.limit} bytes it may: delete what is not needed",
        )


async def _check(unit: Unit, repository: Scoped[Repository], coming: Coming) -> None:
    """Refuses a PUT whose condition on its reference does not hold; a tag stays as it is until *unit* ends."""
    if ":" in coming.push.reference:
        current = str(coming.digest) if await manifests.is_live(unit, repository, coming.digest) else None
    else:
        current = await tags.named(unit, repository, coming.push.reference)
    if not coming.push.condition.holds(current, str(coming.digest)):
        there = f"names {current}" if current else "is not there"
        raise ConditionFailedError(f"{coming.push.reference} {there}: the condition of this push does not hold")


def _read(push: ManifestPush, algorithm: str) -> tuple[Manifest, Digest]:
    return Manifest.parse(push.body, push.content_type), Digest.of(push.body, algorithm)
