"""Endpoints: feeds, jobs and the audit log."""

import re
from datetime import UTC, datetime
from typing import Annotated

import msgspec
from fastapi import APIRouter, Depends, Query
from pydantic import BeforeValidator
from pydantic_core import PydanticCustomError
from starlette.requests import Request as HttpRequest

from entrepot.access.model import Permission
from entrepot.audit.queries import EVENTS, AuditFilter
from entrepot.content.errors import BodyTooLargeError
from entrepot.runtime.jobs.model import JOBS, JobRow
from entrepot.runtime.lists import Wanted, part_of
from entrepot.scanning.queries import FEEDS
from entrepot.web.api.context import Asked
from entrepot.web.api.keyed import KeyedRoute
from entrepot.web.api.listed import asked_for
from entrepot.web.api.schemas import AuditItem, FeedItem, FeedReceived, JobItem, Page
from entrepot.web.request import Request

router = APIRouter(tags=["operations"], route_class=KeyedRoute)
Text = Annotated[str, Query(max_length=255)]


def _no_number(value: object) -> object:
    """The library takes numbers for seconds since 1970; a time is written as such."""
    if isinstance(value, str) and re.fullmatch(r"[-+0-9.eE_ ]*", value) and "-" not in value[1:]:
        raise PydanticCustomError("time", "expected a time such as 2026-01-31T12:00:00Z")
    return value


Instant = Annotated[datetime | None, BeforeValidator(_no_number), Query()]


@router.post(
    "/feeds",
    operation_id="importFeed",
    status_code=202,
    openapi_extra={"requestBody": {"content": {"application/octet-stream": {}}, "required": True}},
)
async def import_feed(
    asked: Asked, request: HttpRequest, source: Text = "", *, force: Annotated[bool, Query()] = False
) -> FeedReceived:
    """Takes a feed: OSV JSON lines (plain or zstd) or an Alpine secdb document. A job brings it into force."""
    site = asked.site(Permission.SCAN_CONFIGURE)
    own: Request = request.scope["entrepot.request"]
    largest = asked.services.limits.feed_body_bytes
    if (own.length() or 0) > largest:
        raise BodyTooLargeError(largest)
    job = await asked.services.receive_feed(site, own.body(), source, force=force)
    return FeedReceived(job=job, source=source)


@router.get("/feeds", operation_id="listFeeds")
async def list_feeds(asked: Asked, wanted: Annotated[Wanted, Depends(asked_for(FEEDS))]) -> Page[FeedItem]:
    """The feeds in force."""
    asked.site(Permission.SYSTEM_READ)
    part = part_of(await asked.services.scans.feeds(), FEEDS, wanted, getattr, lambda row: row.source)
    return Page(
        items=[
            FeedItem(
                source=row.source,
                records=row.records,
                namespaces=list(row.namespaces),
                covers=row.covers,
                built_at=row.built_at,
                imported_at=row.imported_at,
            )
            for row in part.items
        ],
        next=part.next,
        total=part.total,
    )


@router.get("/jobs", operation_id="listJobs")
async def list_jobs(
    asked: Asked, wanted: Annotated[Wanted, Depends(asked_for(JOBS))], state: Text = "", name: Text = ""
) -> Page[JobItem]:
    """Jobs."""
    asked.site(Permission.SYSTEM_READ)
    part = await asked.services.jobs.listed(state, name, wanted)
    return Page(items=[_job(row) for row in part.items], next=part.next, total=part.total)


@router.get("/jobs/{job}", operation_id="getJob")
async def get_job(asked: Asked, job: str) -> JobItem:
    """One job."""
    asked.site(Permission.SYSTEM_READ)
    return _job(await asked.services.jobs.get(job))


@router.get("/audit", operation_id="searchAudit")
async def search_audit(
    asked: Asked,
    wanted: Annotated[Wanted, Depends(asked_for(EVENTS))],
    actor: Text = "",
    action: Text = "",
    project: Text = "",
    repository: Text = "",
    reference: Text = "",
    digest: Text = "",
    outcome: Text = "",
    since: Instant = None,
    until: Instant = None,
) -> Page[AuditItem]:
    """Events of the audit log that match."""
    site = asked.site(Permission.AUDIT_READ)
    filtered = AuditFilter(actor, action, project, repository, reference, digest, outcome, _aware(since), _aware(until))
    part = await asked.services.audit.page(site, filtered, wanted)
    items = [AuditItem(**{name: getattr(row, name) for name in AuditItem.model_fields}) for row in part.items]
    return Page(items=items, next=part.next, total=part.total)


def _job(row: JobRow) -> JobItem:
    values = {name: getattr(row, name) for name in JobItem.model_fields}
    return JobItem(**(values | {"args": msgspec.json.decode(row.args)}))


def _aware(at: datetime | None) -> datetime | None:
    """A time without a zone is meant in UTC."""
    return at.replace(tzinfo=UTC) if at is not None and at.tzinfo is None else at
