"""Endpoints: promotions through the stages of a project, and its pipeline."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from entrepot.access.authorize import visible_projects
from entrepot.access.model import Permission
from entrepot.catalog.stages import MAX_APPROVALS, MAX_STAGES, Move, Pipeline, Stage
from entrepot.lifecycle.model import Promotion
from entrepot.lifecycle.promote import MAX_ITEMS, Wish
from entrepot.lifecycle.promotion_lists import PROMOTIONS
from entrepot.runtime.lists import Wanted
from entrepot.web.api.conditions import IfMatch, entity_tag, expected
from entrepot.web.api.context import Asked
from entrepot.web.api.keyed import KeyedRoute
from entrepot.web.api.listed import asked_for
from entrepot.web.api.schemas import Body, Page

router = APIRouter(tags=["promotions"], route_class=KeyedRoute)
DryRun = Annotated[bool, Query(description="Whether only to say what it would be, or why not: nothing changes.")]
StageName = Annotated[str, Field(min_length=1, max_length=32)]
Text = Annotated[str, Field(min_length=1, max_length=255)]
TagName = Annotated[str, Field(min_length=1, max_length=128)]


class PromotionItemDetail(BaseModel):
    """One digest of a promotion. reference: as it was asked for; tags: those that name it in the target."""

    model_config = ConfigDict(from_attributes=True)

    reference: str
    digest: str
    tags: list[str]


class ApprovalItem(BaseModel):
    """Who approved a promotion, and when."""

    model_config = ConfigDict(from_attributes=True)

    actor: str
    at: datetime


class PromotionDetail(BaseModel):
    """Digests on their way to a stage. needed: approvals it takes; reason: why it ended, if somebody said so."""

    model_config = ConfigDict(from_attributes=True)

    id: str
    source: str
    target: str
    stage: str
    state: str
    needed: int
    reason: str
    actor: str
    at: datetime
    ended_at: datetime | None
    items: list[PromotionItemDetail]
    approvals: list[ApprovalItem]


class WishBody(Body):
    """What is to be promoted: a tag or digest. tags: what it is to be called there; empty: the tag it is asked by."""

    reference: Text
    tags: Annotated[list[TagName], Field(max_length=MAX_ITEMS, default_factory=list)]


class NewPromotionBody(Body):
    """Which references of a repository are to go to which stage: all of them, or none."""

    repository: Text
    stage: StageName
    items: Annotated[list[WishBody], Field(min_length=1, max_length=MAX_ITEMS)]


class RejectBody(Body):
    """Why it is not to be: whoever asked reads it."""

    reason: Annotated[str, Field(min_length=1, max_length=1_000)]


class StageItem(Body):
    """A stage. target: `<place>/{repository}`, where its copies stand; empty for the first, where pushes go."""

    name: StageName
    target: Annotated[str, Field(max_length=128)] = ""


class MoveItem(Body):
    """A way between two stages. approvals: how many other people have to approve it."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    source: Annotated[StageName, Field(alias="from")]
    target: Annotated[StageName, Field(alias="to")]
    approvals: Annotated[int, Field(ge=0, le=MAX_APPROVALS)] = 1


class PipelineDetail(Body):
    """The stages of a project, the first is where pushes go, and the moves between them."""

    stages: Annotated[list[StageItem], Field(min_length=1, max_length=MAX_STAGES)]
    moves: Annotated[list[MoveItem], Field(max_length=MAX_STAGES**2)]


@router.get("/promotions", operation_id="listPromotions")
async def list_promotions(
    asked: Asked, wanted: Annotated[Wanted, Depends(asked_for(PROMOTIONS))]
) -> Page[PromotionDetail]:
    """Promotions in the projects the caller has a role on; what waits: `filter=state=waiting`."""
    part = await asked.services.promotions(visible_projects(asked.principal), wanted)
    return Page(items=[_shown(each) for each in part.items], next=part.next, total=part.total)


@router.post("/promotions", operation_id="requestPromotion", status_code=201)
async def request_promotion(asked: Asked, body: NewPromotionBody, *, dry_run: DryRun = False) -> PromotionDetail:
    """Asks for a promotion: it is executed at once, or waits for its approvals; refused with the reason otherwise."""
    source = await asked.repository(Permission.PROMOTION_REQUEST, body.repository)
    wishes = [Wish(item.reference, tuple(item.tags)) for item in body.items]
    ask = asked.services.request_promotion
    return _shown(await (ask.rehearse if dry_run else ask)(source, wishes, body.stage))


