"""What verdicts say about a promotion, and the same verdicts in the stage that images were promoted to."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Final

from entrepot.access.model import Repository
from entrepot.policy import store
from entrepot.policy.explain import explain
from entrepot.policy.gates import gated
from entrepot.policy.model import BASELINE, Judgement, Mode, Outcome
from entrepot.runtime.unit_of_work import Unit

SERVED: Final = frozenset({Outcome.PASS, Outcome.WARN})


async def judgements(unit: Unit, repository: Repository, digests: Iterable[str]) -> dict[str, Judgement]:
    """The judgements of those of *digests* that have one there; nobody judges them until *unit* ends."""
    wanted = sorted(digests)
    for digest in wanted:
        await unit.serialize(*store.VERDICT, digest)
    known = {digest: await store.known(unit, repository.id, digest) for digest in wanted}
    return {digest: judgement for digest, judgement in known.items() if judgement is not None}


def is_served(judgement: Judgement) -> bool:
    """Whether a stage that changes by promotion only serves what is judged so."""
    return gated(judgement, Mode.ENFORCE) in SERVED


def why_not(judgement: Judgement) -> str:
    """Why such a stage does not serve it, and what to do, in one line."""
    return explain(judgement, BASELINE, Mode.ENFORCE)


async def judge_alike(unit: Unit, target: Repository, judged: Mapping[str, Judgement], now: datetime) -> None:
    """In *target* the digests are judged as they were where they come from: no pull has to wait for it."""
    for digest, judgement in judged.items():
        facts = await store.facts(unit, digest)
        place = store.Place(target.id, target.name, target.project.name, Mode.ENFORCE, "image")
        await store.put_verdict(unit, place, digest, judgement, BASELINE.name, facts.hash(), now)
        await store.put_gate(unit, target.id, digest, gated(judgement, Mode.ENFORCE), why_not(judgement))
