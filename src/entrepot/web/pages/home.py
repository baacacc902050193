"""Page: what needs whoever looks at it."""

from dataclasses import dataclass
from typing import Final

from starlette.responses import Response

from entrepot.access.authorize import visible_projects
from entrepot.access.model import Permission
from entrepot.lifecycle.promotion_lists import PROMOTIONS
from entrepot.runtime.jobs.model import JobRow
from entrepot.web.pages.promotions import WAITING
from entrepot.web.pages.verdicts import why_address
from entrepot.web.pages.visit import Visit, page

MOST: Final = 20
NEARLY_FULL_PERCENT: Final = 80


@dataclass(frozen=True, slots=True)
class Blocked:
    """An image that a pull does not get, or of which too little is known; link: the page that says why."""

    outcome: str
    repository: str
    digest: str
    text: str
    link: str


@dataclass(frozen=True, slots=True)
class Full:
    """A project that keeps much of what it may, in bytes."""

    name: str
    used: int
    limit: int
    percent: int


async def show_home(visit: Visit) -> Response:
    """Images that are refused, promotions that wait, jobs that failed, projects that are nearly full."""
    ids, services = visible_projects(visit.context.principal), visit.services
    blocked = [
        Blocked(each.outcome.value, each.repository, each.digest, each.text, why_address(each.repository, each.digest))
        for each in await services.policy.blocked(ids, MOST)
    ]
    full = [
        Full(name, used, limit, 100 * used // limit if limit else 100)
        for name, used, limit in await services.catalog.nearly_full(ids, NEARLY_FULL_PERCENT, MOST)
    ]
    waiting = await services.promotions(ids, PROMOTIONS.wanted(visit.context.now, where=WAITING, sort="id", limit=MOST))
    jobs_refused = visit.refused(Permission.SYSTEM_READ)
    jobs: list[JobRow] = [] if jobs_refused else await services.jobs.page("failed", None, None, MOST)
    return visit.page(
        "home.html",
        blocked=blocked,
        full=full,
        jobs=jobs,
        jobs_refused=jobs_refused,
        waiting=waiting.items,
        is_empty=not await services.catalog.projects(ids, None, 1),
        create_refused=visit.refused(Permission.PROJECT_CREATE),
    )


ROUTES: Final = (page("/home", show_home),)
