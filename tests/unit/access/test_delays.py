"""Waits after wrong passwords: they double, end, and hold for one account from one network only."""

from dataclasses import dataclass
from datetime import timedelta

import pytest

from entrepot.access.delays import REMEMBERED, LoginDelays, network
from entrepot.access.errors import LoginDelayedError

HOME, NEIGHBOR, ELSEWHERE = "192.0.2.7", "192.0.2.200", "192.0.3.7"


@dataclass
class Time:
    at: float = 1000.0

    def __call__(self) -> float:
        return self.at


def delays(time: Time) -> LoginDelays:
    return LoginDelays(timedelta(seconds=900), time)


def wait(each: LoginDelays, account: str = "ada", address: str = HOME) -> int | None:
    """How long *account* has to wait."""
    try:
        each.check(account, address)
    except LoginDelayedError as error:
        return error.retry_after_seconds
    return None


def test_waits_double_up_to_the_longest() -> None:
    time = Time()
    each = delays(time)
    waits = []
    for _ in range(12):
        each.failed("ada", HOME)
        waits.append(wait(each))
        time.at += 900

    assert waits == [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900]


def test_a_wait_is_over_at_its_end_and_not_before() -> None:
    time = Time()
    each = delays(time)
    each.failed("ada", HOME)
    each.failed("ada", HOME)
    time.at += 1.999
    assert wait(each) == 1
    time.at += 0.001

    assert wait(each) is None


def test_nobody_else_waits() -> None:
    each = delays(Time())
    each.failed("ada", HOME)

    assert wait(each, address=NEIGHBOR) == 1
    assert wait(each, address=ELSEWHERE) is None
    assert wait(each, account="bob") is None


def test_the_right_password_forgets_what_went_before() -> None:
    each = delays(Time())
    for _ in range(5):
        each.failed("ada", HOME)
    each.succeeded("ada", HOME)
    each.failed("ada", HOME)

    assert wait(each) == 1


def test_failures_long_ago_count_no_more() -> None:
    time = Time()
    each = delays(time)
    for _ in range(5):
        each.failed("ada", HOME)
    time.at += 1801
    each.failed("ada", HOME)

    assert wait(each) == 1


def test_no_more_is_remembered_than_fits() -> None:
    each = delays(Time())
    for number in range(REMEMBERED + 10):
        each.failed(f"name-{number}", HOME)

    assert len(each._failures) == REMEMBERED
    assert wait(each, account=f"name-{REMEMBERED}") == 1


def test_a_longest_wait_of_zero_switches_it_off() -> None:
    each = LoginDelays(timedelta(0), Time())
    each.failed("ada", HOME)

    assert wait(each) is None


@pytest.mark.parametrize(
    ("address", "same"),
    [
        ("192.0.2.7", "192.0.2.0/24"),
        ("::ffff:192.0.2.7", "192.0.2.0/24"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("", ""),
        ("no address", "no address"),
    ],
)
def test_a_network_is_what_one_client_can_move_about_in(address: str, same: str) -> None:
    assert network(address) == same
