"""A damaged copy is marked, so that clients hear 404 and their next plain push brings the bytes again."""

from dataclasses import dataclass

from entrepot.catalog import blobs
from entrepot.runtime.events.model import SYSTEM
from entrepot.runtime.unit_of_work import Work


@dataclass(frozen=True, slots=True)
class SuspectCopy:
    """Marks copies."""

    work: Work

    async def __call__(self, key: str) -> None:
        """The copy *key* is not served again."""
        async with self.work(SYSTEM) as unit:
            await blobs.suspect(unit, key, "missing or short")
