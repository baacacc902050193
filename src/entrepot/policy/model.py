"""Policy: what is allowed to be pulled, judged once, stored, and joined by every pull.

Facts about an image (its scan and its findings) meet the limits of a policy: that is the verdict. What it means for
a pull depends on the project's mode: monitor only records, warn serves with a warning, enforce refuses. The answer
after the mode is the gate row. A scan that failed or is not done is never a pass.
"""

import hashlib
from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar, Final

import msgspec

from entrepot.catalog.stages import read_pipeline
from entrepot.runtime.events.model import Event
from entrepot.scanning.model import Finding, ScanStatus, Severity


class Mode(StrEnum):
    """How strict a project is."""

    MONITOR = "monitor"
    WARN = "warn"
    ENFORCE = "enforce"


class Outcome(StrEnum):
    """What a judgement says. PENDING: the analysis is not done; ERROR: it can't be, so nothing is known."""

    PASS = "pass"  # noqa: S105  not a password
    WARN = "warn"
    BLOCK = "block"
    PENDING = "pending"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Limit:
    """At most *maximum* counted findings of *severity* and above; fixable: only those with a fixed version count."""

    id: str
    severity: Severity
    fixable: bool
    maximum: int


@dataclass(frozen=True, slots=True)
class Policy:
    """Limits under a name. unknown_severity: how a finding without any rating counts."""

    name: str
    limits: tuple[Limit, ...]
    unknown_severity: Severity

    def severity(self, finding: Finding) -> Severity:
        """How bad *finding* is to this policy."""
        return self.unknown_severity if finding.severity is Severity.UNKNOWN else finding.severity

    def counts(self, limit: Limit, finding: Finding) -> bool:
        """Whether *limit* counts *finding*."""
        reaches = finding.counted and self.severity(finding).rank >= limit.severity.rank
        return reaches and (bool(finding.fixed_version) or not limit.fixable)

    def breaks(self, finding: Finding) -> bool:
        """Whether any limit counts *finding*."""
        return any(self.counts(limit, finding) for limit in self.limits)


BASELINE: Final = Policy(
    "baseline",
    (
        Limit("critical", Severity.CRITICAL, fixable=False, maximum=0),
        Limit("high-fixable", Severity.HIGH, fixable=True, maximum=0),
    ),
    Severity.MEDIUM,
)
DEFAULT_MODE: Final = Mode.MONITOR
SCAN: Final = "scan"
"""The rule of reasons that are not findings: something of the image was not seen."""


def mode_in(repository: str, pipeline: str | None, mode: Mode) -> Mode:
    """How strict the *repository* is, in a project of that *pipeline* and *mode*: where pushes are refused, enforce."""
    return Mode.ENFORCE if read_pipeline(pipeline).protects(repository) else mode


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a verdict is what it is. rule: id of the limit, or `scan`; more: how many further findings break it."""

    rule: str
    finding: str = ""
    severity: str = ""
    package: str = ""
    version: str = ""
    fixed_version: str = ""
    more: int = 0
    text: str = ""


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of an image. status None: no analysis has begun."""

    status: ScanStatus | None
    reasons: tuple[str, ...]
    findings: tuple[Finding, ...]

    def hash(self) -> str:
        """Equal for equal facts: what a stored verdict was made from."""
        text = msgspec.json.encode(
            (self.status, self.reasons, sorted((f.id, f.package, f.version) for f in self.findings))
        )
        return hashlib.sha256(text).hexdigest()


@dataclass(frozen=True, slots=True)
class Judgement:
    """An outcome and why; reasons in order of the policy's limits."""

    outcome: Outcome
    reasons: tuple[Reason, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class VerdictChanged(Event):
    """A digest is judged otherwise than before. before, after: outcomes."""

    ACTION: ClassVar = "verdict.changed"

    policy: str
    before: str
    after: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ModeRequested(Event):
    """Somebody asked for another mode of the project."""

    ACTION: ClassVar = "policy.mode_requested"

    project_id: int
    before: str
    mode: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ModeChanged(Event):
    """A project's mode is another: all its gates were recomputed with it."""

    ACTION: ClassVar = "policy.mode_changed"

    before: str
    mode: str
