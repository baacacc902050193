"""Pages: the board of promotions, one of them, and asking for one."""

from collections.abc import Mapping
from typing import Final
from urllib.parse import quote

from starlette.responses import Response

from entrepot.access.authorize import authorize, visible_projects
from entrepot.access.model import Permission, Project
from entrepot.errors import DeniedError, InvalidError, NotFoundError
from entrepot.lifecycle.model import Promotion, PromotionState
from entrepot.lifecycle.promote import Wish
from entrepot.lifecycle.promotion_lists import PROMOTIONS
from entrepot.policy.model import Judgement, Outcome
from entrepot.policy.promotion import is_served
from entrepot.web.pages.lists import Act, Bulk, Column, Shown, answer, listed
from entrepot.web.pages.several import Question, Thing, chosen, done, foreseen, tried
from entrepot.web.pages.visit import Visit, action, page

WAITING: Final = f"state={PromotionState.WAITING.value}"
OVER: Final = "it is over"
REJECTED: Final = "is rejected"
EXECUTED: Final = "is executed"
MAX_REASON: Final = 1_000


def promotion_address(promotion: Promotion) -> str:
    """The page of *promotion*."""
    return f"/promotions/{promotion.id}"


async def next_stages(visit: Visit, repository: str) -> tuple[str, list[str]]:
    """The stage that the repository of that whole name is in, and those it leads to."""
    project = await visit.context.project(Permission.REPO_READ, repository.partition("/")[0])
    pipeline = await visit.services.promotions.pipeline(project)
    here = pipeline.position(repository).stage.name
    return here, [move.target for move in pipeline.moves if move.source == here]


COLUMNS: Final[tuple[Column[Promotion], ...]] = (
    Column("references", "What", lambda row: [item.reference for item in row.items], Shown.DIGEST, promotion_address),
    Column("source", "From", lambda row: row.source, link=lambda row: f"/repositories/{quote(row.source)}"),
    Column("stage", "To stage", lambda row: row.stage),
    Column("state", "State", lambda row: row.state.value, Shown.BADGE),
    Column("approvals", "Approvals", lambda row: f"{len(row.approvals)} of {row.needed}"),
    Column("actor", "Asked by", lambda row: row.actor),
    Column("at", "Asked", lambda row: row.at, Shown.TIME),
    Column("ended_at", "Ended", lambda row: row.ended_at, Shown.TIME, is_usual=False),
    Column("target", "Into", lambda row: row.target, is_usual=False),
    Column("id", "Promotion", lambda row: row.id, Shown.CODE, promotion_address, is_usual=False),
)
APPROVE: Final = "approve"
REJECT: Final = "reject"
CHOSEN: Final = "/promotions/chosen"
BULK: Final[Bulk[Promotion]] = Bulk(CHOSEN, lambda row: row.id, (Act(APPROVE, "Approve…"), Act(REJECT, "Reject…")))


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
        bulk=BULK,
        hint="state=waiting",
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
    verdicts = await _verdicts(visit, found)
    own = found.actor == visit.context.principal.actor.name
    return visit.page(
        "promotion.html",
        promotion=found,
        project=project.resource.name,
        verdicts={digest: outcome.value for digest, outcome in verdicts.items()},
        is_over=found.state is not PromotionState.WAITING,
        approve_refused=await _approve_refused(visit, project.resource, found, verdicts),
        reject_refused=visit.refused(Permission.PROMOTION_APPROVE, project.resource),
        withdraw_refused="" if own else f"{found.actor} asked for it",
    )


async def _verdicts(visit: Visit, promotion: Promotion) -> dict[str, Outcome]:
    """The verdicts of now on what is promoted, by digest; none where its repository is gone."""
    try:
        source = await visit.context.repository(Permission.REPO_READ, promotion.source)
    except NotFoundError:
        return {}
    return await visit.services.policy.outcomes_of(source, [item.digest for item in promotion.items])


async def _approve_refused(
    visit: Visit, project: Project, promotion: Promotion, verdicts: Mapping[str, Outcome]
) -> str:
    """Why who looks can't approve it now, as far as that shows without an attempt; empty: nothing is known against."""
    if promotion.state is not PromotionState.WAITING:
        return OVER
    try:
        approver = authorize(visit.context.principal, Permission.PROMOTION_APPROVE, project)
        await visit.services.decide_promotion.check_approver(approver, promotion.id)
    except DeniedError as error:
        return error.message
    for item in promotion.items:
        if not is_served(Judgement(verdicts.get(item.digest, Outcome.PASS))):  # what is no image has none
            return f"the verdict on {item.reference} is {verdicts[item.digest].value}, which {promotion.stage} refuses"
    return ""


