"""What a pull meets: a verdict after the mode, in the row that every pull joins."""

from entrepot.access.model import Project
from entrepot.catalog.stages import Pipeline
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


async def recompute_gates(unit: Unit, project: Project, before: Pipeline, after: Pipeline) -> None:
    """The gates of *project*, whose pipeline was *before* and is *after*, are right once *unit* is committed.

    Only repositories that change by promotion from now on, or no longer, are looked at: a project may hold very many.
    """
    await unit.serialize(*store.MODE, project.name)
    mode, _ = await store.mode_of(unit, project.id)
    for repo_id, name in await store.repositories_of(unit, project.id):
        if before.protects(name) != after.protects(name):
            await put_gates(unit, project.id, mode, repo_id)


async def put_gates(unit: Unit, project_id: int, mode: Mode, repo_id: int | None = None) -> None:
    """The gates of the project, or of its repository *repo_id* alone, are those of *mode* and of its pipeline."""
    for each, digest, judgement, own in await store.verdicts_of(unit, project_id, mode, repo_id):
        await store.put_gate(unit, each, digest, gated(judgement, own), explain(judgement, BASELINE, own))
