"""Endpoints: how much is stored, by whom, how much may be, and whether the store and the rows agree."""

from datetime import datetime
from typing import Annotated, Any, NamedTuple

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, Field

from entrepot.access.model import Permission
from entrepot.audit.queries import AuditFilter
from entrepot.errors import NotFoundError
from entrepot.lifecycle.jobs import CheckStorage
from entrepot.lifecycle.model import StorageChecked
from entrepot.oci.reference import check_tag
from entrepot.web.api.conditions import IfMatch, entity_tag, expected
from entrepot.web.api.context import Asked
from entrepot.web.api.keyed import KeyedRoute
from entrepot.web.api.schemas import Body
from entrepot.web.api.trash import JobStarted

router = APIRouter(tags=["storage"], route_class=KeyedRoute)
Bytes = Annotated[int, Field(strict=True, ge=0, le=2**62)]


class StorageDetail(BaseModel):
    """What the whole store holds, in bytes. physical = live + trash + reclaimable; waiting: reviews to come."""

    physical: int
    live: int
    trash: int
    reclaimable: int
    logical: int
    uploading: int
    waiting: int


class ShareDetail(BaseModel):
    """What a repository or tag holds, in bytes: freed if it were gone, and needed by others too."""

    repository: str
    tag: str | None
    exclusive: int
    shared: int


class LargestItem(BaseModel):
    """A repository and what it holds, in bytes."""

    repository: str
    bytes: int


class QuotaDetail(BaseModel):
    """What a project keeps, in bytes: shared layers once, trash included; limit: null for any number."""

    project: str
    used: int
    limit: int | None
    nearly_used: bool
    largest: list[LargestItem]


class QuotaBody(Body):
    """How much a project may keep, in bytes; null for any number."""

    limit: Bytes | None


class Limited(NamedTuple):
    """What can be changed in a quota."""

    limit: int | None


class CheckDetail(BaseModel):
    """What the newest comparison of the store's listing with the rows found. Nothing was changed."""

    at: datetime
    objects: int
    bytes: int
    rows: int
    row_bytes: int
    orphans: int
    orphan_bytes: int
    missing: int
    missing_bytes: int
    resized: int
    examples: list[str]


@router.get("/storage", operation_id="getStorage")
async def get_storage(asked: Asked) -> StorageDetail:
    """What the whole store holds."""
    asked.site(Permission.SYSTEM_READ)
    found = await asked.services.storage.storage()
    return StorageDetail(**{name: getattr(found, name) for name in StorageDetail.model_fields})


@router.get("/repositories/{name:path}/-/storage", operation_id="getRepositoryStorage")
async def get_repository_storage(
    asked: Asked, name: str, tag: Annotated[str | None, Query(max_length=128)] = None
) -> ShareDetail:
    """What a repository holds, or one tag of it."""
    scoped = await asked.repository(Permission.REPO_READ, name)
    queries = asked.services.storage
    share = await (queries.repository(scoped) if tag is None else queries.tag(scoped, check_tag(tag)))
    return ShareDetail(repository=name, tag=tag, exclusive=share.exclusive, shared=share.shared)


@router.get("/projects/{project}/quota", operation_id="getQuota")
async def get_quota(asked: Asked, project: str, response: Response) -> QuotaDetail:
    """What a project keeps and may keep. Its `ETag` is that of the limit."""
    scoped = await asked.project(Permission.REPO_READ, project)
    usage, largest = await asked.services.storage.quota(scoped)
    response.headers["ETag"] = entity_tag(Limited(usage.limit))
    return QuotaDetail(
        project=project,
        used=usage.used,
        limit=usage.limit,
        nearly_used=usage.is_nearly_used,
        largest=[LargestItem(repository=name, bytes=size) for name, size in largest],
    )


@router.put("/projects/{project}/quota", operation_id="setQuota")
async def set_quota(
    asked: Asked, project: str, body: QuotaBody, response: Response, if_match: IfMatch = None
) -> QuotaDetail:
    """Says how much a project may keep; what is there stays, also if it is more."""
    site = asked.site(Permission.PROJECT_EDIT)
    scoped = await asked.project(Permission.PROJECT_EDIT, project)
    before, _ = await asked.services.storage.quota(scoped)
    is_known = expected(if_match, Limited(before.limit)) is not None
    await asked.services.set_quota(site, scoped.resource, body.limit, before if is_known else None)
    return await get_quota(asked, project, response)


@router.post("/storage/check", operation_id="checkStorage", status_code=202)
async def check_storage(asked: Asked) -> JobStarted:
    """Compares the store's listing with the rows now, and reports."""
    await asked.services.request_work.check(asked.site(Permission.SYSTEM_READ))
    return JobStarted(job=await asked.newest_job(CheckStorage.NAME))


@router.get("/storage/check", operation_id="getStorageCheck")
async def get_storage_check(asked: Asked) -> CheckDetail:
    """What the newest comparison found."""
    asked.site(Permission.SYSTEM_READ)
    site = asked.site(Permission.AUDIT_READ)
    rows = await asked.services.audit(site, AuditFilter(action=StorageChecked.ACTION), None, 1)
    if not rows:
        raise NotFoundError("the store was not compared yet: entrepot storage check")
    detail: dict[str, Any] = {**rows[0].detail, "at": rows[0].at}
    return CheckDetail(**detail)
