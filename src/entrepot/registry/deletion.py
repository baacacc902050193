"""Deletes by clients: a tag, a manifest with its tags, a blob. What others still need stays."""

from dataclasses import dataclass

from entrepot.access.model import Permission, Principal, Repository
from entrepot.access.scoped import Scoped
from entrepot.catalog import blobs, manifests, tags
from entrepot.catalog.errors import RepositoryUnknownError
from entrepot.clock import Clock
from entrepot.oci.digest import Digest
from entrepot.oci.reference import check_tag
from entrepot.registry.pull import Pull
from entrepot.runtime.unit_of_work import Work


@dataclass(frozen=True, slots=True)
class Delete:
    """Takes things out of repositories. Bytes stay on the disk: a push of the same digest brings them back."""

    pull: Pull
    work: Work
    clock: Clock

    async def manifest(self, principal: Principal, name: str, reference: str) -> None:
        """The tag *reference* is gone, or the manifest of that digest with all its tags.

        Raises ManifestUnknownError, StillReferencedError, PermissionDeniedError.
        """
        repository = self._scoped(principal, name)
        async with self.work(principal.actor) as unit:
            if ":" in reference:
                await manifests.delete(unit, repository, Digest.parse(reference), self.clock.now())
            else:
                await tags.delete(unit, repository, check_tag(reference), self.clock.now())

    async def blob(self, principal: Principal, name: str, digest: Digest) -> None:
        """The blob is hidden from *name*. Raises BlobUnknownError, StillReferencedError, PermissionDeniedError."""
        repository = self._scoped(principal, name)
        async with self.work(principal.actor) as unit:
            await blobs.hide(unit, repository, digest, self.clock.now())

    def _scoped(self, principal: Principal, name: str) -> Scoped[Repository]:
        repository = self.pull.repository(principal, Permission.REPO_DELETE, name)
        if not repository.resource.id:
            raise RepositoryUnknownError
        return repository
