"""Promotion: a stage gets what another has. Rows are written and no byte is moved; the digest stays the same.

Invariant: what stands in a stage behind the first was let in by the verdict of the moment it came, and by as many other
people as the move asks for; a promotion is executed whole, with its tags, in one commit, or not at all. It holds
because nothing else may change tags there (access/authorize.py), and `execute` judges, links and moves under the locks
of one unit. Example: 1.1 was approved, then an advisory came: the last approval finds the verdict changed, is void, and
nothing has moved. Broken, `tests/contract/test_promotions.py` fails.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from entrepot.access.authorize import authorize
from entrepot.access.model import Permission, Principal, Repository
from entrepot.access.scoped import Scoped
from entrepot.catalog import closure, manifests, repositories, tags
from entrepot.catalog.errors import ManifestUnknownError
from entrepot.catalog.pipelines import pipeline_of
from entrepot.catalog.stages import Move, Pipeline, Position
from entrepot.clock import Clock
from entrepot.ids import ulid
from entrepot.lifecycle import promotions
from entrepot.lifecycle.errors import (
    NothingBeforeError,
    PromotionBlockedError,
    PromotionInvalidError,
    StageUnknownError,
)
from entrepot.lifecycle.model import (
    Promotion,
    PromotionEnded,
    PromotionExecuted,
    PromotionItem,
    PromotionRequested,
    PromotionState,
)
from entrepot.oci.digest import Digest
from entrepot.oci.manifest import Kind
from entrepot.oci.reference import check_name, check_tag
from entrepot.policy import promotion as verdicts
from entrepot.policy.jobs import Evaluate
from entrepot.policy.model import Judgement, Outcome
from entrepot.runtime.unit_of_work import Unit, Work

MAX_ITEMS: Final = 50


@dataclass(frozen=True, slots=True)
class Wish:
    """What somebody wants promoted. tags: what it is to be called; empty for the tag it is asked for by."""

    reference: str
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RequestPromotion:
    """Asks for a promotion, which is executed at once where nobody has to approve it."""

    work: Work
    clock: Clock

    async def __call__(self, source: Scoped[Repository], wishes: Sequence[Wish], stage: str) -> Promotion:
        """The promotion: executed, or waiting for approvals.

        Raises StageUnknownError, PromotionInvalidError, ManifestUnknownError, PromotionBlockedError (with what stands
        in the way, and the remedy), TagLockedError, QuotaExceededError.
        """
        return await self.work.run(source.principal.actor, lambda unit: self._ask(unit, source, wishes, stage))

    async def rehearse(self, source: Scoped[Repository], wishes: Sequence[Wish], stage: str) -> Promotion:
        """What the same request would give, or raise, and nothing is changed."""
        return await self.work.rehearse(source.principal.actor, lambda unit: self._ask(unit, source, wishes, stage))

    async def roll_back(self, target: Scoped[Repository], tag: str) -> Promotion:
        """The promotion of what *tag* named before. Raises as a request, NothingBeforeError."""
        return await self.work.run(target.principal.actor, lambda unit: self._go_back(unit, target, tag))

    async def _ask(self, unit: Unit, source: Scoped[Repository], wishes: Sequence[Wish], stage: str) -> Promotion:
        now = self.clock.now()
        inside = await repositories.ensure(unit, source, now)
        pipeline = await pipeline_of(unit, inside.resource.project.id)
        position = pipeline.position(inside.resource.name)
        move = _move(pipeline, position, stage, inside.resource.name)
        target = check_name(pipeline.copy_of(inside.resource.name, move.target))
        items = [await _item(unit, inside, wish) for wish in wishes]
        return await _open(unit, inside, target, move, items, now)

    async def _go_back(self, unit: Unit, target: Scoped[Repository], tag: str) -> Promotion:
        now = self.clock.now()
        inside = await repositories.ensure(unit, target, now)
        pipeline = await pipeline_of(unit, inside.resource.project.id)
        stage = pipeline.position(inside.resource.name).stage
        ways = [move for move in pipeline.moves if move.target == stage.name]
        if not ways:
            raise StageUnknownError(f"{inside.resource.name} is where pushes go: entrepot tag restore")
        before = await tags.named_before(unit, inside.resource.id, check_tag(tag))
        if before is None:
            raise NothingBeforeError(inside.resource.name, tag)
        await manifests.revive(unit, inside.resource.id, [before])
        strictest = max(ways, key=lambda move: move.approvals)
        return await _open(unit, inside, inside.resource.name, strictest, [PromotionItem(tag, before, (tag,))], now)


async def execute(
    unit: Unit,
    principal: Principal,
    promotion: Promotion,
    source: Repository,
    approvers: Mapping[int, str],
    now: datetime,
) -> None:
    """*promotion* is executed once *unit* is committed. source: its repository, whose row is locked.

    Raises PromotionBlockedError: the verdict of now does not allow it; and as `closure.link` and `tags.move`.
    """
    name = promotion.target
    permission = Permission.PROMOTION_APPROVE if approvers else Permission.PROMOTION_REQUEST
    wanted = authorize(principal, permission, Repository(0, name, source.project))
    # All are judged before the first is moved: whoever asked for several gets all of them, or none.
    coming = []
    for item in sorted(promotion.items, key=lambda each: each.digest):
        members = await closure.closure(unit, source.id, Digest.parse(item.digest))
        coming.append((item, members, await check_verdict(unit, source, item, members, promotion.stage)))
    place = await repositories.ensure(unit, wanted, now)
    for item, members, judged in coming:
        if place.resource.id != source.id:
            await closure.link(unit, source.id, place, members, now)
            await verdicts.judge_alike(unit, place.resource, judged, now)
        if judged:
            unit.enqueue(Evaluate(tuple(judged)))
        for tag in item.tags:
            await tags.move(unit, place, tag, Digest.parse(item.digest), now)
        unit.emit(
            PromotionExecuted(
                project=source.project.name,
                repository=name,
                reference=item.reference,
                digest=item.digest,
                promotion=promotion.id,
                source=source.name,
                stage=promotion.stage,
                tags=item.tags,
                approvers=tuple(sorted(approvers.values())),
                members=len(members),
            )
        )
    await promotions.end(unit, promotion.id, PromotionState.EXECUTED, "", now)


async def check_verdict(
    unit: Unit, source: Repository, item: PromotionItem, members: Sequence[closure.Member], stage: str
) -> dict[str, Judgement]:
    """The judgements of the images and indexes of *members*, by digest; nobody judges them until *unit* ends.

    Raises PromotionBlockedError: that of the item is none that *stage* serves.
    """
    counted = [str(each.digest) for each in members if each.document.kind is not Kind.ARTIFACT]
    judged = await verdicts.judgements(unit, source, counted)
    if item.digest not in counted:
        return judged
    judgement = judged.get(item.digest, Judgement(Outcome.PENDING))
    if verdicts.is_served(judgement):
        return judged
    mark = "@" if ":" in item.reference else ":"
    what = f"{source.name}{mark}{item.reference}"
    exactly = f"{source.name}@{item.digest}"  # the tag may name another image by now
    if judgement.outcome is Outcome.PENDING:
        raise PromotionBlockedError(f"{what} waits for its scan; then ask again: entrepot scan wait {exactly}")
    why = verdicts.why_not(judgement)
    raise PromotionBlockedError(f'{what} may not go to stage "{stage}": {why}; see: entrepot finding list {exactly}')


async def _open(
    unit: Unit,
    source: Scoped[Repository],
    target: str,
    move: Move,
    items: Sequence[PromotionItem],
    now: datetime,
) -> Promotion:
    """A promotion of *items* to *target*: executed, or waiting, if the verdicts allow it."""
    _check_items(items)
    resource, actor = source.resource, source.principal.actor
    wanted = Promotion(
        ulid(),
        resource.name,
        target,
        move.target,
        move.approvals,
        PromotionState.WAITING,
        "",
        actor.name,
        now,
        None,
        tuple(items),
        (),
    )
    await unit.serialize("promotion", target)
    await promotions.add(unit, resource.project.id, actor.account_id or 0, wanted)
    names = [tag for item in items for tag in item.tags]
    for old in await promotions.supersede(unit, target, names, wanted.id, now):
        ended(unit, resource, old, PromotionState.SUPERSEDED, f"{wanted.id} is newer")
    if not move.approvals:
        await execute(unit, source.principal, wanted, resource, {}, now)
        return replace(wanted, state=PromotionState.EXECUTED, ended_at=now)
    for item in sorted(items, key=lambda each: each.digest):
        members = await closure.closure(unit, resource.id, Digest.parse(item.digest))
        await check_verdict(unit, resource, item, members, move.target)
        await _check_tags(unit, target, item)
        unit.emit(
            PromotionRequested(
                project=resource.project.name,
                repository=resource.name,
                reference=item.reference,
                digest=item.digest,
                promotion=wanted.id,
                target=target,
                stage=move.target,
                tags=item.tags,
                needed=move.approvals,
            )
        )
    return wanted


def ended(unit: Unit, source: Repository, promotion: Promotion, state: PromotionState, reason: str) -> None:
    """Says in *unit* that *promotion* ended without a move."""
    unit.emit(
        PromotionEnded(
            project=source.project.name,
            repository=promotion.source,
            reference=promotion.items[0].reference,
            digest=promotion.items[0].digest,
            reason=reason,
            promotion=promotion.id,
            stage=promotion.stage,
            state=state.value,
        )
    )


async def _check_tags(unit: Unit, target: str, item: PromotionItem) -> None:
    """Refuses at once what a locked tag would refuse in the end. Raises TagLockedError."""
    for repo_id in await repositories.named(unit, target):
        for name in item.tags:
            await tags.check_free(unit, repo_id, name, item.digest)


async def _item(unit: Unit, source: Scoped[Repository], wish: Wish) -> PromotionItem:
    names = tuple(dict.fromkeys(check_tag(name) for name in wish.tags))
    if ":" in wish.reference:
        digest = Digest.parse(wish.reference)
        if not await manifests.is_live(unit, source, digest):
            raise ManifestUnknownError(f"{source.resource.name} has no {digest}")
        return PromotionItem(wish.reference, str(digest), names)
    named = await tags.named(unit, source, check_tag(wish.reference))
    if named is None:
        raise ManifestUnknownError(f"{source.resource.name} has no {wish.reference}")
    return PromotionItem(wish.reference, named, names or (wish.reference,))


def _check_items(items: Sequence[PromotionItem]) -> None:
    if not 1 <= len(items) <= MAX_ITEMS:
        raise PromotionInvalidError(f"a promotion takes 1 to {MAX_ITEMS} references")
    names = [tag for item in items for tag in item.tags]
    if len(set(names)) < len(names):
        raise PromotionInvalidError("two of the references would get the same tag")


def _move(pipeline: Pipeline, position: Position, stage: str, name: str) -> Move:
    move = pipeline.move(position.stage.name, stage)
    if move is None:
        ways = ", ".join(each.target for each in pipeline.moves if each.source == position.stage.name) or "nowhere"
        raise StageUnknownError(f'{name} is in stage "{position.stage.name}", which leads to: {ways}; not to {stage!a}')
    return move
