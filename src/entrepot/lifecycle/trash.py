"""The trash: what lies in it, taking it back, and having it gone before its time, which takes two people."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from entrepot.access.authorize import authorize
from entrepot.access.errors import PermissionDeniedError, ProjectHiddenError
from entrepot.access.model import Permission, Principal, Project, Repository, Site
from entrepot.access.scoped import Scoped
from entrepot.catalog import blobs, closure, manifests, operations, repositories, tags
from entrepot.catalog.errors import OperationOverError, OperationUnknownError, UndoImpossibleError
from entrepot.catalog.operations import Deletion, Kind, Operation
from entrepot.catalog.pipelines import pipeline_of
from entrepot.clock import Clock
from entrepot.lifecycle.jobs import Collect
from entrepot.lifecycle.model import OperationUndone, PromotionItem, PurgeConfirmed, PurgeRequested
from entrepot.lifecycle.promote import check_verdict
from entrepot.oci.digest import Digest
from entrepot.runtime.unit_of_work import Unit, Work

CONFIRM_WITHIN: Final = timedelta(hours=24)
"""How long a wish to purge waits for a second person."""


@dataclass(frozen=True, slots=True)
class Undone:
    """What is there again. taken: tags that name something else by now, which they go on to do."""

    operation: str
    manifests: int
    tags: tuple[str, ...]
    taken: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Undo:
    """Takes operations back, whole or not at all."""

    work: Work
    clock: Clock

    async def __call__(self, principal: Principal, id_: str) -> Undone:
        """What the operation *id_* took is there again.

        Raises OperationUnknownError (also for who may not undo it), OperationOverError, UndoImpossibleError,
        PromotionBlockedError: a tag of a stage behind the first would name again what could not be promoted to it now.
        A repository or project comes back as it was, or one image would keep all others away: pulls ask the verdict.
        """
        return await self.work.run(principal.actor, lambda unit: self._undo(unit, principal, id_))

    async def rehearse(self, principal: Principal, id_: str) -> Undone:
        """What the same would bring back, or raise, and nothing is changed."""
        return await self.work.rehearse(principal.actor, lambda unit: self._undo(unit, principal, id_))

    async def _undo(self, unit: Unit, principal: Principal, id_: str) -> Undone:
        now = self.clock.now()
        operation = await operations.locked(unit, id_)
        place = await allowed(unit, principal, operation)
        check_undo(operation, now)
        match operation.kind:
            case Kind.TAG | Kind.MANIFEST | Kind.REFERRER:
                undone = await self._manifests(unit, place, operation, now)
            case Kind.BLOB:
                undone = await self._blob(unit, place, operation)
            case Kind.REPOSITORY:
                await repositories.bring_back(unit, operation)
                undone = Undone(id_, 0, (), ())
            case Kind.PROJECT:
                await repositories.bring_back_project(unit, operation)
                undone = Undone(id_, 0, (), ())
        await operations.mark_undone(unit, id_, now)
        unit.emit(
            OperationUndone(
                project=operation.project,
                repository=operation.repository,
                reference=operation.reference,
                operation=id_,
                kind=operation.kind.value,
                manifests=undone.manifests,
                tags=undone.tags,
                taken=undone.taken,
            )
        )
        return undone

    async def _manifests(
        self, unit: Unit, place: Scoped[Repository] | None, operation: Operation, now: datetime
    ) -> Undone:
        """Manifests and tags; a tag's manifest lives again with it, if another operation deleted that one."""
        if place is None:
            raise UndoImpossibleError(f"{operation.repository} is not there: undo its own deletion first")
        repo_id = place.resource.id
        named = await tags.deleted_by(unit, repo_id, operation.id)
        mine = [digest for owner, digest in await manifests.deleted_by(unit, operation.id) if owner == repo_id]
        if not named and not mine:
            raise UndoImpossibleError(f"nothing of it is left in {operation.repository}")
        revived = await manifests.revive(unit, repo_id, [*mine, *named.values()])
        moved, taken = await tags.bring_back(unit, place, operation.id, now)
        if operation.kind is Kind.TAG and taken:
            raise UndoImpossibleError(f"the tag {taken[0]} is there again: delete it first", taken)
        await _check_stage(unit, place.resource, {named[each] for each in moved})
        return Undone(operation.id, len(revived), tuple(moved), tuple(taken))

    async def _blob(self, unit: Unit, place: Scoped[Repository] | None, operation: Operation) -> Undone:
        missing = [operation.reference]
        if place is not None:
            missing = await blobs.show(unit, place.resource.id, missing)
        if missing:
            raise UndoImpossibleError(f"{missing[0]} is gone for good: push it again", missing)
        return Undone(operation.id, 0, (), ())


