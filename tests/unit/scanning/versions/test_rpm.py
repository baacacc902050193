import pytest

from entrepot.scanning.errors import VersionMalformedError
from entrepot.scanning.versions.rpm import key, last_key


@pytest.mark.parametrize(
    "versions",
    [
        ["1.0~~a", "1.0~rc1", "1.0~rc1^git1", "1.0", "1.0^", "1.0^git1", "1.0a", "1.0.1", "1.1", "1.10", "0:2", "1:0"],
        ["1.0~rc1-1", "1.0", "1.0-0", "1.0-1", "1.0-1.el9", "1.0-1.el9_3", "1.0-10", "1.0.1", "1.0.1-1"],
        ["7:5.5-14.el9", "7:5.5-14.el9_5.3", "7:5.5-15.el9", "4294967295:0"],
        ["xyz", "xyz.4", "8", "xyz8".replace("xyz", "9")],
    ],
)
def test_keys_order_as_rpm_does(versions: list[str]) -> None:
    assert sorted(versions, key=key) == versions
    assert len({key(version) for version in versions}) == len(versions)


@pytest.mark.parametrize(("left", "right"), [("1.0", "0:1_0"), ("1.05", "1.5"), ("1.0.", "1.0"), ("fc4", "fc.4")])
def test_other_spellings_of_one_version_have_one_key(left: str, right: str) -> None:
    assert key(left) == key(right)


@pytest.mark.parametrize(
    "text",
    ["", "1-", "-1", "1-1-1", "a:1", ":1", "4294967296:1", "1 2", "1.0\n", "1.1.α", "_", "1-%{release}", "٣", "1/2"],
)
def test_what_is_no_rpm_version_is_malformed(text: str) -> None:
    with pytest.raises(VersionMalformedError):
        key(text)


def test_a_last_version_without_a_release_includes_all_of_its_releases() -> None:
    assert key("1.0") < key("1.0-1.el9") < last_key("1.0") < key("1.0^git1-1")
    assert last_key("1.0-1") == key("1.0-1")


def test_a_key_never_has_more_than_512_bytes() -> None:
    assert len(last_key("1" + ".1" * 100)) <= 512
    with pytest.raises(VersionMalformedError):
        key("1" + ".1" * 200)
