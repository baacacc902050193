"""From facts to a verdict: examples, and the properties that must hold for all facts."""

from dataclasses import replace
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from entrepot.policy.evaluate import STRICTEST, evaluate, worst
from entrepot.policy.gates import gated
from entrepot.policy.model import BASELINE, Facts, Judgement, Limit, Mode, Outcome, Policy, Reason
from entrepot.scanning.model import Finding, FindingStatus, ScanStatus, Severity

FINDING = Finding(
    "CVE-2026-1", (), "debian:12", "openssl", "3.0.9-1", Severity.CRITICAL, "debian", "3.0.15-1",
    FindingStatus.FIXED_AVAILABLE, ("DSA-1",), "", counted=True,
)  # fmt: skip
DONE = ScanStatus.COMPLETE


def facts(*findings: Finding, status: ScanStatus | None = DONE, reasons: tuple[str, ...] = ()) -> Facts:
    return Facts(status, reasons, findings)


def found(severity: Severity, *, fixed: str = "", counted: bool = True, id_: str = "CVE-2026-2") -> Finding:
    return replace(FINDING, id=id_, severity=severity, fixed_version=fixed, counted=counted)


@pytest.mark.parametrize(
    ("finding", "rule"),
    [
        (found(Severity.CRITICAL), "critical"),
        (found(Severity.CRITICAL, fixed="2"), "critical"),
        (found(Severity.HIGH, fixed="2"), "high-fixable"),
        (found(Severity.HIGH), None),
        (found(Severity.MEDIUM, fixed="2"), None),
        (found(Severity.UNKNOWN, fixed="2"), None),
        (found(Severity.CRITICAL, fixed="2", counted=False), None),
    ],
)
def test_the_baseline_refuses_critical_and_fixable_high(finding: Finding, rule: str | None) -> None:
    judgement = evaluate(facts(finding), BASELINE)

    assert judgement.outcome is (Outcome.BLOCK if rule else Outcome.PASS)
    assert [reason.rule for reason in judgement.reasons][:1] == ([rule] if rule else [])


@pytest.mark.parametrize("status", [None, ScanStatus.QUEUED, ScanStatus.ANALYSING])
def test_what_is_not_analysed_is_pending(status: ScanStatus | None) -> None:
    assert evaluate(facts(FINDING, status=status), BASELINE) == Judgement(Outcome.PENDING)


@pytest.mark.parametrize("status", [ScanStatus.PARTIAL, ScanStatus.FAILED])
def test_what_is_not_known_whole_is_an_error_with_each_reason(status: ScanStatus) -> None:
    judgement = evaluate(facts(status=status, reasons=("limit:ratio", "no_feed:alpine:3.20")), BASELINE)

    assert judgement.outcome is Outcome.ERROR
    assert [reason.text for reason in judgement.reasons] == ["limit:ratio", "no_feed:alpine:3.20"]


def test_a_partial_scan_that_breaks_a_limit_is_blocked() -> None:
    assert evaluate(facts(FINDING, status=ScanStatus.PARTIAL), BASELINE).outcome is Outcome.BLOCK


def test_the_reason_names_the_worst_and_among_equals_one_with_a_fix() -> None:
    none, fix, high = (
        found(Severity.CRITICAL, id_="CVE-1"),
        found(Severity.CRITICAL, fixed="2", id_="CVE-2"),
        found(Severity.HIGH, fixed="3", id_="CVE-0"),
    )

    reasons = evaluate(facts(high, none, fix), BASELINE).reasons

    assert reasons[0] == Reason("critical", "CVE-2", "critical", "openssl", "3.0.9-1", "2", more=1)


def test_a_limit_may_allow_some() -> None:
    policy = Policy("two", (Limit("low", Severity.LOW, fixable=False, maximum=2),), Severity.LOW)
    three = [found(Severity.LOW, id_=f"CVE-{n}") for n in range(3)]

    assert evaluate(facts(*three[:2]), policy).outcome is Outcome.PASS
    assert evaluate(facts(*three), policy).outcome is Outcome.BLOCK


def test_every_number_over_the_limit_is_blocked() -> None:
    for number in range(1, 30):
        many = [found(Severity.CRITICAL, id_=f"CVE-{n}") for n in range(number)]
        assert evaluate(facts(*many), BASELINE).outcome is Outcome.BLOCK


def test_what_nobody_rates_counts_as_the_policy_says() -> None:
    unknown = found(Severity.UNKNOWN)

    strict = replace(BASELINE, unknown_severity=Severity.CRITICAL)
    assert evaluate(facts(unknown), BASELINE).outcome is Outcome.PASS
    assert evaluate(facts(unknown), strict).outcome is Outcome.BLOCK


