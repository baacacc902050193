"""Secrets of robots and personal tokens."""

import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from entrepot.access.secrets import PERSONAL, ROBOT, is_secret, new_secret, stored_form


@pytest.mark.parametrize("prefix", [ROBOT, PERSONAL])
def test_a_new_secret_has_the_form_and_checksum_leak_scanners_look_for(prefix: str) -> None:
    text = new_secret(prefix)

    assert is_secret(text)
    body, _, checksum = text.rpartition("_")
    assert body.startswith(prefix)
    assert len(body) == len(prefix) + 43
    assert int(checksum, 16) == zlib.crc32(body.encode())


def test_no_two_are_alike() -> None:
    assert len({new_secret(ROBOT) for _ in range(1000)}) == 1000


@given(st.integers(0, 59), st.sampled_from("0aZ_"))
def test_one_changed_letter_is_noticed(place: int, letter: str) -> None:
    text = new_secret(ROBOT)
    changed = text[:place] + letter + text[place + 1 :]

    assert is_secret(changed) == (changed == text)


@pytest.mark.parametrize("text", ["", "ent_rbt_", "password", "ent_xyz_" + "a" * 43 + "_00000000"])
def test_another_text_is_none(text: str) -> None:
    assert not is_secret(text)


@given(st.text())
def test_any_text_can_be_asked_about(text: str) -> None:
    assert is_secret(text) in {True, False}


def test_what_is_stored_depends_on_the_key_and_shows_nothing() -> None:
    text = new_secret(ROBOT)

    one, two = stored_form(b"k" * 32, text), stored_form(b"l" * 32, text)

    assert one == stored_form(b"k" * 32, text) != two
    assert len(one) == 64
    assert text not in one
