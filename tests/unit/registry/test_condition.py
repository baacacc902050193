"""What a PUT may ask of the reference it replaces. Spec: RFC 9110, 13.1."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from entrepot.registry.model import ANY, UNCONDITIONAL, Condition

digests = st.sampled_from(["a", "b", "c"])
lists = st.none() | st.frozensets(digests | st.just(ANY))


@pytest.mark.parametrize(
    ("condition", "current", "holds"),
    [
        (Condition(match=frozenset({"a", "b"})), "a", True),
        (Condition(match=frozenset({"b"})), "a", False),
        (Condition(match=frozenset({ANY})), "a", True),
        (Condition(match=frozenset({ANY})), None, False),
        (Condition(match=frozenset()), "a", False),
        (Condition(match=frozenset({"b"})), "new", True),
        (Condition(none_match=frozenset({ANY})), None, True),
        (Condition(none_match=frozenset({ANY})), "a", False),
        (Condition(none_match=frozenset({ANY})), "new", False),
        (Condition(none_match=frozenset({"a"})), "b", True),
        (Condition(none_match=frozenset()), "a", True),
        (Condition(frozenset({"a"}), frozenset({"a"})), "a", False),
    ],
)
def test_a_condition_holds_or_not(condition: Condition, current: str | None, holds: bool) -> None:
    assert condition.holds(current, "new") == holds


@given(lists, lists, st.none() | digests, digests)
def test_both_conditions_must_hold(
    match: frozenset[str] | None, none_match: frozenset[str] | None, current: str | None, wanted: str
) -> None:
    both = Condition(match, none_match).holds(current, wanted)

    assert both == (Condition(match).holds(current, wanted) and Condition(None, none_match).holds(current, wanted))
    assert UNCONDITIONAL.holds(current, wanted)
