import json
from dataclasses import dataclass

from entrepot.runtime.secret import HIDDEN, NOTHING, Secret


@dataclass(frozen=True)
class Holder:
    key: Secret


def test_a_secret_prints_nowhere() -> None:
    secret = Secret("hunter2")

    printed = f"{secret} {secret!r} {secret!s} {Holder(secret)} {[secret]} " + json.dumps([secret], default=repr)

    assert "hunter2" not in printed
    assert HIDDEN in printed


def test_a_secret_is_compared_by_matches_alone() -> None:
    assert Secret("a").matches("a")
    assert not Secret("a").matches("b")
    assert Secret("ä").matches("ä")
    assert "__eq__" not in vars(Secret)


def test_a_secret_is_revealed_on_demand() -> None:
    assert Secret("hunter2").reveal() == "hunter2"
    assert not NOTHING
    assert Secret("x")
