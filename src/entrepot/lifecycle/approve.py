"""Decisions about promotions: by another person than asked for it, and than pushed it. Design: policy.md, section 9.

Invariant: an approval counts for one promotion, of exactly the digests it names, and is used up or void with it; who
gave it is a person, did not ask for it, did not push it, and has the right at the moment of the move too.
"""

from dataclasses import dataclass, replace
from typing import Final

from entrepot.access.authorize import by_role
from entrepot.access.hot import AccessReads
from entrepot.access.model import Permission, Principal, Project, Repository
from entrepot.access.scoped import Scoped
from entrepot.catalog import manifests, repositories
from entrepot.catalog.pipelines import pipeline_of
from entrepot.clock import Clock
from entrepot.lifecycle import promote, promotions
from entrepot.lifecycle.errors import (
    PromotionBlockedError,
    PromotionOverError,
    PromotionRefusedError,
    PromotionUnknownError,
)
from entrepot.lifecycle.model import Approval, Promotion, PromotionApproved, PromotionHeld, PromotionState
from entrepot.runtime.events.model import SYSTEM
from entrepot.runtime.unit_of_work import Unit, Work

PERSONS: Final = "a promotion is approved by a person: no robot does"
OTHERS: Final = "a promotion is approved by another person than asked for it: ask another admin of the project"
PUSHED: Final = "you pushed what is to be promoted: another admin of the project approves it"


@dataclass(frozen=True, slots=True)
class DecidePromotion:
    """Approves, rejects and withdraws promotions of a project."""

    work: Work
    clock: Clock
    reads: AccessReads

    async def approve(self, project: Scoped[Project], id_: str) -> Promotion:
        """The promotion with the approval of whoever *project* is handed to; executed, if it was the last it took.

        Raises PromotionUnknownError, PromotionOverError, PromotionRefusedError: he may not; PromotionBlockedError: the
        verdict does not allow it any more, nothing has moved, and all approvals are void.
        """
        return _decided(await self.work.run(project.principal.actor, lambda unit: self._approve(unit, project, id_)))

    async def rehearse_approval(self, project: Scoped[Project], id_: str) -> Promotion:
        """What the same approval would give, or raise, and nothing is changed."""
        return _decided(
            await self.work.rehearse(project.principal.actor, lambda unit: self._approve(unit, project, id_))
        )

    async def check_approver(self, project: Scoped[Project], id_: str) -> None:
        """Lets pass who can approve the promotion, as far as it depends on the person: this takes no lock.

        Raises PromotionUnknownError, PromotionRefusedError.
        """
        async with self.work.database.reading() as connection:
            unit = Unit(connection, project.principal.actor)
            found, asker = await _found(unit, project.resource, id_, lock=False)
            await _check_approver(unit, project, found, asker)

    async def reject(self, project: Scoped[Project], id_: str, reason: str) -> Promotion:
        """The promotion, which will not be. Raises PromotionUnknownError, PromotionOverError."""
        return await self.work.run(
            project.principal.actor, lambda unit: self._end(unit, project, id_, PromotionState.REJECTED, reason)
        )

    async def rehearse_rejection(self, project: Scoped[Project], id_: str) -> Promotion:
        """What a rejection would give, or raise, and nothing is changed."""
        return await self.work.rehearse(
            project.principal.actor, lambda unit: self._end(unit, project, id_, PromotionState.REJECTED, "")
        )

    async def withdraw(self, project: Scoped[Project], id_: str) -> Promotion:
        """The promotion, which its asker no longer wants. Raises PromotionRefusedError: somebody else asked for it."""
        return await self.work.run(
            project.principal.actor, lambda unit: self._end(unit, project, id_, PromotionState.WITHDRAWN, "")
        )

    async def _approve(
        self, unit: Unit, project: Scoped[Project], id_: str
    ) -> tuple[Promotion, PromotionBlockedError | None]:
        """The promotion after the approval, and what stands in its way: committed too, as approvals are void then."""
        principal = project.principal
        found, asker = await self._waiting(unit, project.resource, id_)
        source = await _source(unit, project, found)
        await _check_approver(unit, project, found, asker)
        now = self.clock.now()
        approvers = await promotions.approve(unit, id_, principal.actor.account_id or 0, now)
        unit.emit(
            PromotionApproved(
                project=project.resource.name,
                repository=found.source,
                reference=found.items[0].reference,
                digest=found.items[0].digest,
                promotion=id_,
                stage=found.stage,
                digests=tuple(item.digest for item in found.items),
            )
        )
        stale = [each for each in approvers if not await self._still_may(each, project.resource)]
        await promotions.unapprove(unit, id_, stale)
        valid = {each: name for each, name in approvers.items() if each not in stale}
        found = replace(found, approvals=tuple(Approval(name, now) for name in valid.values()))
        if len(valid) < await self._needed(unit, project.resource, found):
            return found, None
        try:
            await promote.execute(unit, principal, found, source, valid, now)
        except PromotionBlockedError as error:  # raised before anything is moved
            await promotions.unapprove(unit, id_)
            unit.emit(
                PromotionHeld(
                    project=project.resource.name,
                    repository=found.source,
                    reference=found.items[0].reference,
                    digest=found.items[0].digest,
                    outcome="denied",
                    reason=error.message,
                    promotion=id_,
                    stage=found.stage,
                )
            )
            return found, error
        return replace(found, state=PromotionState.EXECUTED, ended_at=now), None

    async def _end(
        self, unit: Unit, project: Scoped[Project], id_: str, state: PromotionState, reason: str
    ) -> Promotion:
        found, asker = await self._waiting(unit, project.resource, id_)
        if state is PromotionState.WITHDRAWN and asker != project.principal.actor.account_id:
            raise PromotionRefusedError(f"{found.actor} asked for it: only he withdraws it; entrepot promote reject")
        now = self.clock.now()
        await promotions.end(unit, id_, state, reason, now)
        promote.ended(unit, Repository(0, found.source, project.resource), found, state, reason)
        return replace(found, state=state, reason=reason, ended_at=now)

    async def _waiting(self, unit: Unit, project: Project, id_: str) -> tuple[Promotion, int]:
        """The promotion *id_* of *project*, which waits, and the account that asked for it."""
        found, asker = await _found(unit, project, id_, lock=True)
        if found.state is not PromotionState.WAITING:
            raise PromotionOverError(f"this promotion is {found.state} already")
        if promotions.expired(found.at, self.clock.now()):
            raise PromotionOverError("nobody decided this promotion in time: ask again")
        return found, asker

    async def _still_may(self, account_id: int, project: Project) -> bool:
        grants = await self.reads.grants(account_id)
        return by_role(Principal(SYSTEM, grants), Permission.PROMOTION_APPROVE, project)

    async def _needed(self, unit: Unit, project: Project, found: Promotion) -> int:
        """As many as the moves of now ask for; never fewer than when it was asked for.

        Raises PromotionOverError: the pipeline leads there no more.
        """
        pipeline = await pipeline_of(unit, project.id)
        stage = pipeline.position(found.source).stage.name
        is_back = found.source == found.target
        ways = [move for move in pipeline.moves if move.target == found.stage and (is_back or move.source == stage)]
        if not ways or pipeline.copy_of(found.source, found.stage) != found.target:
            raise PromotionOverError("the pipeline was changed, and does not lead there any more: ask again")
        return max(found.needed, *(move.approvals for move in ways))


