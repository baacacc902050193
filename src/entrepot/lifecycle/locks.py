"""Locked tags: what they name stays what they name, by whichever way somebody tries to change it."""

from dataclasses import dataclass

from entrepot.access.model import Repository
from entrepot.access.scoped import Scoped
from entrepot.catalog import repositories, tags
from entrepot.catalog.tags import TagState
from entrepot.clock import Clock
from entrepot.runtime.unit_of_work import Unit, Work


@dataclass(frozen=True, slots=True)
class LockTag:
    """Locks a tag, and unlocks it."""

    work: Work
    clock: Clock

    async def __call__(
        self, repository: Scoped[Repository], name: str, *, locked: bool, expected: TagState | None = None
    ) -> None:
        """The tag *name* is locked from now on, or no more. expected: how it must have stood, None for any way.

        Raises ManifestUnknownError: there is no such tag, StaleError.
        """

        async def change(unit: Unit) -> None:
            now = self.clock.now()
            inside = await repositories.ensure(unit, repository, now)
            await tags.lock(unit, inside, name, now if locked else None, expected)

        await self.work.run(repository.principal.actor, change)
