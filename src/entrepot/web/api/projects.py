"""Endpoints: projects, and how strict they are."""

from fastapi import APIRouter

from entrepot.access.authorize import visible_projects
from entrepot.access.model import Permission
from entrepot.catalog.projects import Visibility
from entrepot.policy.jobs import ApplyMode
from entrepot.policy.model import BASELINE, DEFAULT_MODE, Mode
from entrepot.web.api.context import After, Asked, Limit
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

router = APIRouter(tags=["projects"])


@router.get("/projects", operation_id="listProjects")
async def list_projects(asked: Asked, after: After = None, limit: Limit = 100) -> Page[ProjectItem]:
    """The projects the caller has a role on, by name."""
    rows = await asked.services.catalog.projects(visible_projects(asked.principal), after, limit)
    modes = await asked.services.policy.modes(row.row_id for row in rows)
    items = [
        ProjectItem(
            id=row.id,
            name=row.name,
            mode=modes.get(row.row_id, (DEFAULT_MODE, None))[0].value,
            visibility=row.visibility,
            strict_sizes=row.strict_sizes,
            created_at=row.created_at,
            repositories=row.repositories,
        )
        for row in rows
    ]
    return Page(items=items, next=items[-1].name if len(items) == limit else None)


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


@router.patch("/projects/{project}", operation_id="editProject")
async def edit_project(asked: Asked, project: str, body: EditProjectBody) -> ProjectSwitches:
    """Sets switches of a project: who may pull from it, and whether sizes in manifests must be right."""
    scoped = await asked.project(Permission.PROJECT_EDIT, project)
    visibility = Visibility(body.visibility) if body.visibility else None
    now = await asked.services.edit_project(scoped, visibility, strict_sizes=body.strict_sizes)
    return ProjectSwitches(name=project, visibility=now.visibility.value, strict_sizes=now.strict_sizes)


@router.get("/projects/{project}/policy", operation_id="getPolicy")
async def get_policy(asked: Asked, project: str) -> PolicyDetail:
    """The policy that binds a project, and its mode."""
    scoped = await asked.project(Permission.REPO_READ, project)
    mode, wanted = await asked.services.policy.mode(scoped)
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
async def set_policy_mode(asked: Asked, project: str, body: ModeBody) -> ModeAnswer:
    """Asks for another mode. It takes effect when all gates of the project are recomputed: see the job."""
    scoped = await asked.project(Permission.POLICY_ACTIVATE, project)
    mode, wanted = await asked.services.request_mode(scoped, Mode(body.mode))
    job = None
    if wanted is not None:
        rows = await asked.services.jobs.page(None, ApplyMode.NAME, None, 100)
        own = ApplyMode(scoped.resource.id).args()
        job = next((row.id for row in rows if row.args == own), None)
    return ModeAnswer(project=project, mode=mode.value, wanted=wanted.value if wanted else None, job=job)
