"""What a pull meets: a verdict after the mode, in the row that every pull joins."""

from entrepot.access.model import Project
from entrepot.policy import store
from entrepot.policy.explain import explain
from entrepot.policy.model import BASELINE, SCAN, Judgement, Mode, Outcome
from entrepot.runtime.unit_of_work import Unit


def gated(judgement: Judgement, mode: Mode) -> Outcome:
    """What a pull meets. Not knowing is never silent: in monitor and warn mode it is a warning."""
    outcome = judgement.outcome
    if mode is Mode.ENFORCE or outcome in {Outcome.PASS, Outcome.PENDING}:
        return outcome
    unseen = outcome is Outcome.ERROR or any(reason.rule == SCAN for reason in judgement.reasons)
    return Outcome.WARN if mode is Mode.WARN or unseen else Outcome.PASS


async def recompute_gates(unit: Unit, project: Project) -> None:
    """All gates of *project* are those of its mode and its pipeline, once *unit* is committed."""
    await unit.serialize(*store.MODE, project.name)
    mode, _ = await store.mode_of(unit, project.id)
    await put_gates(unit, project.id, mode)


async def put_gates(unit: Unit, project_id: int, mode: Mode) -> None:
    """All gates of the project are those of *mode* and its pipeline, once *unit* is committed."""
    for repo_id, digest, judgement, each in await store.verdicts_of(unit, project_id, mode):
        await store.put_gate(unit, repo_id, digest, gated(judgement, each), explain(judgement, BASELINE, each))
