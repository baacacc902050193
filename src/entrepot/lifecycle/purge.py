"""The end of the trash: what an operation took can't come back any more, and is handed to the collector."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from entrepot.catalog import garbage, manifests, operations, repositories, reviews
from entrepot.catalog.operations import Kind, Operation
from entrepot.clock import Clock
from entrepot.content import copies
from entrepot.lifecycle.model import OperationPurged
from entrepot.runtime.events.model import SYSTEM
from entrepot.runtime.unit_of_work import Unit, Work

OPERATIONS: Final = 50
ROWS: Final = 500


@dataclass(frozen=True, slots=True)
class EndTrash:
    """Ends operations whose time is over: reviews first, the mark last, so that a crash between forgets nothing."""

    work: Work
    clock: Clock

    async def __call__(self) -> int:
        """Every operation that is due; how many."""
        ended = 0
        while due := await self.work.run(SYSTEM, lambda unit: operations.overdue(unit, self.clock.now(), OPERATIONS)):
            for each in due:
                await self._over(each)
            ended += len(due)
        return ended

    async def _over(self, operation: Operation) -> None:
        at_once = await self.work.run(SYSTEM, lambda unit: operations.is_purge_confirmed(unit, operation))
        cause = reviews.PURGE_NOW if at_once else "purged"
        if operation.kind in {Kind.REPOSITORY, Kind.PROJECT}:
            for repo_id in await self.work.run(SYSTEM, lambda unit: repositories.deleted_by(unit, operation.id)):
                await self._whole(repo_id, cause)
        await self.work.run(SYSTEM, lambda unit: self._end(unit, operation, cause, self.clock.now()))

    async def _end(self, unit: Unit, operation: Operation, cause: str, now: datetime) -> None:
        now_locked = await operations.locked(unit, operation.id)
        if now_locked.purged_at is not None or now_locked.undone_at is not None:
            return
        if operation.kind in {Kind.MANIFEST, Kind.REFERRER}:
            places = await manifests.deleted_by(unit, operation.id)
            await reviews.ask(unit, reviews.Kind.MANIFEST, places, now, cause)
        if operation.kind is Kind.BLOB and cause == reviews.PURGE_NOW:
            for repo_id in await repositories.named(unit, operation.repository):
                await reviews.ask(unit, reviews.Kind.LINK, [(repo_id, operation.reference)], now, cause)
            await copies.purge_now(unit, [operation.reference], now)
        await operations.mark_purged(unit, operation.id, now)
        if operation.kind is not Kind.PURGE:
            where = {"project": operation.project, "repository": operation.repository}
            unit.emit(
                OperationPurged(
                    **where, reference=operation.reference, operation=operation.id, kind=operation.kind.value
                )
            )

    async def _whole(self, repo_id: int, cause: str) -> None:
        """Reviews for all that a repository has, in units of a few hundred rows."""
        place: tuple[str, str] | None = ("", "")
        while place is not None:
            after = place
            place = await self.work.run(
                SYSTEM,
                lambda unit: garbage.ask_for_repository(unit, repo_id, after, ROWS, cause, self.clock.now()),  # noqa: B023
            )