async def approve(visit: Visit) -> Response:
    """Approves it; the last approval it takes executes it."""
    project, found = await visit.context.promotion(Permission.PROMOTION_APPROVE, visit.http.path_params["promotion"])
    await visit.services.decide_promotion.approve(project, found.id)
    return visit.go(promotion_address(found), "saved")


async def reject(visit: Visit) -> Response:
    """Ends it, with a reason."""
    project, found = await visit.context.promotion(Permission.PROMOTION_APPROVE, visit.http.path_params["promotion"])
    await visit.services.decide_promotion.reject(project, found.id, _reason(visit))
    return visit.go(promotion_address(found), "saved")


async def withdraw(visit: Visit) -> Response:
    """Ends it, by whoever asked."""
    project, found = await visit.context.promotion(Permission.PROMOTION_REQUEST, visit.http.path_params["promotion"])
    await visit.services.decide_promotion.withdraw(project, found.id)
    return visit.go(promotion_address(found), "saved")


async def foresee_promotions(visit: Visit) -> Response:
    """What would become of several promotions."""
    act = _act(visit.word("act"))
    results = await tried(await _things(visit), lambda each: _would_be(visit, act, each))
    return foreseen(visit, _question(act), results)


async def decide_promotions(visit: Visit) -> Response:
    """Approves or rejects several promotions, each by itself."""
    act = _act(visit.form.get("act", ""))
    reason = _reason(visit) if act == REJECT else ""

    async def decide(thing: Thing) -> str:
        project, _ = await visit.context.promotion(Permission.PROMOTION_APPROVE, thing.key)
        if act == REJECT:
            await visit.services.decide_promotion.reject(project, thing.key, reason)
            return REJECTED
        made = await visit.services.decide_promotion.approve(project, thing.key)
        if made.state is PromotionState.EXECUTED:
            return EXECUTED
        return f"has {len(made.approvals)} of {made.needed} approvals, and waits on"

    words = {REJECTED: "decided", EXECUTED: "decided"}
    return await done(visit, _question(act), await _things(visit), decide, words)


async def _things(visit: Visit) -> list[Thing]:
    """What was chosen; what one may not see keeps its id for a name, as what is not there."""
    things = []
    for id_ in chosen(visit):
        try:
            _, found = await visit.context.promotion(Permission.REPO_READ, id_)
            what = ", ".join(item.reference for item in found.items)
            things.append(Thing(id_, f"{found.source} {what} to {found.stage}", promotion_address(found)))
        except NotFoundError:
            things.append(Thing(id_, id_))
    return things


async def _would_be(visit: Visit, act: str, thing: Thing) -> str:
    project, _ = await visit.context.promotion(Permission.PROMOTION_APPROVE, thing.key)
    if act == REJECT:
        await visit.services.decide_promotion.rehearse_rejection(project, thing.key)
        return "ends, and nothing moves"
    made = await visit.services.decide_promotion.rehearse_approval(project, thing.key)
    if made.state is PromotionState.EXECUTED:
        return f"is executed: it goes to {made.target}"
    return f"has {len(made.approvals)} of {made.needed} approvals then, and waits on"


def _act(text: str) -> str:
    if text not in {APPROVE, REJECT}:
        raise InvalidError(f"{APPROVE} or {REJECT}", "act")
    return text


def _question(act: str) -> Question:
    if act == REJECT:
        return Question("Reject promotions?", "Reject", CHOSEN, act, "/promotions", asks_why=True)
    return Question("Approve promotions?", "Approve", CHOSEN, act, "/promotions", "Each is decided by itself.")


def _reason(visit: Visit) -> str:
    reason = visit.form.get("reason", "").strip()
    if not 1 <= len(reason) <= MAX_REASON:
        raise InvalidError(f"a reason of up to {MAX_REASON:,} characters: whoever asked reads it", "reason")
    return reason


ROUTES: Final = (
    page("/promotions", show_promotions),
    action("/promotions", ask),
    page(CHOSEN, foresee_promotions),
    action(CHOSEN, decide_promotions),
    page("/promotions/{promotion}", show_promotion),
    action("/promotions/{promotion}/approve", approve),
    action("/promotions/{promotion}/reject", reject),
    action("/promotions/{promotion}/withdraw", withdraw),
)
