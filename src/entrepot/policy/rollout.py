"""Puts another mode into force: all gates of a project and its mode, in one commit."""

from dataclasses import dataclass

from entrepot.clock import Clock
from entrepot.policy import gates, store
from entrepot.policy.jobs import ApplyMode
from entrepot.policy.model import ModeChanged
from entrepot.runtime.events.model import SYSTEM
from entrepot.runtime.unit_of_work import Work


@dataclass(frozen=True, slots=True)
class PutModeIntoForce:
    """Runs `policy.apply_mode`."""

    work: Work
    clock: Clock

    async def __call__(self, job: ApplyMode) -> None:
        """The mode wanted is in force when this returns. Until the commit every pull meets the old gates."""
        async with self.work(SYSTEM) as unit:
            name = await store.project_name(unit, job.project_id)
            await unit.serialize(*store.MODE, name)
            before, wanted = await store.mode_of(unit, job.project_id)
            if wanted is None:
                return
            await gates.put_gates(unit, job.project_id, wanted)
            await store.put_mode(unit, job.project_id, wanted, None, self.clock.now())
            unit.emit(ModeChanged(project=name, before=before.value, mode=wanted.value))