@dataclass(frozen=True, slots=True)
class Purge:
    """Ends trash before its time: one person asks, another confirms."""

    work: Work
    clock: Clock

    async def request(self, site: Scoped[Site], id_: str) -> str:
        """The wish that the trash of the operation *id_* be gone at once; what somebody else is to confirm.

        Raises OperationUnknownError, OperationOverError.
        """

        async def change(unit: Unit) -> str:
            now = self.clock.now()
            operation = await operations.locked(unit, id_)
            check_request(operation, now)
            where = {"project": operation.project, "repository": operation.repository}
            when = Deletion(now, now + CONFIRM_WITHIN)
            new = await operations.begin(unit, Kind.PURGE, when, **where, reference=id_)
            unit.emit(PurgeRequested(**where, operation=id_, request=new))
            return new

        return await self.work.run(site.principal.actor, change)

    async def confirm(self, site: Scoped[Site], request: str) -> str:
        """The operation that *request* names is purged: its bytes are removed by the next run of the collector.

        Raises OperationUnknownError, OperationOverError: over, or the very person who asked.
        """

        async def change(unit: Unit) -> str:
            now = self.clock.now()
            wish = await operations.locked(unit, request)
            check_confirmation(wish, unit.by.name, now)
            operation = await operations.locked(unit, wish.reference)
            check_open(operation, now)
            await operations.mark_purged(unit, wish.id, now)
            await operations.end_trash(unit, operation.id, now)
            where = {"project": operation.project, "repository": operation.repository}
            unit.emit(PurgeConfirmed(**where, operation=operation.id, request=request, by=wish.actor))
            unit.enqueue(Collect())
            return operation.id

        return await self.work.run(site.principal.actor, change)


def check_open(operation: Operation, now: datetime) -> None:
    """Raises OperationOverError if *operation* is over at *now*."""
    if operation.undone_at is not None:
        raise OperationOverError(f"undone already, by {operation.undone_by}")
    if operation.purged_at is not None or operation.undo_until <= now:
        raise OperationOverError("its time is over")


def check_undo(operation: Operation, now: datetime) -> None:
    """Raises OperationOverError unless *operation* can be undone at *now*, by who may."""
    check_open(operation, now)
    if operation.kind is Kind.PURGE:
        raise OperationOverError("a wish to purge takes nothing away: let it expire, or another admin confirms it")


def check_request(operation: Operation, now: datetime) -> None:
    """Raises OperationOverError unless somebody may ask for the purge of *operation* at *now*."""
    check_open(operation, now)
    if operation.kind is Kind.PURGE:
        raise OperationOverError("this is a wish to purge already: another admin confirms it")


def check_confirmation(wish: Operation, by: str, now: datetime) -> None:
    """Lets pass what the person called *by* may confirm at *now*.

    Raises OperationUnknownError: no wish to purge; OperationOverError: it is over, or his own.
    """
    check_open(wish, now)
    if wish.kind is not Kind.PURGE:
        raise OperationUnknownError
    if wish.actor == by:
        raise OperationOverError("whoever asked for a purge can't confirm it: that takes a second admin")


async def allowed(unit: Unit, principal: Principal, operation: Operation) -> Scoped[Repository] | None:
    """The repository of *operation*, None if it is not there; for who may delete there.

    Raises OperationUnknownError for everybody else.
    """
    try:
        if operation.kind is Kind.PROJECT:
            authorize(principal, Permission.REPO_DELETE, Site())
            return None
        owner = await repositories.project_named(unit, operation.project)
        if owner is None:
            raise OperationUnknownError
        authorize(principal, Permission.REPO_DELETE, owner)
        return await _repository(unit, principal, operation, owner)
    except (PermissionDeniedError, ProjectHiddenError):
        raise OperationUnknownError from None


async def _check_stage(unit: Unit, place: Repository, digests: Iterable[str]) -> None:
    """Tags of *place* may name *digests* again; behind the first stage by the verdict of now, as at a promotion."""
    pipeline = await pipeline_of(unit, place.project.id)
    if pipeline.protects(place.name):
        for digest in sorted(digests):
            members = await closure.closure(unit, place.id, Digest.parse(digest))
            item = PromotionItem(digest, digest, ())
            await check_verdict(unit, place, item, members, pipeline.position(place.name).stage.name)


async def _repository(
    unit: Unit, principal: Principal, operation: Operation, owner: Project
) -> Scoped[Repository] | None:
    for repo_id in await repositories.named(unit, operation.repository):
        return authorize(principal, Permission.REPO_DELETE, Repository(repo_id, operation.repository, owner))
    return None
