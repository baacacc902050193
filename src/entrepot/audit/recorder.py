"""Records each event in the transaction of the change it tells of."""

from dataclasses import dataclass

from entrepot.audit import store
from entrepot.clock import Clock
from entrepot.runtime.events.model import Event
from entrepot.runtime.unit_of_work import Unit


@dataclass(frozen=True, slots=True)
class Recorder:
    """A listener of every unit of work."""

    clock: Clock

    async def __call__(self, unit: Unit, event: Event) -> None:
        """*event* is in the log if and only if *unit* is committed."""
        await store.add(unit, store.row_of(unit.by, event, self.clock.now()))
