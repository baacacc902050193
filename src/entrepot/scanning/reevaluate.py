"""Advisories changed: the package versions they speak of are matched again, and findings open and close.

Invariant: re-evaluation gives what a scan from nothing would give, because each name is matched against every advisory
about it, by the same function. Names wait in `rematch` until they are done, so a crash loses none.
"""

from dataclasses import dataclass
from typing import Final

from entrepot.clock import Clock
from entrepot.runtime.events.model import SYSTEM
from entrepot.runtime.unit_of_work import Work
from entrepot.scanning import store
from entrepot.scanning.index.match import match
from entrepot.scanning.jobs import FindingsChanged, Rematch

NAMES: Final = 200
IMAGES: Final = 1_000


@dataclass(frozen=True, slots=True)
class Reevaluate:
    """Runs `scan.reevaluate`."""

    work: Work
    clock: Clock

    async def __call__(self, job: Rematch) -> None:
        """Every marked name is matched when this returns."""
        del job
        more = True
        while more:
            more = await self._some()

    async def _some(self) -> bool:
        async with self.work(SYSTEM) as unit:
            names = await store.changed_names(unit, NAMES)
            if not names:
                return False
            versions = {name: await store.versions_of(unit, name) for name in names}
            held = [name for name in names if versions[name]]
            advisories = await store.advisories(unit.connection, held)
            opened = closed = 0
            touched: list[int] = []
            for name in held:
                for pv_id, version in versions[name]:
                    findings = match(*name, version, advisories.get(name, []))
                    more, fewer, changed = await store.put_findings(unit, pv_id, findings, self.clock.now())
                    opened, closed = opened + more, closed + fewer
                    touched += [pv_id] if changed else []
            images = await store.images_with(unit, touched) if touched else []
            for start in range(0, len(images), IMAGES):
                chunk = tuple(images[start : start + IMAGES])
                unit.emit(FindingsChanged(opened=opened, closed=closed, images=chunk))
            await store.unmark(unit, names)
        return True
