"""Endpoints: projects, and how strict they are."""

from typing import Annotated

from fastapi import APIRouter, Depends, Response

from entrepot.access.authorize import visible_projects
from entrepot.access.errors import ProjectHiddenError
from entrepot.access.model import Permission
from entrepot.catalog.lists import PROJECTS
from entrepot.catalog.projects import Switches, Visibility
from entrepot.catalog.queries import ProjectRow
from entrepot.policy.jobs import ApplyMode
from entrepot.policy.model import BASELINE, DEFAULT_MODE, Mode
from entrepot.runtime.lists import Wanted
from entrepot.web.api.conditions import IfMatch, entity_tag, expected
from entrepot.web.api.context import Asked
from entrepot.web.api.keyed import KeyedRoute
from entrepot.web.api.listed import asked_for
from entrepot.web.api.schemas import (
    EditProjectBody,
    LimitItem,
    ModeAnswer,
    ModeBody,
    NewProjectBody,
    Page,
    PolicyDetail,
    ProjectItem,
    ProjectSwitches,
)
from entrepot.web.context import Context

router = APIRouter(tags=["projects"], route_class=KeyedRoute)


@router.get("/projects", operation_id="listProjects")
async def list_projects(asked: Asked, wanted: Annotated[Wanted, Depends(asked_for(PROJECTS))]) -> Page[ProjectItem]:
    """The projects the caller has a role on."""
    part = await asked.services.lists.projects(visible_projects(asked.principal), wanted)
    modes = await asked.services.policy.modes(row.row_id for row in part.items)
    items = [_item(row, modes.get(row.row_id, (DEFAULT_MODE, None))[0]) for row in part.items]
    return Page(items=items, next=part.next, total=part.total)


@router.post("/projects", operation_id="createProject", status_code=201)
async def create_project(asked: Asked, body: NewProjectBody) -> ProjectItem:
    """Makes a project."""
    site = asked.site(Permission.PROJECT_CREATE)
    made = await asked.services.create_project(site, body.name, Visibility(body.visibility))
    return ProjectItem(
        id=made.id,
        name=made.project.name,
        mode=DEFAULT_MODE.value,
        visibility=body.visibility,
        strict_sizes=True,
        created_at=made.created_at,
        repositories=0,
    )


@router.get("/projects/{project}", operation_id="getProject")
async def get_project(asked: Asked, project: str, response: Response) -> ProjectItem:
    """A project. Its `ETag` is that of its switches."""
    scoped = await asked.project(Permission.REPO_READ, project)
    row = await _row(asked, scoped.resource.id)
    response.headers["ETag"] = entity_tag(_switches(row))
    return _item(row, (await asked.services.policy.mode(scoped))[0])


@router.patch("/projects/{project}", operation_id="editProject")
async def edit_project(
    asked: Asked, project: str, body: EditProjectBody, response: Response, if_match: IfMatch = None
) -> ProjectSwitches:
    """Sets switches of a project: who may pull from it, and whether sizes in manifests must be right."""
    scoped = await asked.project(Permission.PROJECT_EDIT, project)
    before = expected(if_match, _switches(await _row(asked, scoped.resource.id)))
    visibility = Visibility(body.visibility) if body.visibility else None
    now = await asked.services.edit_project(scoped, visibility, strict_sizes=body.strict_sizes, expected=before)
    response.headers["ETag"] = entity_tag(now)
    return ProjectSwitches(name=project, visibility=now.visibility.value, strict_sizes=now.strict_sizes)


@router.get("/projects/{project}/policy", operation_id="getPolicy")
async def get_policy(asked: Asked, project: str, response: Response) -> PolicyDetail:
    """The policy that binds a project, and its mode. Its `ETag` is that of the mode, in force and wanted."""
    scoped = await asked.project(Permission.REPO_READ, project)
    mode, wanted = await asked.services.policy.mode(scoped)
    response.headers["ETag"] = entity_tag((mode, wanted))
    return PolicyDetail(
        project=project,
        policy=BASELINE.name,
        mode=mode.value,
        wanted=wanted.value if wanted else None,
        limits=[
            LimitItem(id=limit.id, severity=limit.severity.value, fixable=limit.fixable, max=limit.maximum)
            for limit in BASELINE.limits
        ],
        unknown_severity=BASELINE.unknown_severity.value,
    )


@router.put("/projects/{project}/policy/mode", operation_id="setPolicyMode", status_code=202)
async def set_policy_mode(
    asked: Asked, project: str, body: ModeBody, response: Response, if_match: IfMatch = None
) -> ModeAnswer:
    """Asks for another mode. It takes effect when all gates of the project are recomputed: see the job."""
    scoped = await asked.project(Permission.POLICY_ACTIVATE, project)
    before = expected(if_match, await asked.services.policy.mode(scoped))
    mode, wanted = await asked.services.request_mode(scoped, Mode(body.mode), before)
    response.headers["ETag"] = entity_tag((mode, wanted))
    job = None
    if wanted is not None:
        rows = await asked.services.jobs.page(None, ApplyMode.NAME, None, 100)
        own = ApplyMode(scoped.resource.id).args()
        job = next((row.id for row in rows if row.args == own), None)
    return ModeAnswer(project=project, mode=mode.value, wanted=wanted.value if wanted else None, job=job)


async def _row(asked: Context, project_id: int) -> ProjectRow:
    """The row of a project that was there a moment ago. Raises ProjectHiddenError."""
    rows = await asked.services.catalog.projects([project_id], None, 1)
    if not rows:
        raise ProjectHiddenError
    return rows[0]


def _switches(row: ProjectRow) -> Switches:
    return Switches(Visibility(row.visibility), row.strict_sizes)


def _item(row: ProjectRow, mode: Mode) -> ProjectItem:
    return ProjectItem(
        id=row.id,
        name=row.name,
        mode=mode.value,
        visibility=row.visibility,
        strict_sizes=row.strict_sizes,
        created_at=row.created_at,
        repositories=row.repositories,
    )
