"""Passwords of people."""

import asyncio

import pytest

from entrepot.access.errors import LoginBusyError
from entrepot.access.passwords import QUEUE, Passwords, hasher

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
