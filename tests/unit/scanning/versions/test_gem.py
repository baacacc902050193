import pytest

from entrepot.scanning.errors import VersionMalformedError
from entrepot.scanning.versions.gem import key


@pytest.mark.parametrize(
    "versions",
    [
        ["1.0.a.2", "1.0.b1", "1.0.b10", "1.0.pre", "1.0", "1.0.0.1.a", "1.0.0.1", "1.1.a", "1.1", "1.10"],
        ["1-1", "1.pre.2", "1"],
        # A zero stands for a missing segment, so what it is worth is told by what follows.
        ["1.a.b", "1.a.0.b", "1.a", "1.a.0.1", "1.a.1"],
    ],
)
def test_keys_order_as_rubygems_does(versions: list[str]) -> None:
    assert sorted(versions, key=key) == versions
    assert len({key(version) for version in versions}) == len(versions)


@pytest.mark.parametrize(
    ("left", "right"), [("1", "1.0.0"), ("1.0.a", "1.a.0"), ("1.a2", "1.a.2"), ("1-2", "1.pre.2"), ("1.01", "1.1")]
)
def test_other_spellings_of_one_version_have_one_key(left: str, right: str) -> None:
    assert key(left) == key(right)


@pytest.mark.parametrize("text", ["", "junk", "1.0\n2.0", "1..2", "1.2\\ 3.4", "1beta", "1_0", "-1"])
def test_what_is_no_gem_version_is_malformed(text: str) -> None:
    with pytest.raises(VersionMalformedError):
        key(text)


def test_a_key_never_has_more_than_512_bytes() -> None:
    with pytest.raises(VersionMalformedError):
        key("1" + ".a" * 200)
