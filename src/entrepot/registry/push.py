"""A manifest comes in: parsed, stored as bytes, then as rows, then answered; its scan is queued by the same commit."""

import asyncio
from dataclasses import dataclass
from typing import Final

from entrepot.access.model import Permission, Principal
from entrepot.catalog import manifests, repositories, tags
from entrepot.clock import Clock
from entrepot.content import copies
from entrepot.content.writer import BlobWriter
from entrepot.errors import InvalidError, NotFoundError
from entrepot.oci.digest import Digest
from entrepot.oci.errors import DigestInvalidError
from entrepot.oci.manifest import Manifest
from entrepot.oci.reference import check_tag
from entrepot.registry.model import PushedManifest
from entrepot.registry.pull import Pull
from entrepot.runtime.unit_of_work import Work

# 4 MiB of the worst JSON take a third of a second: that is too long for the event loop, a hop of 190 us is not.
INLINE_BYTES: Final = 64 * 1024


@dataclass(frozen=True, slots=True)
class PutManifest:
    """Takes manifests."""

    pull: Pull
    work: Work
    writer: BlobWriter
    clock: Clock

    async def __call__(
        self, principal: Principal, name: str, reference: str, body: bytes, content_type: str
    ) -> PushedManifest:
        """The manifest *body* is in *name* under *reference* (tag or its own digest), durable when this returns.

        Raises ManifestInvalidError and its kin, DigestInvalidError, TagInvalidError, ManifestBlobUnknownError,
        SizeInvalidError, PermissionDeniedError, StorageUnavailableError, DatabaseUnavailableError.
        """
        repository = self.pull.repository(principal, Permission.REPO_PUSH, name)
        expected = Digest.parse(reference) if ":" in reference else None
        tag = None if expected else check_tag(reference)
        algorithm = expected.algorithm if expected else "sha256"
        if len(body) > INLINE_BYTES:
            manifest, digest = await asyncio.to_thread(_read, body, content_type, algorithm)
        else:
            manifest, digest = _read(body, content_type, algorithm)
        if expected is not None and digest != expected:
            raise DigestInvalidError(f"the manifest's digest is {digest}, not the one it was pushed under", "digest")
        stored = await self.writer.put(body, digest)
        try:
            async with self.work(principal.actor) as unit:
                now = self.clock.now()
                inside = await repositories.ensure(unit, repository, now)
                kept = await copies.add_copy(unit, stored, now)
                await manifests.put(unit, inside, reference, digest, manifest, now)
                if tag is not None:
                    await tags.move(unit, inside, tag, digest, now)
        except (InvalidError, NotFoundError):
            # Refused before any commit. Of other failures the outcome is unknown: better bytes without a row.
            await self.writer.drop(stored)
            raise
        if not kept:
            await self.writer.drop(stored)
        return PushedManifest(digest, manifest.subject)


def _read(body: bytes, content_type: str, algorithm: str) -> tuple[Manifest, Digest]:
    return Manifest.parse(body, content_type), Digest.of(body, algorithm)
