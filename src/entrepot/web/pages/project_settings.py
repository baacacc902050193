"""Pages: how a project stands: who may pull, the mode of its policy, what it may keep, its stages."""

from typing import Final

from starlette.responses import Response

from entrepot.access.errors import PermissionDeniedError
from entrepot.access.model import Permission
from entrepot.catalog.quota import Usage
from entrepot.catalog.stages import MAX_APPROVALS, Move, Pipeline
from entrepot.errors import InvalidError
from entrepot.policy.model import Mode
from entrepot.runtime.quantities import parse_bytes
from entrepot.web.pages.projects import project_of, visibility_of
from entrepot.web.pages.visit import Visit, action, page

MAX_SIZE: Final = 2**63 - 1
NO_LIMIT: Final = "none"
MOST_DIGITS: Final = 3


async def show_settings(visit: Visit) -> Response:
    """A project's switches, mode, quota and stages, each with the form that changes it."""
    scoped = await project_of(visit, Permission.REPO_READ)
    project, services = scoped.resource, visit.services
    rows = await services.catalog.projects([project.id], None, 1)
    mode, wanted = await services.policy.mode(scoped)
    usage, largest = await services.storage.quota(scoped)
    edit = visit.refused(Permission.PROJECT_EDIT, project)
    return visit.page(
        "project_settings.html",
        project=rows[0],
        mode=mode.value,
        wanted=wanted.value if wanted else "",
        usage=usage,
        largest=largest,
        pipeline=await services.promotions.pipeline(scoped),
        most_approvals=MAX_APPROVALS,
        refused_edit=edit,
        refused_mode=visit.refused(Permission.POLICY_ACTIVATE, project),
        refused_quota=visit.refused(Permission.PROJECT_EDIT) or edit,
        refused_delete=await _refused_delete(visit),
    )


async def set_switches(visit: Visit) -> Response:
    """Sets who may pull, and how strict sizes are."""
    scoped = await project_of(visit, Permission.PROJECT_EDIT)
    strict = visit.form.get("strict_sizes") == "yes"
    await visit.services.edit_project(scoped, visibility_of(visit), strict_sizes=strict)
    return visit.go(_address(visit), "saved")


async def set_mode(visit: Visit) -> Response:
    """Asks for another mode; a job puts it into force."""
    scoped = await project_of(visit, Permission.POLICY_ACTIVATE)
    try:
        mode = Mode(visit.form.get("mode", ""))
    except ValueError:
        raise InvalidError("a mode is monitor, warn or enforce", "mode") from None
    _, wanted = await visit.services.request_mode(scoped, mode)
    return visit.go(_address(visit), "requested" if wanted else "saved")


async def set_quota(visit: Visit) -> Response:
    """Says how much a project may keep, unless somebody else said so since the form was seen."""
    site = visit.context.site(Permission.PROJECT_EDIT)
    scoped = await project_of(visit, Permission.PROJECT_EDIT)
    before = Usage(0, _size(visit.form.get("before", NO_LIMIT), "before"))
    await visit.services.set_quota(site, scoped.resource, _size(visit.form.get("limit", ""), "limit"), before)
    return visit.go(_address(visit), "saved")


async def set_approvals(visit: Visit) -> Response:
    """Says how many other people have to approve each move between the project's stages."""
    scoped = await project_of(visit, Permission.PROJECT_EDIT)
    before = await visit.services.promotions.pipeline(scoped)
    moves = tuple(_with_approvals(move, visit.form.get(f"{move.source}>{move.target}")) for move in before.moves)
    await visit.services.set_pipeline(scoped, Pipeline(before.stages, moves), before)
    return visit.go(_address(visit), "saved")


def _with_approvals(move: Move, text: str | None) -> Move:
    """*move* with as many approvals as *text* says; as it is, without one. Raises InvalidError."""
    if text is None:
        return move
    number = int(text) if text.isascii() and text.isdigit() and len(text) <= MOST_DIGITS else MAX_APPROVALS + 1
    if number > MAX_APPROVALS:
        raise InvalidError(f"a number of approvals, at most {MAX_APPROVALS}", f"{move.source}>{move.target}")
    return Move(move.source, move.target, number)


async def _refused_delete(visit: Visit) -> str:
    """Why who asks may not delete the project; empty: he may."""
    try:
        await visit.context.project_to_delete(visit.http.path_params["project"])
    except PermissionDeniedError as error:
        return error.message
    return ""


def _address(visit: Visit) -> str:
    return f"/projects/{visit.http.path_params['project']}/settings"


def _size(text: str, field: str) -> int | None:
    """The bytes in *text*, None for no limit. Raises InvalidError."""
    if text.strip() in {"", NO_LIMIT}:
        return None
    try:
        return min(parse_bytes(text), MAX_SIZE)
    except ValueError as error:
        raise InvalidError(f"{error}, or nothing for no limit", field) from None


ROUTES: Final = (
    page("/projects/{project}/settings", show_settings),
    action("/projects/{project}/switches", set_switches),
    action("/projects/{project}/mode", set_mode),
    action("/projects/{project}/quota", set_quota),
    action("/projects/{project}/approvals", set_approvals),
)
