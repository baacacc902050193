"""A tag names again what it named before: one more move of its history, which so stays a straight line."""

from dataclasses import dataclass

from entrepot.access.model import Repository
from entrepot.access.scoped import Scoped
from entrepot.catalog import manifests, repositories, tags
from entrepot.catalog.errors import TagMoveUnknownError
from entrepot.clock import Clock
from entrepot.oci.digest import Digest
from entrepot.runtime.unit_of_work import Unit, Work


@dataclass(frozen=True, slots=True)
class Restored:
    """What the tag names now, and by its how-manieth move."""

    digest: str
    rev: int


@dataclass(frozen=True, slots=True)
class RestoreTag:
    """Moves a tag back. Who may push it may do so: it is a push of what was there."""

    work: Work
    clock: Clock

    async def __call__(self, repository: Scoped[Repository], name: str, rev: int) -> Restored:
        """The tag *name* names what its move *rev* made it name; a manifest in the trash lives again with it.

        Raises TagMoveUnknownError (also of a deletion: it named nothing), UndoImpossibleError: it is gone for good.
        """
        return await self.work.run(repository.principal.actor, lambda unit: self._restore(unit, repository, name, rev))

    async def _restore(self, unit: Unit, repository: Scoped[Repository], name: str, rev: int) -> Restored:
        now = self.clock.now()
        inside = await repositories.ensure(unit, repository, now)
        digest = await tags.named_by(unit, inside.resource.id, name, rev)
        if digest is None:
            raise TagMoveUnknownError(inside.resource.name, name, rev)
        await manifests.revive(unit, inside.resource.id, [digest])
        return Restored(digest, await tags.move(unit, inside, name, Digest.parse(digest), now))
