"""Pages: feeds, jobs and the audit log."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any, Final

import msgspec
from starlette.responses import Response

from entrepot.access.model import Permission
from entrepot.audit.queries import EVENTS, AuditFilter
from entrepot.content.errors import BodyTooLargeError
from entrepot.runtime.jobs.model import JOBS, JobRow
from entrepot.scanning.queries import FEEDS, FeedRow
from entrepot.web.pages.artifacts import EVENT_COLUMNS
from entrepot.web.pages.lists import Column, Shown, answer, at_hand, listed
from entrepot.web.pages.visit import Visit, page, upload

FORM: Final = 4_096
"""So much a form may have around its file."""
MOST_SHOWN: Final = 3
PLAIN: Final = frozenset({"digest", "name", "repository", "project", "source"})
"""What speaks for itself, without the name of the field."""

FEED_COLUMNS: Final[tuple[Column[FeedRow], ...]] = (
    Column("source", "Source", lambda row: row.source),
    Column("records", "Records", lambda row: row.records),
    Column("covers", "Covers", lambda row: row.covers, Shown.LONG),
    Column("built_at", "Built", lambda row: _built(row.built_at), Shown.TIME),
    Column("imported_at", "Imported", lambda row: row.imported_at, Shown.TIME),
)
JOB_COLUMNS: Final[tuple[Column[JobRow], ...]] = (
    Column("created_at", "Asked for", lambda row: row.created_at, Shown.TIME),
    Column("name", "Job", lambda row: row.name),
    Column("args", "About", lambda row: _about(row.args), Shown.DIGEST),
    Column("state", "State", lambda row: row.state, Shown.BADGE),
    Column("attempts", "Tries", lambda row: row.attempts),
    Column("finished_at", "Ended", lambda row: row.finished_at, Shown.TIME),
    Column("error", "Error", lambda row: row.error, Shown.LONG),
    Column("queue", "Queue", lambda row: row.queue, is_usual=False),
    Column("id", "Id", lambda row: row.id, Shown.CODE, is_usual=False),
)


async def show_feeds(visit: Visit) -> Response:
    """The advisory feeds in force, and a form for another."""
    visit.context.site(Permission.SYSTEM_READ)
    rows = await visit.services.scans.feeds()
    empty = "No feed yet: without one no image counts as known. Import one below."
    view = await listed(visit, "Feeds", FEEDS, FEED_COLUMNS, at_hand(rows, FEEDS), empty=empty)
    refused = visit.refused(Permission.SCAN_CONFIGURE)
    return answer(visit, "feeds.html", view, refused=refused, largest=visit.services.limits.feed_body_bytes)


def check_feed(visit: Visit) -> None:
    """Lets pass who may import feeds, and what is not too large. Raises PermissionDeniedError, BodyTooLargeError."""
    visit.context.site(Permission.SCAN_CONFIGURE)
    largest = visit.services.limits.feed_body_bytes
    if (visit.own.length() or 0) > largest + FORM:
        raise BodyTooLargeError(largest)


async def import_feed(visit: Visit, file: AsyncIterator[bytes]) -> Response:
    """Takes a feed; a job brings it into force."""
    site = visit.context.site(Permission.SCAN_CONFIGURE)
    force = visit.form.get("force") == "yes"
    job = await visit.services.receive_feed(site, file, visit.form.get("source", "").strip(), force=force)
    return visit.go(f"/jobs?filter=id%3D{job}", "requested")


async def show_jobs(visit: Visit) -> Response:
    """Jobs: work that waits, runs, is done or failed."""
    visit.context.site(Permission.SYSTEM_READ)
    view = await listed(
        visit,
        "Jobs",
        JOBS,
        JOB_COLUMNS,
        lambda wanted: visit.services.jobs.listed("", "", wanted),
        empty="No job is on record: those that ended well are kept for a day.",
        hint="state=failed",
    )
    lead = "What waits, runs, ended or failed: scans, verdicts, feeds, and what the trash lets go of."
    return answer(visit, "list.html", view, title="Jobs", lead=lead)


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
        hint="actor=admin and at<1d",
    )
    lead = "Who did what, when, and how it ended."
    return answer(visit, "list.html", view, title="Audit log", lead=lead)


def _about(args: str) -> list[str]:
    """What a job is about, as people read it: digests and names, of long lists the first; nothing that is not set."""
    found: list[str] = []
    for name, value in sorted(msgspec.json.decode(args, type=dict[str, Any]).items()):
        if isinstance(value, list):
            more = len(value) - MOST_SHOWN
            found += [str(each) for each in value[:MOST_SHOWN]] + ([f"{more} more"] if more > 0 else [])
        elif value is True:
            found.append(name)
        elif value not in {None, False, ""}:
            found.append(str(value) if name in PLAIN else f"{name} {value}")
    return found


def _built(text: str) -> datetime | str:
    """When a feed was built, which it says itself: a time, if it is one."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return text
    return at if at.tzinfo is not None else at.replace(tzinfo=UTC)


ROUTES: Final = (
    page("/feeds", show_feeds),
    upload("/feeds/import", check_feed, import_feed),
    page("/jobs", show_jobs),
    page("/audit", show_audit),
)
