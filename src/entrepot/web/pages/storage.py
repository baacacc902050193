"""Page: what the whole store holds, and whether its listing and what is known agree."""

from typing import Any, Final

from starlette.responses import Response

from entrepot.access.model import Permission
from entrepot.audit.queries import AuditFilter
from entrepot.lifecycle.model import StorageChecked
from entrepot.web.pages.visit import Visit, action, page


async def show_storage(visit: Visit) -> Response:
    """The bytes of the store by what holds them, and the newest comparison."""
    visit.context.site(Permission.SYSTEM_READ)
    refused = visit.refused(Permission.AUDIT_READ)
    checks: list[Any] = []
    if not refused:
        site = visit.context.site(Permission.AUDIT_READ)
        checks = await visit.services.audit(site, AuditFilter(action=StorageChecked.ACTION), None, 1)
    return visit.page(
        "storage.html",
        storage=await visit.services.storage_gauge(),
        check=checks[0] if checks else None,
        refused=refused,
        purge_refused=visit.refused(Permission.TRASH_PURGE),
    )


async def check(visit: Visit) -> Response:
    """Compares the store's listing with what is known, by a job."""
    await visit.services.request_work.check(visit.context.site(Permission.SYSTEM_READ))
    return visit.go("/storage", "requested")


async def collect(visit: Visit) -> Response:
    """Removes what is due now, by a job."""
    await visit.services.request_work.collect(visit.context.site(Permission.TRASH_PURGE))
    return visit.go("/storage", "requested")


ROUTES: Final = (
    page("/storage", show_storage),
    action("/storage/check", check),
    action("/storage/collect", collect),
)
