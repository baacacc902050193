import pytest

from entrepot.scanning.errors import VersionMalformedError
from entrepot.scanning.versions.deb import key


@pytest.mark.parametrize(
    "versions",
    [
        ["1~~", "1~~a", "1~", "1", "1-1~bpo1", "1-1", "1-1+deb12u1", "1-a", "1a", "1+b", "1.0", "1:0"],
        ["0~", "0", "0A", "0a", "0+", "0.", "1"],
        ["5.10.9-1", "5.10.10-1", "5.10.010-2", "6.1-1", "1:1-1", "10:1-1"],
        ["2.0-rc-1", "2.0-rc-2", "2.0-rc+a-1"],
    ],
)
def test_keys_order_as_dpkg_does(versions: list[str]) -> None:
    assert sorted(versions, key=key) == versions
    assert len({key(version) for version in versions}) == len(versions)


@pytest.mark.parametrize(
    ("left", "right"), [("1.0", "1.0-0"), ("0:1", "1"), ("1.01", "1.1"), ("a", "a0"), ("1a-0", "1a")]
)
def test_other_spellings_of_one_version_have_one_key(left: str, right: str) -> None:
    assert key(left) == key(right)


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "1 ",
        "1_2",
        "1-",
        "-1",
        ":1",
        "a:1",
        "1:",
        "1.0:2",
        "2147483648:1",
        "99999999999:1",
        "1\n",
        "١",
        "1é",
        "a" * 513,
    ],
)
def test_what_dpkg_would_warn_of_is_malformed(text: str) -> None:
    with pytest.raises(VersionMalformedError):
        key(text)


def test_a_key_never_has_more_than_512_bytes() -> None:
    fitting = "1" + ".1" * 100

    assert len(key(fitting)) <= 512
    with pytest.raises(VersionMalformedError):
        key("1" + ".1" * 200)
    with pytest.raises(VersionMalformedError):
        key("9" * 251)
