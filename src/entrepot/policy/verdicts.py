"""Judges digests and keeps the answer where a pull finds it."""

from dataclasses import dataclass

from entrepot.clock import Clock
from entrepot.policy import store
from entrepot.policy.evaluate import evaluate, worst
from entrepot.policy.explain import explain
from entrepot.policy.gates import gated
from entrepot.policy.jobs import Evaluate
from entrepot.policy.model import BASELINE, Facts, Judgement, Outcome, VerdictChanged
from entrepot.runtime.events.model import SYSTEM
from entrepot.runtime.telemetry.work import WorkMetrics
from entrepot.runtime.unit_of_work import Unit, Work


@dataclass(frozen=True, slots=True)
class JudgeDigests:
    """Runs `policy.evaluate`."""

    work: Work
    clock: Clock
    metrics: WorkMetrics

    async def __call__(self, job: Evaluate) -> None:
        """Verdict and gate of each digest are those of its facts when this returns; indexes follow as jobs."""
        for digest in job.digests:
            async with self.work(SYSTEM) as unit:
                await self._alone(unit, digest)
                facts = await store.facts(unit, digest)
                places = await store.places(unit, digest)
                moved = [
                    (place.mode, judgement)
                    for place in places
                    if (judgement := await self._judge(unit, place, digest, facts)) is not None
                ]
                above = await store.parents(unit, digest) if moved else []
                if above:
                    unit.enqueue(Evaluate(tuple(above)))
            for mode, judgement in moved:
                self.metrics.judged((reason.rule for reason in judgement.reasons), mode, gated(judgement, mode))

    async def _alone(self, unit: Unit, digest: str) -> None:
        """Nobody else judges the digest, or what it lists, or changes the mode of a project that has it, meanwhile."""
        await unit.serialize(*store.VERDICT, digest)
        for child in await store.listed(unit, digest):
            await unit.serialize(*store.VERDICT, child)
        for project in sorted({place.project for place in await store.places(unit, digest)}):
            await unit.serialize(*store.MODE, project)

    async def _judge(self, unit: Unit, place: store.Place, digest: str, facts: Facts) -> Judgement | None:
        """Judges the digest at *place*; the judgement, if it is another than before."""
        before = await store.known(unit, place.repo_id, digest)
        if place.kind == "index":
            judgement = worst(await store.children(unit, place.repo_id, digest))
        elif place.kind == "image":
            judgement = evaluate(facts, BASELINE)
        else:
            return None
        # What was judged once keeps its judgement until there is a new one.
        if judgement.outcome is Outcome.PENDING or judgement == before:
            return None
        await store.put_verdict(unit, place, digest, judgement, BASELINE.name, facts.hash(), self.clock.now())
        text = explain(judgement, BASELINE, place.mode)
        await store.put_gate(unit, place.repo_id, digest, gated(judgement, place.mode), text)
        unit.emit(_changed(place, digest, before, judgement, text))
        return judgement


def _changed(
    place: store.Place, digest: str, before: Judgement | None, judgement: Judgement, text: str
) -> VerdictChanged:
    return VerdictChanged(
        project=place.project,
        repository=place.repository,
        digest=digest,
        reason=text,
        policy=BASELINE.name,
        before=before.outcome.value if before else Outcome.PENDING.value,
        after=judgement.outcome.value,
    )
