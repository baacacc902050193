"""Pages: what a deletion would take, and the deletion, of an artifact, a repository or a project."""

from collections.abc import Awaitable
from typing import Final

from starlette.responses import Response

from entrepot.access.model import Permission
from entrepot.errors import ConflictError, DeniedError
from entrepot.lifecycle.plan import Plan
from entrepot.web.pages.look import short
from entrepot.web.pages.verdicts import address_of
from entrepot.web.pages.visit import Visit, action, page

SHOWN: Final = 100


async def plan_artifact(visit: Visit) -> Response:
    """What would go with a manifest."""
    artifact = await visit.context.artifact(Permission.REPO_DELETE, *_named(visit))
    repository = await visit.context.repository(Permission.REPO_DELETE, artifact.repository)
    plan = visit.services.plan.reference(repository, artifact.digest)
    return await _asked(visit, plan, f"{artifact.repository} {short(artifact.digest)}", address_of(*_named(visit)))


async def delete_artifact(visit: Visit) -> Response:
    """Deletes a manifest with its tags and referrers."""
    artifact = await visit.context.artifact(Permission.REPO_DELETE, *_named(visit))
    await visit.services.delete.manifest(visit.context.principal, artifact.repository, artifact.digest)
    return visit.go(f"/repositories/{artifact.repository}", "trashed")


async def plan_repository(visit: Visit) -> Response:
    """What would go with a repository."""
    repository = await visit.context.repository(Permission.REPO_DELETE, visit.http.path_params["name"])
    name = repository.resource.name
    plan = visit.services.plan.repository(repository)
    return await _asked(visit, plan, f"the repository {name}", f"/repositories/{name}")


async def delete_repository(visit: Visit) -> Response:
    """Deletes a repository with all it has."""
    repository = await visit.context.repository(Permission.REPO_DELETE, visit.http.path_params["name"])
    await visit.services.delete.repository(repository)
    return visit.go(f"/projects/{repository.resource.project.name}", "trashed")


async def plan_project(visit: Visit) -> Response:
    """What would go with a project."""
    project = await visit.context.project_to_delete(visit.http.path_params["project"])
    name = project.resource.name
    plan = visit.services.plan.project(project)
    return await _asked(visit, plan, f"the project {name}", f"/projects/{name}/settings")


async def delete_project(visit: Visit) -> Response:
    """Deletes a project with its repositories."""
    await visit.services.delete.project(await visit.context.project_to_delete(visit.http.path_params["project"]))
    return visit.go("/projects", "trashed")


async def _asked(visit: Visit, planned: Awaitable[Plan], what: str, back: str) -> Response:
    """The page that says what would go, or why nothing can."""
    plan, refused = None, ""
    try:
        plan = await planned
    except (DeniedError, ConflictError) as error:
        refused = error.message
    target = str(visit.http.scope["path"])
    return visit.page("deletion.html", plan=plan, refused=refused, what=what, target=target, back_to=back, most=SHOWN)


def _named(visit: Visit) -> tuple[str, str]:
    return visit.http.path_params["name"], visit.http.path_params["reference"]


ARTIFACT: Final = "/repositories/{name:path}/-/artifacts/{reference}/delete"
REPOSITORY: Final = "/repositories/{name:path}/-/delete"
PROJECT: Final = "/projects/{project}/delete"
ROUTES: Final = (
    page(ARTIFACT, plan_artifact),
    action(ARTIFACT, delete_artifact),
    page(REPOSITORY, plan_repository),
    action(REPOSITORY, delete_repository),
    page(PROJECT, plan_project),
    action(PROJECT, delete_project),
)
