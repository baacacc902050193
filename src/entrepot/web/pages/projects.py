"""Pages: projects, and how each stands."""

from typing import Final

from starlette.responses import Response

from entrepot.access.authorize import visible_projects
from entrepot.access.model import Permission, Project
from entrepot.access.scoped import Scoped
from entrepot.catalog.lists import PROJECTS
from entrepot.catalog.projects import Visibility
from entrepot.catalog.queries import ProjectRow
from entrepot.errors import InvalidError
from entrepot.lifecycle.lists import REPOSITORIES
from entrepot.policy.model import DEFAULT_MODE, Mode
from entrepot.runtime.lists import Part, Wanted
from entrepot.web.pages.commands import push_commands
from entrepot.web.pages.lists import Column, Shown, answer, listed
from entrepot.web.pages.repositories import COLUMNS as REPOSITORY_COLUMNS
from entrepot.web.pages.repositories import NONE_YET
from entrepot.web.pages.visit import Visit, action, page


async def show_projects(visit: Visit) -> Response:
    """The projects one sees, and a form for another."""
    services = visit.services
    ids = visible_projects(visit.context.principal)
    modes: dict[int, tuple[Mode, Mode | None]] = {}
    columns: tuple[Column[ProjectRow], ...] = (
        Column("name", "Name", lambda row: row.name, link=lambda row: f"/projects/{row.name}"),
        Column("repositories", "Repositories", lambda row: row.repositories),
        Column("mode", "Mode", lambda row: modes.get(row.row_id, (DEFAULT_MODE, None))[0].value, Shown.BADGE),
        Column("visibility", "Visibility", lambda row: row.visibility),
        Column("strict_sizes", "Strict sizes", lambda row: row.strict_sizes, Shown.BOOLEAN, is_usual=False),
        Column("created_at", "Created", lambda row: row.created_at, Shown.TIME),
    )

    async def ask(wanted: Wanted) -> Part[ProjectRow]:
        part = await services.lists.projects(ids, wanted)
        modes.update(await services.policy.modes(row.row_id for row in part.items))
        return part

    view = await listed(visit, "Projects", PROJECTS, columns, ask, empty="No project yet: make one below.")
    return answer(visit, "projects.html", view, refused=visit.refused(Permission.PROJECT_CREATE))


async def create_project(visit: Visit) -> Response:
    """Makes a project."""
    site = visit.context.site(Permission.PROJECT_CREATE)
    made = await visit.services.create_project(site, visit.form.get("name", ""), visibility_of(visit))
    return visit.go(f"/projects/{made.project.name}", "created")


async def show_project(visit: Visit) -> Response:
    """A project's repositories, switches and mode."""
    scoped = await project_of(visit, Permission.REPO_READ)
    project, services = scoped.resource, visit.services
    rows = await services.catalog.projects([project.id], None, 1)
    mode, wanted = await services.policy.mode(scoped)
    usage = await services.storage.usage(scoped)
    view = await listed(
        visit,
        f"Repositories of {project.name}",
        REPOSITORIES,
        REPOSITORY_COLUMNS,
        lambda asked: services.repositories([project.id], asked),
        empty=NONE_YET,
    )
    return answer(
        visit,
        "project.html",
        view,
        project=rows[0],
        mode=mode.value,
        wanted=wanted.value if wanted else "",
        usage=usage,
        commands=push_commands(visit.services.service, f"{project.name}/web", secure=visit.secure),
    )


async def project_of(visit: Visit, permission: Permission) -> Scoped[Project]:
    """The project that the address names, for *permission*. Raises as `Context.project`."""
    return await visit.context.project(permission, visit.http.path_params["project"])


def project_address(scoped: Scoped[Project]) -> str:
    """The page of a project."""
    return f"/projects/{scoped.resource.name}"


def visibility_of(visit: Visit) -> Visibility:
    """Who may pull, as the form says. Raises InvalidError."""
    try:
        return Visibility(visit.form.get("visibility", ""))
    except ValueError:
        raise InvalidError("private or public", "visibility") from None


ROUTES: Final = (
    page("/projects", show_projects),
    action("/projects", create_project),
    page("/projects/{project}", show_project),
)
