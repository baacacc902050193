"""Passwords of people."""

import asyncio

import pytest

from entrepot.access.errors import LoginBusyError, PasswordWeakError
from entrepot.access.passwords import QUEUE, Passwords, check_strength, hasher

HASH = hasher().hash("right")


def passwords() -> Passwords:
    return Passwords(b"k" * 32)


def test_the_hash_is_argon2id_with_the_chosen_cost() -> None:
    assert HASH.startswith("$argon2id$v=19$m=19456,t=2,p=1$")


async def test_the_right_one_is_good_and_then_remembered() -> None:
    checks = passwords()

    assert await checks.check(HASH, "right") == (True, False)
    assert await checks.check(HASH, "right") == (True, True)


async def test_a_wrong_one_is_never_good_also_after_the_right_one() -> None:
    checks = passwords()
    await checks.check(HASH, "right")

    for wrong in ("wrong", "right ", "Right", ""):
        assert await checks.check(HASH, wrong) == (False, False)


async def test_another_hash_is_not_opened_by_what_is_remembered() -> None:
    checks = passwords()
    await checks.check(HASH, "right")

    assert await checks.check(hasher().hash("other"), "right") == (False, False)


@pytest.mark.parametrize("stored", ["", "not a hash", "$argon2id$v=19$m=19456,t=2,p=1$xx$yy"])
async def test_without_a_good_hash_nothing_is_right(stored: str) -> None:
    for password in ("right", "no such account", ""):
        assert await passwords().check(stored, password) == (False, False)


async def test_memory_holds_no_password() -> None:
    checks = passwords()
    await checks.check(HASH, "right-canary")
    await checks.check(HASH, "right")

    assert "right" not in repr(checks)


async def test_more_than_can_wait_are_refused_and_the_others_answered() -> None:
    checks = passwords()

    answers = await asyncio.gather(*(checks.check(HASH, f"x{n}") for n in range(QUEUE + 3)), return_exceptions=True)

    assert sum(isinstance(answer, LoginBusyError) for answer in answers) == 3
    assert sum(answer == (False, False) for answer in answers) == QUEUE
    assert await checks.check(HASH, "right") == (True, False)


@pytest.mark.parametrize(
    "good", ["correct horse battery", "üñíçødé-wörds", "abcdef" * 2, "x" * 250 + "abcdef", "an annoyed ann, at last"]
)
def test_a_long_password_is_strong_whatever_it_is_made_of(good: str) -> None:
    check_strength("ann", good)  # a short name is no hint


@pytest.mark.parametrize(
    ("weak", "reason"),
    [
        ("abcdefghijk", "12 to 256"),
        ("x" * 251 + "abcdef", "12 to 256"),
        ("abcdeabcdeabcde", "6 different"),
        ("my name is ANNABELLE", "name"),
        ("with a\ttabulator", "typed"),
        ("ent_pat_0123456789012345678901234567890123456789abc_5af71178", "token"),
    ],
)
def test_a_password_that_can_be_guessed_or_never_typed_is_refused(weak: str, reason: str) -> None:
    with pytest.raises(PasswordWeakError, match=reason):
        check_strength("annabelle", weak)


async def test_what_was_hashed_is_good_for_that_password_only() -> None:
    checks = passwords()
    stored = await checks.hash("correct horse battery")

    assert await checks.check(stored, "correct horse battery") == (True, False)
    assert await checks.check(stored, "correct horse batterx") == (False, False)
