"""A damaged copy is marked, so that clients hear 404 and their next plain push brings the bytes again."""

from dataclasses import dataclass

from entrepot.catalog.model import CopySuspected
from entrepot.content import copies
from entrepot.runtime.events.model import SYSTEM
from entrepot.runtime.unit_of_work import Unit, Work


async def suspect(unit: Unit, key: str) -> None:
    """The copy *key* is not served again once *unit* is committed."""
    digest = await copies.suspect(unit, key)
    if digest is not None:
        unit.emit(CopySuspected(digest=digest, key=key, outcome="failed", reason="missing or short"))


@dataclass(frozen=True, slots=True)
class SuspectCopy:
    """Marks copies."""

    work: Work

    async def __call__(self, key: str) -> None:
        """The copy *key* is not served again."""
        async with self.work(SYSTEM) as unit:
            await suspect(unit, key)
