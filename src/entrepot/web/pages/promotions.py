"""Pages: the board of promotions, one of them, and asking for one."""

from typing import Final
from urllib.parse import quote

from starlette.responses import Response

from entrepot.access.authorize import visible_projects
from entrepot.access.model import Permission
from entrepot.errors import InvalidError
from entrepot.lifecycle.approve import OTHERS
from entrepot.lifecycle.model import Promotion, PromotionState
from entrepot.lifecycle.promote import Wish
from entrepot.lifecycle.promotion_lists import PROMOTIONS
from entrepot.web.pages.lists import Column, Shown, answer, listed
from entrepot.web.pages.visit import Visit, action, page

WAITING: Final = f"state={PromotionState.WAITING.value}"
OVER: Final = "it is over"


def promotion_address(promotion: Promotion) -> str:
    """The page of *promotion*."""
    return f"/promotions/{promotion.id}"


COLUMNS: Final[tuple[Column[Promotion], ...]] = (
    Column("id", "Promotion", lambda row: row.id, Shown.CODE, promotion_address),
    Column("state", "State", lambda row: row.state.value, Shown.BADGE),
    Column("source", "From", lambda row: row.source, Shown.NAME, lambda row: f"/repositories/{quote(row.source)}"),
    Column("references", "What", lambda row: [item.reference for item in row.items]),
    Column("stage", "To", lambda row: row.stage, Shown.NAME),
    Column("approvals", "Approvals", lambda row: f"{len(row.approvals)} of {row.needed}"),
    Column("actor", "Asked by", lambda row: row.actor, Shown.NAME),
    Column("at", "Since", lambda row: row.at, Shown.TIME),
)


async def show_promotions(visit: Visit) -> Response:
    """The board: what waits, and what was decided."""
    ids = visible_projects(visit.context.principal)
    view = await listed(
        visit,
        "Promotions",
        PROMOTIONS,
        COLUMNS,
        lambda wanted: visit.services.promotions(ids, wanted),
        empty="No promotion yet: ask for one below.",
    )
    return answer(visit, "promotions.html", view, waiting=f"?filter={quote(WAITING)}")


async def ask(visit: Visit) -> Response:
    """Asks for a promotion."""
    name, reference, stage = (visit.form.get(field, "").strip() for field in ("repository", "reference", "stage"))
    if not reference:
        raise InvalidError("a tag or a digest", "reference")
    source = await visit.context.repository(Permission.PROMOTION_REQUEST, name)
    made = await visit.services.request_promotion(source, [Wish(reference)], stage)
    return visit.go(promotion_address(made), "saved")


async def show_promotion(visit: Visit) -> Response:
    """One promotion, and what can be done about it."""
    project, found = await visit.context.promotion(Permission.REPO_READ, visit.http.path_params["promotion"])
    own = found.actor == visit.context.principal.actor.name
    over = OVER if found.state is not PromotionState.WAITING else ""
    decide = over or visit.refused(Permission.PROMOTION_APPROVE, project.resource)
    return visit.page(
        "promotion.html",
        promotion=found,
        approve_refused=decide or (OTHERS if own else ""),
        reject_refused=decide,
        withdraw_refused=over or ("" if own else f"{found.actor} asked for it"),
    )


async def approve(visit: Visit) -> Response:
    """Approves it; the last approval it takes executes it."""
    project, found = await visit.context.promotion(Permission.PROMOTION_APPROVE, visit.http.path_params["promotion"])
    await visit.services.decide_promotion.approve(project, found.id)
    return visit.go(promotion_address(found), "saved")


async def reject(visit: Visit) -> Response:
    """Ends it, with a reason."""
    project, found = await visit.context.promotion(Permission.PROMOTION_APPROVE, visit.http.path_params["promotion"])
    reason = visit.form.get("reason", "").strip()
    if not 1 <= len(reason) <= 1_000:
        raise InvalidError("a reason of up to 1,000 characters: whoever asked reads it", "reason")
    await visit.services.decide_promotion.reject(project, found.id, reason)
    return visit.go(promotion_address(found), "saved")


async def withdraw(visit: Visit) -> Response:
    """Ends it, by whoever asked."""
    project, found = await visit.context.promotion(Permission.PROMOTION_REQUEST, visit.http.path_params["promotion"])
    await visit.services.decide_promotion.withdraw(project, found.id)
    return visit.go(promotion_address(found), "saved")


ROUTES: Final = (
    page("/promotions", show_promotions),
    action("/promotions", ask),
    page("/promotions/{promotion}", show_promotion),
    action("/promotions/{promotion}/approve", approve),
    action("/promotions/{promotion}/reject", reject),
    action("/promotions/{promotion}/withdraw", withdraw),
)
