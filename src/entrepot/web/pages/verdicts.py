"""What pages say of the verdict on an artifact, and the addresses of what they say it on."""

from typing import Any, Final

from entrepot.access.model import Permission
from entrepot.catalog.queries import Artifact
from entrepot.policy.model import BASELINE, Outcome
from entrepot.policy.queries import VerdictState
from entrepot.scanning.model import ScanStatus, Severity
from entrepot.scanning.queries import ScanState
from entrepot.web.pages.visit import Visit

EXPLAINED: Final = (Outcome.BLOCK, Outcome.ERROR, Outcome.WARN)


def address_of(repository: str, digest: str) -> str:
    """The page of an artifact."""
    return f"/repositories/{repository}/-/artifacts/{digest}"


def why_address(repository: str, digest: str) -> str:
    """The page that says why a pull of it meets what it meets."""
    return f"/why/{repository}@{digest}"


async def judged(visit: Visit, artifact: Artifact, state: ScanState) -> dict[str, Any]:
    """The verdict on *artifact* with its reason and remedy, as templates take it."""
    # Asked after the state: a verdict that is there may stand beside a scan that was not done a moment ago, and the
    # page asks no more once there is one.
    verdict = await visit.services.policy.verdict(artifact)
    pending = verdict.outcome is Outcome.PENDING
    reason, remedy = _words(verdict, state)
    worst_first = [(each.value, state.counts[each]) for each in reversed(Severity) if state.counts.get(each)]
    counts = worst_first if await sees_findings(visit, artifact) else []
    return {
        "verdict": verdict,
        "state": state,
        "pending": pending,
        "reason": reason,
        "remedy": remedy,
        "findings": counts,
        "why": why_address(artifact.repository, artifact.digest) if verdict.outcome in EXPLAINED else "",
    }


async def sees_findings(visit: Visit, artifact: Artifact) -> bool:
    """Whether who looks may see the findings of *artifact*."""
    repository = await visit.services.reads.repository(artifact.repository)
    return repository is not None and not visit.refused(Permission.SCAN_READ, repository)


def _words(verdict: VerdictState, state: ScanState) -> tuple[str, str]:
    """What a verdict says and what to do about it: the text that clients get, in its two parts."""
    if state.status is ScanStatus.NOT_APPLICABLE:
        return "This is no image: there is nothing in it to judge.", ""
    if verdict.outcome is Outcome.PENDING:
        layers = f" ({state.waiting} layers to read)" if state.waiting else ""
        return f"It waits for its scan{layers}. In the mode enforce a pull is refused until then.", ""
    if verdict.text:
        reason, _, remedy = verdict.text.rpartition("; ")
        return (reason or remedy), (remedy if reason else "")
    if verdict.outcome is Outcome.PASS:
        return f"No limit of the policy {verdict.policy or BASELINE.name} is broken.", ""
    return f"The policy {verdict.policy} says {verdict.outcome.value}.", ""
