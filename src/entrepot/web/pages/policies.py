"""Page: the policy and, for each project, the mode in which it binds."""

from dataclasses import dataclass
from typing import Final

from starlette.responses import Response

from entrepot.access.authorize import visible_projects
from entrepot.policy.model import BASELINE, DEFAULT_MODE, Limit
from entrepot.runtime.filters import Field, Kind
from entrepot.runtime.lists import Listing
from entrepot.web.pages.lists import Column, Shown, answer, at_hand, listed
from entrepot.web.pages.visit import Visit, page

MOST_PROJECTS: Final = 10_000
POLICIES: Final = Listing(
    {
        "project": Field(Kind.TEXT),
        "policy": Field(Kind.TEXT),
        "mode": Field(Kind.TEXT),
        "wanted": Field(Kind.TEXT),
    },
    key="project",
    default="project",
)


@dataclass(frozen=True, slots=True)
class Binding:
    """How a policy binds a project. wanted: a mode that was asked for and is not in force yet."""

    project: str
    policy: str
    mode: str
    wanted: str


COLUMNS: Final[tuple[Column[Binding], ...]] = (
    Column("project", "Project", lambda row: row.project, link=lambda row: f"/projects/{row.project}"),
    Column("policy", "Policy", lambda row: row.policy),
    Column("mode", "Mode", lambda row: row.mode, Shown.BADGE),
    Column("wanted", "Asked for", lambda row: row.wanted),
)


async def show_policies(visit: Visit) -> Response:
    """What the policy allows, and how each project one sees is bound by it."""
    projects = await visit.services.catalog.projects(visible_projects(visit.context.principal), None, MOST_PROJECTS)
    modes = await visit.services.policy.modes(row.row_id for row in projects)
    rows = []
    for row in projects:
        mode, wanted = modes.get(row.row_id, (DEFAULT_MODE, None))
        rows.append(Binding(row.name, BASELINE.name, mode.value, wanted.value if wanted else ""))
    limits = "; ".join(_words(limit) for limit in BASELINE.limits)
    lead = (
        f"The policy {BASELINE.name}: {limits}. A finding without a rating counts as "
        f"{BASELINE.unknown_severity.value}. A scan that is not complete never passes. The mode of a project says what "
        "a pull of a blocked image meets; it is set on the project's page."
    )
    view = await listed(
        visit, "Policies by project", POLICIES, COLUMNS, at_hand(rows, POLICIES), empty="No project yet."
    )
    return answer(visit, "list.html", view, title="Policies", lead=lead)


def _words(limit: Limit) -> str:
    fixable = " that can be fixed" if limit.fixable else ""
    return f"at most {limit.maximum} findings of severity {limit.severity.value} or above{fixable} ({limit.id})"


ROUTES: Final = (page("/policies", show_policies),)