async def _found(unit: Unit, project: Project, id_: str, *, lock: bool) -> tuple[Promotion, int]:
    """The promotion *id_* of *project*, and the account that asked for it. Raises PromotionUnknownError."""
    row = await promotions.one(unit, id_, lock=lock)
    if row is None or row[1] != project.id:
        raise PromotionUnknownError
    return row[0], row[2]


async def _check_approver(unit: Unit, project: Scoped[Project], found: Promotion, asker: int) -> None:
    actor = project.principal.actor
    if actor.kind != "person":
        raise PromotionRefusedError(PERSONS)
    if actor.account_id == asker:
        raise PromotionRefusedError(OTHERS)
    digests = [item.digest for item in found.items]
    if await manifests.pushed_by(unit, project.resource.id, actor.account_id or 0, digests):
        raise PromotionRefusedError(PUSHED)


def _decided(outcome: tuple[Promotion, PromotionBlockedError | None]) -> Promotion:
    """Raises what stands in the way."""
    found, refused = outcome
    if refused is not None:
        raise refused
    return found


async def _source(unit: Unit, project: Scoped[Project], found: Promotion) -> Repository:
    """The repository it is promoted from, whose row stays. Raises PromotionUnknownError: it is gone."""
    for repo_id in await repositories.named(unit, found.source):
        if await repositories.is_there(unit, repo_id):
            return Repository(repo_id, found.source, project.resource)
    raise PromotionUnknownError
