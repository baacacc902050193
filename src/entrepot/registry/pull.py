"""Pulls: one statement, one permission check, the gate, a line in the spool, and the bytes."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from entrepot.access.authorize import authorize
from entrepot.access.errors import PermissionDeniedError
from entrepot.access.model import Permission, Principal, Project, Repository
from entrepot.access.scoped import Scoped
from entrepot.catalog.errors import BlobUnknownError, ManifestUnknownError, RepositoryUnknownError
from entrepot.clock import Clock
from entrepot.content.reader import BlobReader
from entrepot.oci.digest import Digest
from entrepot.oci.reference import check_tag
from entrepot.registry.hot import RegistryReads
from entrepot.registry.model import BlobAnswer, ManifestAnswer
from entrepot.registry.ports import PullLog
from entrepot.registry.visibility import warning_for

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Pull:
    """Serves manifests and blobs to principals."""

    reads: RegistryReads
    reader: BlobReader
    log: PullLog
    clock: Clock

    def manifest(self, principal: Principal, name: str, reference: str, *, head: bool) -> ManifestAnswer:
        """The manifest *reference* of *name*; HEAD answers like GET.

        Raises PermissionDeniedError, RepositoryUnknownError, ManifestUnknownError, PolicyBlockedError,
        QuarantinedError, TagInvalidError, DigestInvalidError.
        """
        checked = str(Digest.parse(reference)) if ":" in reference else check_tag(reference)
        found = self.reads.manifest(name, checked, principal.actor.account_id)
        self.require(principal, Permission.REPO_PULL, name, found.repository if found else None)
        if found is None:
            raise RepositoryUnknownError
        if found.digest is None:
            raise ManifestUnknownError(f"{name} has no {reference}")
        now = (self.clock.now() - EPOCH) // timedelta(microseconds=1)
        warning = warning_for(found, reference, now)
        action = "manifest.resolved" if head else "manifest.pulled"
        self.log.pulled(principal.actor, action, name, reference, found.digest, warning)
        return ManifestAnswer(found.digest, found.media_type, found.size, found.body, warning)

    def blob(self, principal: Principal, name: str, digest: Digest, *, head: bool) -> BlobAnswer:
        """The blob *digest* of *name*, whose file was seen just now with its full length.

        Raises PermissionDeniedError, RepositoryUnknownError, BlobUnknownError, CopySuspectError.
        """
        found = self.reads.blob(name, str(digest))
        self.require(principal, Permission.REPO_PULL, name, found.repository if found else None)
        if found is None:
            raise RepositoryUnknownError
        if found.key is None:
            raise BlobUnknownError(f"{digest.short()} is not in {name}")
        path = self.reader.whole(found.key, found.size)
        if not head:
            self.log.pulled(principal.actor, "blob.pulled", name, str(digest), str(digest), "")
        return BlobAnswer(str(digest), found.size, found.key, path)

    def repository(self, principal: Principal, permission: Permission, name: str) -> Scoped[Repository]:
        """A handle on *name* for *permission*; of a repository that a push would make, if its project is there.

        Raises PermissionDeniedError, RepositoryUnknownError.
        """
        return self.require(principal, permission, name, self.reads.repository(name))

    def may_push(self, principal: Principal, name: str) -> None:
        """Refuses before a body is read. Raises as `repository`."""
        self.repository(principal, Permission.REPO_PUSH, name)

    def require(
        self, principal: Principal, permission: Permission, name: str, repository: Repository | None
    ) -> Scoped[Repository]:
        """A handle on *repository*, which is *name* as found; None: not there, then its project decides.

        Absent and forbidden look alike to who has no right to know.
        """
        if repository is None:
            project = self.reads.project(name.partition("/")[0])
            repository = Repository(0, name, project or Project(0, name.partition("/")[0]))
            if project is None and permission is Permission.REPO_PUSH:
                authorize(principal, permission, repository)
                raise PermissionDeniedError(
                    f"no project {repository.project.name}: entrepot project create {repository.project.name}",
                    permission,
                )
        return authorize(principal, permission, repository)
