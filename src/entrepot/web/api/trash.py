"""Endpoints: deleting what is large, the trash, taking back, and purging before the time."""

from datetime import datetime
from typing import Final

from fastapi import APIRouter
from pydantic import BaseModel

from entrepot.access.model import Permission
from entrepot.catalog.operations import Operation
from entrepot.lifecycle.jobs import Collect
from entrepot.web.api.context import AfterId, Asked, Limit
from entrepot.web.api.schemas import Page

router = APIRouter(tags=["trash"])
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
async def delete_artifact(asked: Asked, name: str, reference: str) -> Deleted:
    """Deletes a tag, or the manifest of a digest with its tags and referrers."""
    await asked.repository(Permission.REPO_DELETE, name)
    return Deleted(operation=await asked.services.delete.manifest(asked.principal, name, reference))


@router.delete("/repositories/{name:path}", operation_id="deleteRepository")
async def delete_repository(asked: Asked, name: str) -> Deleted:
    """Deletes a repository with all it has."""
    scoped = await asked.repository(Permission.REPO_DELETE, name)
    return Deleted(operation=await asked.services.delete.repository(scoped))


@router.delete("/projects/{project}", operation_id="deleteProject")
async def delete_project(asked: Asked, project: str) -> Deleted:
    """Deletes a project with its repositories."""
    asked.site(Permission.PROJECT_CREATE)
    scoped = await asked.project(Permission.REPO_DELETE, project)
    return Deleted(operation=await asked.services.delete.project(scoped))


@router.get("/operations", operation_id="listOperations")
async def list_operations(asked: Asked, after: AfterId = None, limit: Limit = 100) -> Page[OperationItem]:
    """Deletions in all projects, newest first."""
    site = asked.site(Permission.SYSTEM_READ)
    return _page(asked, await asked.services.storage.all_operations(site, after, limit), limit)


@router.get("/projects/{project}/operations", operation_id="listProjectOperations")
async def list_project_operations(
    asked: Asked, project: str, after: AfterId = None, limit: Limit = 100
) -> Page[OperationItem]:
    """Deletions in a project, newest first."""
    scoped = await asked.project(Permission.REPO_DELETE, project)
    return _page(asked, await asked.services.storage.operations(scoped, after, limit), limit)


@router.post("/operations/{operation}/undo", operation_id="undoOperation")
async def undo_operation(asked: Asked, operation: str) -> UndoneAnswer:
    """Takes a deletion back, whole or not at all."""
    undone = await asked.services.undo(asked.principal, operation)
    return UndoneAnswer(
        operation=undone.operation, manifests=undone.manifests, tags=list(undone.tags), taken=list(undone.taken)
    )


@router.post("/operations/{operation}/purge", operation_id="requestPurge", status_code=202)
async def request_purge(asked: Asked, operation: str) -> PurgeAsked:
    """Asks that what a deletion took be gone at once; another admin confirms it within a day."""
    request = await asked.services.purge.request(asked.site(Permission.TRASH_PURGE), operation)
    return PurgeAsked(operation=operation, request=request)


@router.post("/operations/{operation}/confirm", operation_id="confirmPurge", status_code=202)
async def confirm_purge(asked: Asked, operation: str) -> JobStarted:
    """Confirms what another admin asked for: the bytes are removed by a job, nothing brings them back."""
    await asked.services.purge.confirm(asked.site(Permission.TRASH_PURGE), operation)
    return JobStarted(job=await asked.newest_job(Collect.NAME))


@router.post("/trash/purge", operation_id="purgeTrash", status_code=202)
async def purge_trash(asked: Asked) -> JobStarted:
    """Removes what is due now, instead of within a minute."""
    await asked.services.request_work.collect(asked.site(Permission.TRASH_PURGE))
    return JobStarted(job=await asked.newest_job(Collect.NAME))


def _page(asked: Asked, rows: list[Operation], limit: int) -> Page[OperationItem]:
    items = [_item(row, asked.services.undo.clock.now()) for row in rows]
    return Page(items=items, next=items[-1].id if len(items) == limit else None)


def _item(row: Operation, now: datetime) -> OperationItem:
    state = "undone" if row.undone_at else "purged" if row.purged_at or row.undo_until <= now else "open"
    values = {name: getattr(row, name) for name in OperationItem.model_fields if name != "state"}
    return OperationItem(**(values | {"kind": row.kind.value, "state": state}))