@router.post("/repositories/{name:path}/-/tags/{tag}/rollback", operation_id="rollBackPromotion", status_code=201)
async def roll_back(asked: Asked, name: str, tag: str) -> PromotionDetail:
    """Asks that a tag of a protected repository name again what it named before: a promotion like any other."""
    target = await asked.repository(Permission.PROMOTION_REQUEST, name)
    return _shown(await asked.services.request_promotion.roll_back(target, tag))


@router.get("/promotions/{promotion}", operation_id="getPromotion")
async def get_promotion(asked: Asked, promotion: str) -> PromotionDetail:
    """A promotion."""
    _, found = await asked.promotion(Permission.REPO_READ, promotion)
    return _shown(found)


@router.post("/promotions/{promotion}/approve", operation_id="approvePromotion")
async def approve_promotion(asked: Asked, promotion: str) -> PromotionDetail:
    """Approves it, as another person than asked for it; the last approval it takes executes it."""
    project, _ = await asked.promotion(Permission.PROMOTION_APPROVE, promotion)
    return _shown(await asked.services.decide_promotion.approve(project, promotion))


@router.post("/promotions/{promotion}/reject", operation_id="rejectPromotion")
async def reject_promotion(asked: Asked, promotion: str, body: RejectBody) -> PromotionDetail:
    """Ends it without a move."""
    project, _ = await asked.promotion(Permission.PROMOTION_APPROVE, promotion)
    return _shown(await asked.services.decide_promotion.reject(project, promotion, body.reason))


@router.post("/promotions/{promotion}/withdraw", operation_id="withdrawPromotion")
async def withdraw_promotion(asked: Asked, promotion: str) -> PromotionDetail:
    """Ends it without a move, by whoever asked for it."""
    project, _ = await asked.promotion(Permission.PROMOTION_REQUEST, promotion)
    return _shown(await asked.services.decide_promotion.withdraw(project, promotion))


@router.get("/repositories/{name:path}/-/artifacts/{reference}/stages", operation_id="listStagesOfArtifact")
async def list_stages(asked: Asked, name: str, reference: str) -> Page[PromotionDetail]:
    """The way of a digest through the stages of its project: the promotions that moved it, the newest first."""
    artifact = await asked.artifact(Permission.REPO_READ, name, reference)
    project = await asked.project(Permission.REPO_READ, name.partition("/")[0])
    rows = await asked.services.promotions.of_digest(project, artifact.digest)
    return Page(items=[_shown(each) for each in rows], next=None)


@router.get("/projects/{project}/pipeline", operation_id="getPipeline")
async def get_pipeline(asked: Asked, project: str, response: Response) -> PipelineDetail:
    """The stages of a project."""
    scoped = await asked.project(Permission.REPO_READ, project)
    return _pipeline(await asked.services.promotions.pipeline(scoped), response)


@router.put("/projects/{project}/pipeline", operation_id="setPipeline")
async def set_pipeline(
    asked: Asked, project: str, body: PipelineDetail, response: Response, if_match: IfMatch = None
) -> PipelineDetail:
    """Gives a project other stages, at once."""
    scoped = await asked.project(Permission.PROJECT_EDIT, project)
    before = expected(if_match, await asked.services.promotions.pipeline(scoped))
    stages = tuple(Stage(stage.name, stage.target) for stage in body.stages)
    moves = tuple(Move(move.source, move.target, move.approvals) for move in body.moves)
    return _pipeline(await asked.services.set_pipeline(scoped, Pipeline(stages, moves), before), response)


def _shown(promotion: Promotion) -> PromotionDetail:
    return PromotionDetail.model_validate(promotion, from_attributes=True)


def _pipeline(pipeline: Pipeline, response: Response) -> PipelineDetail:
    response.headers["ETag"] = entity_tag(pipeline)
    return PipelineDetail(
        stages=[StageItem(name=stage.name, target=stage.target) for stage in pipeline.stages],
        moves=[
            MoveItem.model_validate({"from": move.source, "to": move.target, "approvals": move.approvals})
            for move in pipeline.moves
        ],
    )
