import pytest

from entrepot.scanning.errors import VersionMalformedError
from entrepot.scanning.versions.nuget import key


def test_keys_order_as_nuget_does() -> None:
    versions = ["1.0-2", "1.0-11", "1.0--a", "1.0-20240131123456", "1.0-A", "1.0-a.1", "1.0-B-1", "1.0-beta", "1.0"]
    versions += ["1.0.0.1-rc", "1.0.0.1", "1.0.1", "1.2", "1.10"]

    assert sorted(versions, key=key) == versions
    assert len({key(version) for version in versions}) == len(versions)


@pytest.mark.parametrize(
    ("left", "right"),
    [("1", "1.0.0.0"), ("1.0-BETA", "1.0-beta"), ("1.0+a", "1.0+b"), ("1.01", "1.1"), ("1-01", "1-1")],
)
def test_other_spellings_of_one_version_have_one_key(left: str, right: str) -> None:
    assert key(left) == key(right)


@pytest.mark.parametrize(
    "text", ["", "v1.0", "1.2.3.4.5", "1.0-", "1.0-a..b", "1.0-a_b", "1.0--5", "1.*", "1.0\n", "1.٢"]
)
def test_what_is_no_nuget_version_is_malformed(text: str) -> None:
    with pytest.raises(VersionMalformedError):
        key(text)


def test_a_key_never_has_more_than_512_bytes() -> None:
    with pytest.raises(VersionMalformedError):
        key("1.0-" + ".".join("a" * 200))
