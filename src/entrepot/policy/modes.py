"""How strict a project is. Another mode takes effect with all its gates at once, in one commit."""

from dataclasses import dataclass

from entrepot.access.model import Project
from entrepot.access.scoped import Scoped
from entrepot.clock import Clock
from entrepot.policy import store
from entrepot.policy.model import Mode, ModeRequested
from entrepot.runtime.errors import StaleError
from entrepot.runtime.unit_of_work import Work


@dataclass(frozen=True, slots=True)
class RequestMode:
    """Asks for another mode; a worker puts it into force."""

    work: Work
    clock: Clock

    async def __call__(
        self, project: Scoped[Project], mode: Mode, expected: tuple[Mode, Mode | None] | None = None
    ) -> tuple[Mode, Mode | None]:
        """The mode now and the one wanted (None: it is in force already).

        expected: what the two must have been before, None for anything. Raises StaleError.
        """
        async with self.work(project.principal.actor) as unit:
            await unit.serialize(*store.MODE, project.resource.name)
            now, wanted = await store.mode_of(unit, project.resource.id)
            if expected not in {None, (now, wanted)}:
                raise StaleError
            if mode in {wanted, now} and (wanted is None or wanted == mode):
                return now, wanted
            await store.put_mode(unit, project.resource.id, now, mode, self.clock.now())
            event = ModeRequested(
                project=project.resource.name, project_id=project.resource.id, before=now.value, mode=mode.value
            )
            unit.emit(event)
        return now, mode
