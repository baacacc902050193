"""The gate of a pull, as pure logic."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from entrepot.access.model import Project, Repository
from entrepot.errors import DeniedError
from entrepot.registry.errors import PolicyBlockedError, QuarantinedError
from entrepot.registry.hot import Found
from entrepot.registry.visibility import warning_for

SECOND = 1_000_000
PUSHED = 1_000 * SECOND
NOW = PUSHED + 7 * SECOND
PAGES = "https://registry.test"
DIGEST = f"sha256:{'ab' * 32}"
FOUND = Found(
    Repository(1, "shop/web", Project(1, "shop")),
    "enforce",
    DIGEST,
    "application/vnd.oci.image.manifest.v1+json",
    "image",
    10,
    b"{}",
    PUSHED,
    None,
    "",
    None,
)
TEXT = 'blocked by policy "baseline" (rule critical): CVE-2026-1 (critical) in openssl 3.0.9, fixed in 3.0.15'


def test_a_pass_is_served_in_silence() -> None:
    for mode in ("monitor", "warn", "enforce"):
        assert warning_for(replace(FOUND, gate="pass", mode=mode), "v1", NOW, PAGES) == ""


def test_a_warning_is_served_with_text_and_next_step() -> None:
    found = replace(FOUND, gate="warn", gate_text=TEXT)

    assert warning_for(found, "v1", NOW, PAGES) == f"{TEXT}; {PAGES}/why/shop/web@{DIGEST}"


@pytest.mark.parametrize("gate", ["block", "error"])
def test_what_is_blocked_or_can_t_be_judged_is_refused(gate: str) -> None:
    found = replace(FOUND, gate=gate, gate_text=TEXT)

    with pytest.raises(PolicyBlockedError) as caught:
        warning_for(found, DIGEST, NOW, PAGES)

    assert caught.value.message == f"{TEXT}; {PAGES}/why/shop/web@{DIGEST}"


def test_where_the_address_of_the_page_is_too_long_the_command_stands_in_its_place() -> None:
    place = Repository(1, f"shop/{'w' * 200}", Project(1, "shop"))
    found = replace(FOUND, repository=place, gate="warn", gate_text=TEXT)

    assert warning_for(found, "v1", NOW, PAGES).endswith(f"; see: entrepot finding list {place.name}:v1")


@pytest.mark.parametrize("gate", [None, "pending"])
def test_what_is_not_judged_is_refused_in_enforce(gate: str | None) -> None:
    with pytest.raises(QuarantinedError) as caught:
        warning_for(replace(FOUND, gate=gate), "v1", NOW, PAGES)

    assert caught.value.message == (
        "sha256:abababababab waits for its scan (since 7 s); try again in a few seconds, "
        "or: entrepot scan wait shop/web:v1"
    )


@pytest.mark.parametrize("mode", ["monitor", "warn"])
@pytest.mark.parametrize("gate", [None, "pending"])
def test_what_is_not_judged_is_served_with_a_warning_elsewhere(mode: str, gate: str | None) -> None:
    warning = warning_for(replace(FOUND, gate=gate, mode=mode), "v1", NOW, PAGES)

    assert warning == (
        f"sha256:abababababab waits for its scan (since 7 s); served because the project is in {mode} mode"
    )


def test_the_pusher_reads_back_his_own_push_for_an_hour() -> None:
    """goharbor/harbor#23638: a client must see what it pushed, or the fix can't be pushed."""
    blocked = replace(FOUND, gate="block", gate_text=TEXT, own_push_at=PUSHED)

    assert warning_for(blocked, "v1", PUSHED + 3599 * SECOND, PAGES) == ""
    with pytest.raises(PolicyBlockedError):
        warning_for(blocked, "v1", PUSHED + 3600 * SECOND, PAGES)


def test_an_artifact_is_not_an_image_and_not_gated() -> None:
    assert warning_for(replace(FOUND, kind="artifact"), "v1", NOW, PAGES) == ""


gates = st.sampled_from([None, "pass", "warn", "block", "pending", "error", "", "something new"])
modes = st.sampled_from(["monitor", "warn", "enforce"])


@given(gates, modes, st.sampled_from(["image", "index"]), st.text(max_size=500), st.integers(-100, 10**6))
def test_nothing_but_a_pass_is_served_in_silence(gate: str | None, mode: str, kind: str, text: str, age: int) -> None:
    found = replace(FOUND, gate=gate, mode=mode, kind=kind, gate_text=text)
    try:
        said = warning_for(found, "v1", PUSHED + age * SECOND, PAGES)
    except DeniedError as error:
        said = error.message
        assert gate != "pass"
    else:
        assert (said == "") == (gate == "pass")
        assert not (mode == "enforce" and gate in {None, "pending", ""})

    assert len(said) <= 400
    assert said.isascii()
