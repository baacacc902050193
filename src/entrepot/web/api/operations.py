"""Endpoints: feeds, jobs and the audit log."""

from datetime import UTC, datetime
from typing import Annotated

import msgspec
from fastapi import APIRouter, Query
from starlette.requests import Request as HttpRequest

from entrepot.access.model import Permission
from entrepot.audit.queries import AuditFilter
from entrepot.content.errors import BodyTooLargeError
from entrepot.runtime.jobs.model import JobRow
from entrepot.web.api.context import AfterId, Asked, Limit
from entrepot.web.api.schemas import AuditItem, FeedItem, FeedReceived, JobItem, Page
from entrepot.web.request import Request

router = APIRouter(tags=["operations"])
Text = Annotated[str, Query(max_length=255)]


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
async def list_feeds(asked: Asked) -> Page[FeedItem]:
    """The feeds in force."""
    asked.site(Permission.SYSTEM_READ)
    rows = await asked.services.scans.feeds()
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
            for row in rows
        ]
    )


@router.get("/jobs", operation_id="listJobs")
async def list_jobs(
    asked: Asked, state: Text = "", name: Text = "", after: AfterId = None, limit: Limit = 100
) -> Page[JobItem]:
    """Jobs, newest first."""
    asked.site(Permission.SYSTEM_READ)
    items = [_job(row) for row in await asked.services.jobs.page(state, name, after, limit)]
    return Page(items=items, next=items[-1].id if len(items) == limit else None)


@router.get("/jobs/{job}", operation_id="getJob")
async def get_job(asked: Asked, job: str) -> JobItem:
    """One job."""
    asked.site(Permission.SYSTEM_READ)
    return _job(await asked.services.jobs.get(job))


@router.get("/audit", operation_id="searchAudit")
async def search_audit(
    asked: Asked,
    actor: Text = "",
    action: Text = "",
    project: Text = "",
    repository: Text = "",
    reference: Text = "",
    digest: Text = "",
    outcome: Text = "",
    since: datetime | None = None,
    until: datetime | None = None,
    after: AfterId = None,
    limit: Limit = 100,
) -> Page[AuditItem]:
    """Events of the audit log that match, newest first."""
    site = asked.site(Permission.AUDIT_READ)
    wanted = AuditFilter(actor, action, project, repository, reference, digest, outcome, _aware(since), _aware(until))
    rows = await asked.services.audit(site, wanted, after, limit)
    items = [AuditItem(**{name: getattr(row, name) for name in AuditItem.model_fields}) for row in rows]
    return Page(items=items, next=items[-1].id if len(items) == limit else None)


def _job(row: JobRow) -> JobItem:
    values = {name: getattr(row, name) for name in JobItem.model_fields}
    return JobItem(**(values | {"args": msgspec.json.decode(row.args)}))


def _aware(at: datetime | None) -> datetime | None:
    """A time without a zone is meant in UTC."""
    return at.replace(tzinfo=UTC) if at is not None and at.tzinfo is None else at
