"""Page: the policy and, for each project, the mode in which it binds."""

from typing import Final

from starlette.responses import Response

from entrepot.access.authorize import visible_projects
from entrepot.policy.model import BASELINE, Limit
from entrepot.policy.queries import BINDINGS, Binding
from entrepot.scanning.model import Severity
from entrepot.web.pages.lists import Column, Shown, answer, listed
from entrepot.web.pages.look import counted
from entrepot.web.pages.visit import Visit, page

COLUMNS: Final[tuple[Column[Binding], ...]] = (
    Column("project", "Project", lambda row: row.project, link=lambda row: f"/projects/{row.project}/settings"),
    Column("policy", "Policy", lambda row: row.policy),
    Column("mode", "Mode", lambda row: row.mode, Shown.BADGE),
    Column("wanted", "Asked for", lambda row: row.wanted),
)


async def show_policies(visit: Visit) -> Response:
    """What the policy allows, and how each project one sees is bound by it."""
    ids = visible_projects(visit.context.principal)
    view = await listed(
        visit,
        "Policies by project",
        BINDINGS,
        COLUMNS,
        lambda wanted: visit.services.policy.bindings(ids, wanted),
        empty="No project yet.",
        hint="mode=monitor",
    )
    unknown = BASELINE.unknown_severity.value
    limits = [_words(limit) for limit in BASELINE.limits]
    return answer(visit, "policies.html", view, policy=BASELINE.name, limits=limits, unknown=unknown)


def _words(limit: Limit) -> str:
    fixable = " that can be fixed" if limit.fixable else ""
    above = "" if limit.severity is max(Severity, key=lambda each: each.rank) else " or above"
    return f"{limit.id}: {counted(limit.maximum, 'finding')} of severity {limit.severity.value}{above}{fixable}"


ROUTES: Final = (page("/policies", show_policies),)
