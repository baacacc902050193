"""Endpoints: deleting what is large, the trash, taking back, and purging before the time."""

from datetime import datetime
from typing import Annotated, Final

from fastapi import APIRouter, Depends
from pydantic import BaseModel

from entrepot.access.model import Permission
from entrepot.catalog.lists import OPERATIONS
from entrepot.catalog.operations import Operation
from entrepot.lifecycle.jobs import Collect
from entrepot.runtime.lists import Part, Wanted
from entrepot.web.api.context import Asked
from entrepot.web.api.keyed import KeyedRoute
from entrepot.web.api.listed import asked_for
from entrepot.web.api.plans import DryRun, PlanDetail, shown
from entrepot.web.api.schemas import Page
from entrepot.web.context import Context

router = APIRouter(tags=["trash"], route_class=KeyedRoute)
PATH: Final = "/repositories/{name:path}/-/artifacts/{reference}"


class Deleted(BaseModel):
    """What was deleted can be brought back by this operation."""

    operation: str


class OperationItem(BaseModel):
    """A deletion. state: open (can be undone), undone, or purged."""

    id: str
    kind: str
    state: str
    project: str
    repository: str
    reference: str
    actor: str
    at: datetime
    undo_until: datetime
    undone_at: datetime | None
    undone_by: str | None
    purged_at: datetime | None


class UndoneAnswer(BaseModel):
    """What is there again; taken: tags that name something else by now, and go on to."""

    operation: str
    manifests: int
    tags: list[str]
    taken: list[str]


class PurgeAsked(BaseModel):
    """What another admin is to confirm."""

    operation: str
    request: str


class JobStarted(BaseModel):
    """Work on its way; job: null if it is done already."""

    job: str | None


@router.delete(PATH, operation_id="deleteArtifact")
async def delete_artifact(asked: Asked, name: str, reference: str, *, dry_run: DryRun = False) -> Deleted | PlanDetail:
    """Deletes a tag, or the manifest of a digest with its tags and referrers."""
    repository = await asked.repository(Permission.REPO_DELETE, name)
    if dry_run:
        return shown(await asked.services.plan.reference(repository, reference))
    return Deleted(operation=await asked.services.delete.manifest(asked.principal, name, reference))


@router.delete("/repositories/{name:path}", operation_id="deleteRepository")
async def delete_repository(asked: Asked, name: str, *, dry_run: DryRun = False) -> Deleted | PlanDetail:
    """Deletes a repository with all it has."""
    scoped = await asked.repository(Permission.REPO_DELETE, name)
    if dry_run:
        return shown(await asked.services.plan.repository(scoped))
    return Deleted(operation=await asked.services.delete.repository(scoped))


@router.delete("/projects/{project}", operation_id="deleteProject")
async def delete_project(asked: Asked, project: str, *, dry_run: DryRun = False) -> Deleted | PlanDetail:
    """Deletes a project with its repositories."""
    scoped = await asked.project_to_delete(project)
    if dry_run:
        return shown(await asked.services.plan.project(scoped))
    return Deleted(operation=await asked.services.delete.project(scoped))


@router.get("/operations", operation_id="listOperations")
async def list_operations(
    asked: Asked, wanted: Annotated[Wanted, Depends(asked_for(OPERATIONS))]
) -> Page[OperationItem]:
    """Deletions in all projects."""
    site = asked.site(Permission.SYSTEM_READ)
    return _page(asked, await asked.services.lists.all_operations(site, wanted, asked.now))


@router.get("/projects/{project}/operations", operation_id="listProjectOperations")
async def list_project_operations(
    asked: Asked, project: str, wanted: Annotated[Wanted, Depends(asked_for(OPERATIONS))]
) -> Page[OperationItem]:
    """Deletions in a project."""
    scoped = await asked.project(Permission.REPO_DELETE, project)
    return _page(asked, await asked.services.lists.operations(scoped, wanted, asked.now))


@router.post("/operations/{operation}/undo", operation_id="undoOperation")
async def undo_operation(asked: Asked, operation: str) -> UndoneAnswer:
    """Takes a deletion back, whole or not at all."""
    found = await asked.operation(operation)
    undone = await asked.services.undo(asked.principal, found.id)
    return UndoneAnswer(
        operation=undone.operation, manifests=undone.manifests, tags=list(undone.tags), taken=list(undone.taken)
    )


@router.post("/operations/{operation}/purge", operation_id="requestPurge", status_code=202)
async def request_purge(asked: Asked, operation: str, *, dry_run: DryRun = False) -> PurgeAsked | PlanDetail:
    """Asks that what a deletion took be gone at once; another admin confirms it within a day."""
    site = asked.site(Permission.TRASH_PURGE)
    if dry_run:
        return shown(await asked.services.plan.purge(site, operation, confirms=False))
    request = await asked.services.purge.request(site, operation)
    return PurgeAsked(operation=operation, request=request)


@router.post("/operations/{operation}/confirm", operation_id="confirmPurge", status_code=202)
async def confirm_purge(asked: Asked, operation: str, *, dry_run: DryRun = False) -> JobStarted | PlanDetail:
    """Confirms what another admin asked for: the bytes are removed by a job, nothing brings them back."""
    site = asked.site(Permission.TRASH_PURGE)
    if dry_run:
        return shown(await asked.services.plan.purge(site, operation, confirms=True))
    await asked.services.purge.confirm(site, operation)
    return JobStarted(job=await asked.newest_job(Collect.NAME))


@router.post("/trash/purge", operation_id="purgeTrash", status_code=202)
async def purge_trash(asked: Asked, *, dry_run: DryRun = False) -> JobStarted | PlanDetail:
    """Removes what is due now, instead of within a minute."""
    site = asked.site(Permission.TRASH_PURGE)
    if dry_run:
        return shown(await asked.services.plan.due(site))
    await asked.services.request_work.collect(site)
    return JobStarted(job=await asked.newest_job(Collect.NAME))


def _page(asked: Context, part: Part[Operation]) -> Page[OperationItem]:
    return Page(items=[_item(row, asked.now) for row in part.items], next=part.next, total=part.total)


def _item(row: Operation, now: datetime) -> OperationItem:
    state = "undone" if row.undone_at else "purged" if row.purged_at or row.undo_until <= now else "open"
    values = {name: getattr(row, name) for name in OperationItem.model_fields if name != "state"}
    return OperationItem(**(values | {"kind": row.kind.value, "state": state}))
