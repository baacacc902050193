"""What every endpoint and page needs: the services, who asks, and what he may touch."""

from datetime import datetime
from typing import Final

from entrepot.access.authorize import authorize, may
from entrepot.access.errors import ProjectHiddenError
from entrepot.access.model import Permission, Principal, Project, Repository, Site
from entrepot.access.scoped import Scoped
from entrepot.catalog.errors import RepositoryUnknownError
from entrepot.catalog.operations import Operation
from entrepot.catalog.queries import Artifact
from entrepot.lifecycle.errors import PromotionUnknownError
from entrepot.lifecycle.model import Promotion
from entrepot.oci.digest import Digest
from entrepot.oci.reference import check_name, check_tag
from entrepot.web.request import Request
from entrepot.web.services import Services

SITE: Final = Site()


class Context:
    """A *request* on its way: *services*, and the *principal* who asks."""

    def __init__(self, services: Services, principal: Principal, request: Request) -> None:
        self.services = services
        self.principal = principal
        self.request = request

    @property
    def now(self) -> datetime:
        """The instant now."""
        return self.services.claims.clock.now()

    def site(self, permission: Permission) -> Scoped[Site]:
        """The site, for *permission*. Raises PermissionDeniedError."""
        return authorize(self.principal, permission, SITE)

    async def project(self, permission: Permission, name: str) -> Scoped[Project]:
        """The project *name*, for *permission*. Raises ProjectHiddenError, PermissionDeniedError."""
        self.request.about = name
        found = await self.services.reads.project(name)
        if found is None:
            raise ProjectHiddenError
        return authorize(self.principal, permission, found)

    async def project_to_delete(self, name: str) -> Scoped[Project]:
        """The project *name*, for who may delete it: who may create others, and delete what is in this one.

        Raises as `project` and `site`.
        """
        found = await self.project(Permission.REPO_DELETE, name)
        self.site(Permission.PROJECT_CREATE)
        return found

    async def repository(self, permission: Permission, name: str) -> Scoped[Repository]:
        """The repository *name*, for *permission*. Absent and forbidden are the same 404 here.

        Raises RepositoryUnknownError, PermissionDeniedError, NameInvalidError.
        """
        self.request.about = check_name(name)
        found = await self.services.reads.repository(name)
        if found is None or not may(self.principal, Permission.REPO_READ, found):
            raise RepositoryUnknownError
        return authorize(self.principal, permission, found)

    async def artifact(self, permission: Permission, name: str, reference: str) -> Artifact:
        """What *reference* names in the repository *name*. Raises ManifestUnknownError and as `repository`."""
        checked = str(Digest.parse(reference)) if ":" in reference else check_tag(reference)
        return await self.services.catalog.artifact(await self.repository(permission, name), checked)

    async def promotion(self, permission: Permission, id_: str) -> tuple[Scoped[Project], Promotion]:
        """The promotion *id_*, and its project for *permission*. Absent and hidden are the same.

        Raises PromotionUnknownError, PermissionDeniedError.
        """
        name, found = await self.services.promotions.one(id_)
        try:
            return await self.project(permission, name), found
        except ProjectHiddenError:
            raise PromotionUnknownError from None

    async def operation(self, id_: str) -> Operation:
        """The operation *id_*: it says nothing yet about who may touch it. Raises OperationUnknownError."""
        found = await self.services.storage.operation(id_)
        self.request.about = found.repository or found.project
        return found

    async def newest_job(self, name: str) -> str | None:
        """The id of the newest job called *name*."""
        rows = await self.services.jobs.page(None, name, None, 1)
        return rows[0].id if rows else None
