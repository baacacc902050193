"""The pipeline of a project: another one counts at once, for pushes and for pulls."""

from dataclasses import dataclass

from entrepot.access.model import Project
from entrepot.access.scoped import Scoped
from entrepot.catalog.pipelines import pipeline_of, put_pipeline
from entrepot.catalog.stages import Pipeline, check_pipeline
from entrepot.lifecycle.model import PipelineChanged
from entrepot.policy.gates import recompute_gates
from entrepot.runtime.errors import StaleError
from entrepot.runtime.unit_of_work import Unit, Work


@dataclass(frozen=True, slots=True)
class SetPipeline:
    """Gives a project other stages and moves."""

    work: Work

    async def __call__(self, owner: Scoped[Project], wanted: Pipeline, expected: Pipeline | None = None) -> Pipeline:
        """The pipeline now. What waits for approvals is decided by the moves of the moment it is decided in.

        expected: what it must have been, None for any. Raises PipelineInvalidError, StaleError, ProjectUnknownError.
        """
        check_pipeline(wanted)

        async def change(unit: Unit) -> None:
            before = await pipeline_of(unit, owner.resource.id, for_change=True)
            if expected not in {None, before}:
                raise StaleError
            if before == wanted:
                return
            await put_pipeline(unit, owner.resource.id, wanted)
            await recompute_gates(unit, owner.resource, before, wanted)
            unit.emit(
                PipelineChanged(
                    project=owner.resource.name,
                    stages=tuple(stage.name for stage in wanted.stages),
                    moves=tuple(f"{move.source}>{move.target}:{move.approvals}" for move in wanted.moves),
                )
            )

        await self.work.run(owner.principal.actor, change)
        return wanted
