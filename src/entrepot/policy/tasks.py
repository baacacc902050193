"""What runs in a worker."""

from entrepot.clock import Clock
from entrepot.policy.jobs import ApplyMode, Evaluate
from entrepot.policy.rollout import PutModeIntoForce
from entrepot.policy.verdicts import JudgeDigests
from entrepot.runtime.jobs.model import Task
from entrepot.runtime.telemetry.work import WorkMetrics
from entrepot.runtime.unit_of_work import Work


def tasks(work: Work, clock: Clock, metrics: WorkMetrics) -> tuple[Task, ...]:
    """The kinds of jobs policy runs."""
    return (Task(Evaluate, JudgeDigests(work, clock, metrics)), Task(ApplyMode, PutModeIntoForce(work, clock)))
