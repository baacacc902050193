"""Pulls: one statement, one permission check, the gate, a line in the spool, and the bytes."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from entrepot.access.authorize import authorize, reads_by_role
from entrepot.access.errors import PermissionDeniedError
from entrepot.access.model import Permission, Principal, Project, Repository
from entrepot.access.scoped import Scoped
from entrepot.catalog.errors import BlobUnknownError, ManifestUnknownError, RepositoryUnknownError
from entrepot.clock import Clock
from entrepot.content.model import Content
from entrepot.content.ports import BlobReader
from entrepot.errors import DeniedError, UnauthenticatedError
from entrepot.oci.digest import Digest
from entrepot.oci.reference import check_tag
from entrepot.registry.hot import FoundBlob, RegistryReads
from entrepot.registry.model import BlobAnswer, ManifestAnswer
from entrepot.registry.ports import Leases, PullLog
from entrepot.registry.visibility import warning_for
from entrepot.runtime.shown import relative

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
MINUTE_US: Final = 60 * 1_000_000
HALF_A_LEASE_US: Final = 12 * 3600 * 1_000_000


@dataclass(frozen=True, slots=True)
class Pull:
    """Serves manifests and blobs to principals. pages: URL of the registry's pages, for refusals that say why."""

    reads: RegistryReads
    reader: BlobReader
    log: PullLog
    clock: Clock
    leases: Leases
    pages: str

    async def manifest(self, principal: Principal, name: str, reference: str, *, head: bool) -> ManifestAnswer:
        """The manifest *reference* of *name*; HEAD answers like GET.

        Raises PermissionDeniedError, RepositoryUnknownError, ManifestUnknownError, PolicyBlockedError,
        QuarantinedError, TagInvalidError, DigestInvalidError.
        """
        checked = str(Digest.parse(reference)) if ":" in reference else check_tag(reference)
        found = await self.reads.manifest(name, checked, principal.actor.account_id)
        await self.require(principal, Permission.REPO_PULL, name, found.repository if found else None)
        if found is None:
            raise RepositoryUnknownError
        if found.digest is None:
            raise ManifestUnknownError("" if head else await self._what_happened(principal, found.repository, checked))
        warning = warning_for(found, reference, self._now_us(), self.pages)
        action = "manifest.resolved" if head else "manifest.pulled"
        self.log.pulled(principal.actor, action, name, reference, found.digest, warning)
        return ManifestAnswer(found.digest, found.media_type, found.size, found.body, warning)

    async def blob(self, principal: Principal, name: str, digest: Digest, *, head: bool) -> BlobAnswer:
        """The blob *digest* of *name*; for a HEAD it was seen just now with its full length.

        Raises PermissionDeniedError, RepositoryUnknownError, BlobUnknownError, CopySuspectError.
        """
        found = await self.reads.blob(name, str(digest))
        await self.require(principal, Permission.REPO_PULL, name, found.repository if found else None)
        if found is None:
            raise RepositoryUnknownError
        if found.key is None:
            raise BlobUnknownError(f"{digest.short()} is not in {name}")
        if head:
            await self.reader.look(found.key, found.size)
            await self._promise(principal, digest, found)
        return BlobAnswer(str(digest), found.size, found.key)

    async def content(
        self, principal: Principal, name: str, found: BlobAnswer, part: tuple[int, int] | None, client: str
    ) -> Content | str:
        """What to send of *found*: the *part* [start, end) or all, or the URL where *client* may fetch it itself.

        It was seen just now with its full length, and is on record as pulled. Raises CopySuspectError.
        """
        elsewhere = await self.reader.redirect(found.key, found.size, client)
        content = elsewhere or await self.reader.open(found.digest, found.key, found.size, part)
        self.log.pulled(principal.actor, "blob.pulled", name, found.digest, found.digest, "")
        return content

    async def repository(self, principal: Principal, permission: Permission, name: str) -> Scoped[Repository]:
        """A handle on *name* for *permission*; of a repository that a push would make, if its project is there.

        Raises PermissionDeniedError, RepositoryUnknownError.
        """
        return await self.require(principal, permission, name, await self.reads.repository(name))

    async def may_push(self, principal: Principal, name: str) -> None:
        """Refuses before a body is read. Raises as `repository`."""
        await self.repository(principal, Permission.REPO_PUSH, name)

    async def _what_happened(self, principal: Principal, repository: Repository, reference: str) -> str:
        """Why there is no *reference*: who removed it, and how it comes back, for those who have a role there."""
        now, now_us = self.clock.now(), self._now_us()
        removed = None
        if reads_by_role(principal, repository):
            # To the minute: questions that differ each time would fill the reader's memory.
            removed = await self.reads.removed(repository.id, reference, now_us - now_us % MINUTE_US)
        if removed is None:
            return f"{repository.name} has no {reference}"
        when = relative(EPOCH + timedelta(microseconds=removed.at), now)
        actor = removed.actor.encode("ascii", "replace").decode()
        what = f'"{reference}" was removed {when} by {actor}'
        return f"{what}; who may delete there restores it: entrepot undo {removed.operation}"

    async def _promise(self, principal: Principal, digest: Digest, found: FoundBlob) -> None:
        """Whoever may push and hears that the blob is there has half a lease to push the manifest that needs it.

        Raises BlobUnknownError: it went a moment ago.
        """
        if found.leased_until - self._now_us() >= HALF_A_LEASE_US:
            return
        try:
            authorize(principal, Permission.REPO_PUSH, found.repository)
        except (DeniedError, UnauthenticatedError):
            return
        if not await self.leases.renew(found.repository.id, digest):
            raise BlobUnknownError(f"{digest.short()} is not in {found.repository.name}")

    def _now_us(self) -> int:
        return (self.clock.now() - EPOCH) // timedelta(microseconds=1)

    async def require(
        self, principal: Principal, permission: Permission, name: str, repository: Repository | None
    ) -> Scoped[Repository]:
        """A handle on *repository*, which is *name* as found; None: not there, then its project decides.

        Absent and forbidden look alike to who has no right to know.
        """
        if repository is None:
            project = await self.reads.project(name.partition("/")[0])
            repository = Repository(0, name, project or Project(0, name.partition("/")[0]))
            if project is None and permission is Permission.REPO_PUSH:
                authorize(principal, permission, repository)
                raise PermissionDeniedError(
                    f"no project {repository.project.name}: entrepot project create {repository.project.name}",
                    permission,
                )
        return authorize(principal, permission, repository)
