"""Pages: feeds, jobs and the audit log."""

from typing import Final

from starlette.responses import Response

from entrepot.access.model import Permission
from entrepot.audit.queries import EVENTS, AuditFilter
from entrepot.runtime.jobs.model import JOBS, JobRow
from entrepot.scanning.queries import FEEDS, FeedRow
from entrepot.web.pages.artifacts import EVENT_COLUMNS
from entrepot.web.pages.lists import Column, Shown, answer, at_hand, listed
from entrepot.web.pages.visit import Visit, page

FEED_COLUMNS: Final[tuple[Column[FeedRow], ...]] = (
    Column("source", "Source", lambda row: row.source),
    Column("records", "Records", lambda row: row.records),
    Column("covers", "Covers", lambda row: row.covers, Shown.LONG),
    Column("built_at", "Built", lambda row: row.built_at),
    Column("imported_at", "Imported", lambda row: row.imported_at, Shown.TIME),
)
JOB_COLUMNS: Final[tuple[Column[JobRow], ...]] = (
    Column("created_at", "Asked for", lambda row: row.created_at, Shown.TIME),
    Column("name", "Job", lambda row: row.name, Shown.NAME),
    Column("state", "State", lambda row: row.state, Shown.BADGE),
    Column("queue", "Queue", lambda row: row.queue),
    Column("attempts", "Tries", lambda row: row.attempts),
    Column("finished_at", "Ended", lambda row: row.finished_at, Shown.TIME),
    Column("error", "Error", lambda row: row.error, Shown.LONG),
    Column("args", "About", lambda row: row.args, Shown.STEP),
    Column("id", "Id", lambda row: row.id, Shown.CODE),
)


async def show_feeds(visit: Visit) -> Response:
    """The advisory feeds in force."""
    visit.context.site(Permission.SYSTEM_READ)
    rows = await visit.services.scans.feeds()
    lead = "Feeds come in by the command entrepot feed import FILE --source NAME, or by POST /api/v1/feeds."
    empty = "No feed yet: without one no image counts as known."
    view = await listed(visit, "Feeds", FEEDS, FEED_COLUMNS, at_hand(rows, FEEDS), empty=empty)
    return answer(visit, "list.html", view, title="Advisory feeds", lead=lead)


async def show_jobs(visit: Visit) -> Response:
    """Jobs: work that waits, runs, is done or failed."""
    visit.context.site(Permission.SYSTEM_READ)
    view = await listed(
        visit, "Jobs", JOBS, JOB_COLUMNS, lambda wanted: visit.services.jobs.listed("", "", wanted), empty="None."
    )
    return answer(visit, "list.html", view, title="Jobs", lead="")


async def show_audit(visit: Visit) -> Response:
    """The audit log, newest first."""
    site = visit.context.site(Permission.AUDIT_READ)
    view = await listed(
        visit,
        "Audit log",
        EVENTS,
        EVENT_COLUMNS,
        lambda wanted: visit.services.audit.page(site, AuditFilter(), wanted),
        empty="Nothing is on record.",
    )
    return answer(visit, "list.html", view, title="Audit log", lead="")


ROUTES: Final = (page("/feeds", show_feeds), page("/jobs", show_jobs), page("/audit", show_audit))