def test_an_index_is_judged_as_its_worst_child() -> None:
    order = [Outcome.BLOCK, Outcome.ERROR, Outcome.PENDING, Outcome.WARN, Outcome.PASS]
    for place, outcome in enumerate(order):
        children = [Judgement(each) for each in reversed(order[place:])]
        assert worst(children).outcome is outcome


def test_an_index_without_images_is_not_a_pass() -> None:
    assert worst([]).outcome is Outcome.ERROR


@pytest.mark.parametrize(
    ("outcome", "monitor", "warn"),
    [
        (Outcome.PASS, Outcome.PASS, Outcome.PASS),
        (Outcome.WARN, Outcome.PASS, Outcome.WARN),
        (Outcome.BLOCK, Outcome.PASS, Outcome.WARN),
        (Outcome.ERROR, Outcome.WARN, Outcome.WARN),
        (Outcome.PENDING, Outcome.PENDING, Outcome.PENDING),
    ],
)
def test_a_mode_softens_what_is_known_and_never_hides_what_is_not(
    outcome: Outcome, monitor: Outcome, warn: Outcome
) -> None:
    assert gated(Judgement(outcome), Mode.ENFORCE) is outcome
    assert gated(Judgement(outcome), Mode.MONITOR) is monitor
    assert gated(Judgement(outcome), Mode.WARN) is warn


def test_a_broken_limit_does_not_hide_that_something_was_not_seen() -> None:
    """In monitor mode an image that breaks a limit is served in silence; one that was not seen whole is not."""
    partial = replace(facts(found(Severity.CRITICAL)), status=ScanStatus.PARTIAL, reasons=("limit:ratio",))
    judgement = evaluate(partial, BASELINE)

    assert [reason.rule for reason in judgement.reasons] == ["critical", "scan"]
    assert (judgement.outcome, gated(judgement, Mode.MONITOR)) == (Outcome.BLOCK, Outcome.WARN)


# properties

severities = st.sampled_from(Severity)
findings = st.builds(
    found, severities, fixed=st.sampled_from(["", "2"]), counted=st.booleans(), id_=st.sampled_from("abcdefghij")
)
statuses = st.one_of(st.none(), st.sampled_from(ScanStatus))
all_facts = st.builds(Facts, statuses, st.just(("why",)), st.lists(findings, max_size=8).map(tuple))
limits = st.builds(Limit, st.just("l"), severities, st.booleans(), st.integers(0, 3))
policies = st.one_of(
    st.just(BASELINE), st.builds(Policy, st.just("p"), st.lists(limits, max_size=4).map(tuple), severities)
)


def strictness(outcome: Outcome) -> int:
    return -STRICTEST.index(outcome)


@given(all_facts, findings, policies)
def test_a_finding_more_never_loosens(known: Facts, more: Finding, policy: Policy) -> None:
    after = replace(known, findings=(*known.findings, more))

    assert strictness(evaluate(after, policy).outcome) >= strictness(evaluate(known, policy).outcome)


@given(all_facts, policies, st.randoms())
def test_the_order_of_findings_is_no_matter(known: Facts, policy: Policy, random: Random) -> None:
    shuffled = list(known.findings)
    random.shuffle(shuffled)

    assert evaluate(replace(known, findings=tuple(shuffled)), policy).outcome is evaluate(known, policy).outcome


@given(all_facts, policies)
def test_only_a_whole_scan_can_pass(known: Facts, policy: Policy) -> None:
    if evaluate(known, policy).outcome is Outcome.PASS:
        assert known.status in {ScanStatus.COMPLETE, ScanStatus.NOT_APPLICABLE}


@given(all_facts, policies)
def test_knowing_less_of_the_scan_never_loosens(known: Facts, policy: Policy) -> None:
    whole, part = replace(known, status=DONE), replace(known, status=ScanStatus.PARTIAL)

    assert strictness(evaluate(part, policy).outcome) >= strictness(evaluate(whole, policy).outcome)


@given(st.lists(st.sampled_from(Outcome).map(Judgement)), st.sampled_from(Outcome))
def test_a_child_more_never_loosens(children: list[Judgement], more: Outcome) -> None:
    if children:
        assert strictness(worst([*children, Judgement(more)]).outcome) >= strictness(worst(children).outcome)


@given(all_facts, st.permutations(BASELINE.limits))
def test_the_order_of_limits_is_no_matter(known: Facts, order: list[Limit]) -> None:
    assert evaluate(known, replace(BASELINE, limits=tuple(order))).outcome is evaluate(known, BASELINE).outcome
