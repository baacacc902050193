"""What every endpoint needs: the services, who asks, and what he may touch."""

from typing import Annotated, Any, Final

from fastapi import Depends, Query
from starlette.requests import Request as HttpRequest

from entrepot.access.authorize import authorize, may
from entrepot.access.errors import ProjectHiddenError
from entrepot.access.model import Permission, Principal, Project, Repository, Site
from entrepot.access.scoped import Scoped
from entrepot.catalog.errors import RepositoryUnknownError
from entrepot.catalog.queries import Artifact
from entrepot.oci.digest import Digest
from entrepot.oci.reference import check_name, check_tag
from entrepot.web.services import Services

SITE: Final = Site()
MAX_PAGE: Final = 1_000


class Context:
    """A request on its way: *services*, and the *principal* who asks."""

    def __init__(self, services: Services, principal: Principal) -> None:
        self.services = services
        self.principal = principal

    def site(self, permission: Permission) -> Scoped[Site]:
        """The site, for *permission*. Raises PermissionDeniedError."""
        return authorize(self.principal, permission, SITE)

    async def project(self, permission: Permission, name: str) -> Scoped[Project]:
        """The project *name*, for *permission*. Raises ProjectHiddenError, PermissionDeniedError."""
        found = await self.services.reads.project(name)
        if found is None:
            raise ProjectHiddenError
        return authorize(self.principal, permission, found)

    async def repository(self, permission: Permission, name: str) -> Scoped[Repository]:
        """The repository *name*, for *permission*. Absent and forbidden are the same 404 here.

        Raises RepositoryUnknownError, PermissionDeniedError, NameInvalidError.
        """
        found = await self.services.reads.repository(check_name(name))
        if found is None or not may(self.principal, Permission.REPO_READ, found):
            raise RepositoryUnknownError
        return authorize(self.principal, permission, found)

    async def artifact(self, permission: Permission, name: str, reference: str) -> Artifact:
        """What *reference* names in the repository *name*. Raises ManifestUnknownError and as `repository`."""
        checked = str(Digest.parse(reference)) if ":" in reference else check_tag(reference)
        return await self.services.catalog.artifact(await self.repository(permission, name), checked)

    async def newest_job(self, name: str) -> str | None:
        """The id of the newest job called *name*."""
        rows = await self.services.jobs.page(None, name, None, 1)
        return rows[0].id if rows else None


async def _context(request: HttpRequest) -> Context:
    services: Services = request.app.state.services
    own: Any = request.scope["entrepot.request"]
    return Context(services, await services.authn.login(own, "api"))


Asked = Annotated[Context, Depends(_context)]
CURSOR: Final = "Cursor: the `next` of the page before."
After = Annotated[str | None, Query(max_length=512, description=CURSOR)]
AfterId = Annotated[str | None, Query(pattern="^[0-9A-HJKMNP-TV-Z]{26}$", description=CURSOR)]
# Packages and findings are one immutable document: a place in it is a cursor that never shifts.
AfterPlace = Annotated[str | None, Query(pattern="^[0-9]{1,9}$", description=CURSOR)]
Limit = Annotated[int, Query(ge=1, le=MAX_PAGE, description="Most items of a page.")]
