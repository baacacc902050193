"""A judgement in one line: what, why, and what to do. Design: product.md 5."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from entrepot.policy.explain import MAX_TEXT, explain
from entrepot.policy.model import BASELINE, Judgement, Mode, Outcome, Reason

REASON = Reason("critical", "CVE-2026-1", "critical", "openssl", "3.0.9-1", "3.0.15-1", more=2)


def test_a_block_names_rule_advisory_package_fix_and_step() -> None:
    assert explain(Judgement(Outcome.BLOCK, (REASON,)), BASELINE, Mode.ENFORCE) == (
        'blocked by policy "baseline" (rule critical): CVE-2026-1 (critical) in openssl 3.0.9-1, '
        "fixed in 3.0.15-1 (+2 more); update openssl and push again"
    )


def test_without_a_fix_there_is_another_step() -> None:
    reason = Reason("critical", "CVE-2026-1", "critical", "openssl", "3.0.9-1")

    assert explain(Judgement(Outcome.BLOCK, (reason,)), BASELINE, Mode.WARN) == (
        'would be blocked by policy "baseline" (rule critical): CVE-2026-1 (critical) in openssl 3.0.9-1, '
        "no fix yet; remove openssl, or ask an admin of this registry"
    )


def test_an_error_says_why_and_what_would_help() -> None:
    feed = Judgement(Outcome.ERROR, (Reason("scan", text="no_feed:debian:12"),))
    bomb = Judgement(Outcome.ERROR, (Reason("scan", text="limit:ratio"),))

    assert "no_feed:debian:12; import a feed" in explain(feed, BASELINE, Mode.ENFORCE)
    jar = Judgement(Outcome.ERROR, (Reason("scan", text="no_feed:jar"),))
    assert "no_feed:jar; keep the pom.properties" in explain(jar, BASELINE, Mode.ENFORCE)
    both = Judgement(Outcome.ERROR, (Reason("scan", text="no_feed:jar"), Reason("scan", text="no_feed:maven")))
    assert "no_feed:jar, no_feed:maven; import a feed" in explain(both, BASELINE, Mode.ENFORCE)
    assert "limit:ratio; rebuild the image" in explain(bomb, BASELINE, Mode.ENFORCE)
    assert "the analysis failed" in explain(Judgement(Outcome.ERROR), BASELINE, Mode.ENFORCE)


@pytest.mark.parametrize("outcome", [Outcome.PASS, Outcome.PENDING])
def test_where_there_is_nothing_to_say_the_text_is_empty(outcome: Outcome) -> None:
    assert explain(Judgement(outcome), BASELINE, Mode.ENFORCE) == ""


words = st.text(max_size=200)


@given(words, words, words, words, words, st.sampled_from([Outcome.BLOCK, Outcome.ERROR]), st.sampled_from(Mode))
def test_any_text_of_a_package_makes_one_printable_line(
    id_: str, package: str, version: str, fixed: str, text: str, outcome: Outcome, mode: Mode
) -> None:
    """A package may call itself what it likes; the line goes into a header."""
    said = explain(Judgement(outcome, (Reason("r", id_, "high", package, version, fixed, 1, text),)), BASELINE, mode)

    assert said
    assert said.isascii()
    assert said.isprintable()
    assert len(said) <= MAX_TEXT
