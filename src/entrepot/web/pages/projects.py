"""Pages: projects, and how each stands."""

from typing import Final

from starlette.responses import Response

from entrepot.access.authorize import visible_projects
from entrepot.access.model import Permission, Project
from entrepot.access.scoped import Scoped
from entrepot.catalog.lists import OPERATIONS, PROJECTS
from entrepot.catalog.operations import Operation
from entrepot.catalog.projects import Visibility
from entrepot.catalog.queries import ProjectRow
from entrepot.errors import InvalidError
from entrepot.lifecycle.lists import REPOSITORIES
from entrepot.policy.model import DEFAULT_MODE, Mode
from entrepot.runtime.lists import Part, Wanted
from entrepot.web.pages.commands import push_commands
from entrepot.web.pages.lists import Action, Column, Shown, answer, listed
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
        Column("strict_sizes", "Strict sizes", lambda row: row.strict_sizes, Shown.BOOLEAN),
        Column("created_at", "Made", lambda row: row.created_at, Shown.TIME),
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
    made = await visit.services.create_project(site, visit.form.get("name", ""), _visibility(visit))
    return visit.go(f"/projects/{made.project.name}", "created")


async def show_project(visit: Visit) -> Response:
    """A project's repositories, switches and mode."""
    scoped = await project_of(visit, Permission.REPO_READ)
    project, services = scoped.resource, visit.services
    rows = await services.catalog.projects([project.id], None, 1)
    mode, wanted = await services.policy.mode(scoped)
    usage, _ = await services.storage.quota(scoped)
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
        refused_edit=visit.refused(Permission.PROJECT_EDIT, project),
        refused_mode=visit.refused(Permission.POLICY_ACTIVATE, project),
    )


async def set_switches(visit: Visit) -> Response:
    """Sets who may pull, and how strict sizes are."""
    scoped = await project_of(visit, Permission.PROJECT_EDIT)
    strict = visit.form.get("strict_sizes") == "yes"
    await visit.services.edit_project(scoped, _visibility(visit), strict_sizes=strict)
    return visit.go(project_address(scoped), "saved")


async def set_mode(visit: Visit) -> Response:
    """Asks for another mode; a job puts it into force."""
    scoped = await project_of(visit, Permission.POLICY_ACTIVATE)
    try:
        mode = Mode(visit.form.get("mode", ""))
    except ValueError:
        raise InvalidError("a mode is monitor, warn or enforce", "mode") from None
    _, wanted = await visit.services.request_mode(scoped, mode)
    return visit.go(project_address(scoped), "requested" if wanted else "saved")


async def show_trash(visit: Visit) -> Response:
    """Deletions in a project, each of which can be taken back for a time."""
    scoped = await project_of(visit, Permission.REPO_DELETE)
    now = visit.context.now
    columns: tuple[Column[Operation], ...] = (
        Column("kind", "What", lambda row: row.kind.value),
        Column("repository", "Repository", lambda row: row.repository),
        Column("reference", "Name", lambda row: row.reference, Shown.CODE),
        Column("actor", "By", lambda row: row.actor),
        Column("at", "When", lambda row: row.at, Shown.TIME),
        Column("undo_until", "Can be taken back", lambda row: row.undo_until, Shown.TIME),
        Column("id", "Operation", lambda row: row.id, Shown.CODE),
    )
    undo_it: Action[Operation] = Action(
        "Take back",
        lambda row: f"{project_address(scoped)}/trash/{row.id}/undo",
        lambda row: row.reference,
        lambda row: "it was taken back" if row.undone_at else "its time is over" if row.undo_until <= now else "",
    )
    view = await listed(
        visit,
        "Trash",
        OPERATIONS,
        columns,
        lambda wanted: visit.services.lists.operations(scoped, wanted, now),
        empty="Nothing was deleted.",
        actions=(undo_it,),
    )
    return answer(visit, "list.html", view, title=f"Trash of {scoped.resource.name}", lead="")


async def undo(visit: Visit) -> Response:
    """Takes a deletion back."""
    scoped = await project_of(visit, Permission.REPO_DELETE)
    await visit.services.undo(visit.context.principal, visit.http.path_params["operation"])
    return visit.go(f"{project_address(scoped)}/trash", "undone")


async def project_of(visit: Visit, permission: Permission) -> Scoped[Project]:
    """The project that the address names, for *permission*. Raises as `Context.project`."""
    return await visit.context.project(permission, visit.http.path_params["project"])


def project_address(scoped: Scoped[Project]) -> str:
    """The page of a project."""
    return f"/projects/{scoped.resource.name}"


def _visibility(visit: Visit) -> Visibility:
    try:
        return Visibility(visit.form.get("visibility", ""))
    except ValueError:
        raise InvalidError("private or public", "visibility") from None


ROUTES: Final = (
    page("/projects", show_projects),
    action("/projects", create_project),
    page("/projects/{project}", show_project),
    action("/projects/{project}/switches", set_switches),
    action("/projects/{project}/mode", set_mode),
    page("/projects/{project}/trash", show_trash),
    action("/projects/{project}/trash/{operation}/undo", undo),
)
