"""From facts to a verdict. Pure: the same facts and policy give the same verdict, at any time.

Invariants: an analysis that failed, was cut short or is not covered by a feed is an `error`, one that is not done
`pending`, and neither is a pass. Adding a finding never loosens. An index is judged as its worst child.
"""

from collections.abc import Iterable, Sequence
from typing import Final

from entrepot.policy.model import SCAN, Facts, Judgement, Limit, Outcome, Policy, Reason
from entrepot.scanning.model import Finding, ScanStatus

STRICTEST: Final = (Outcome.BLOCK, Outcome.ERROR, Outcome.PENDING, Outcome.WARN, Outcome.PASS)
MAX_REASONS: Final = 50


def evaluate(facts: Facts, policy: Policy) -> Judgement:
    """The verdict of *policy* on *facts*, before any mode. A broken limit counts before what is not known."""
    if facts.status in {None, ScanStatus.QUEUED, ScanStatus.ANALYSING}:
        return Judgement(Outcome.PENDING)
    broken = [reason for limit in policy.limits if (reason := _broken(facts.findings, limit, policy)) is not None]
    cut = facts.status in {ScanStatus.PARTIAL, ScanStatus.FAILED}
    unseen = [Reason(SCAN, text=text) for text in facts.reasons or ("the analysis failed",)] if cut else []
    if broken:
        return Judgement(Outcome.BLOCK, tuple((broken + unseen)[:MAX_REASONS]))
    return Judgement(Outcome.ERROR, tuple(unseen[:MAX_REASONS])) if cut else Judgement(Outcome.PASS)


def worst(children: Sequence[Judgement]) -> Judgement:
    """The judgement of an index whose countable children have these. Without any there is nothing to judge: error."""
    if not children:
        return Judgement(Outcome.ERROR, (Reason(SCAN, text="the index lists no image that can be judged"),))
    return min(children, key=lambda child: STRICTEST.index(child.outcome))


def _broken(findings: Iterable[Finding], limit: Limit, policy: Policy) -> Reason | None:
    over = [finding for finding in findings if policy.counts(limit, finding)]
    if len(over) <= limit.maximum:
        return None
    # The one to name: the worst, and among equals one that can be fixed.
    first = min(over, key=lambda f: (-policy.severity(f).rank, not f.fixed_version, f.id, f.package))
    return Reason(
        limit.id,
        first.id,
        first.severity.value,
        first.package,
        first.version,
        first.fixed_version,
        len({(f.id, f.package) for f in over}) - 1,
    )
