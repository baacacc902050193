import pytest

from entrepot.scanning.errors import VersionMalformedError
from entrepot.scanning.versions.cran import key


def test_keys_order_as_r_does() -> None:
    versions = ["0.9", "0.10", "0.75", "1.0", "1.0.0", "1.0-1", "1.0-10", "1.1"]

    assert sorted(versions, key=key) == versions
    assert key("1.0-01") == key("1.0.1")


@pytest.mark.parametrize("text", ["", "1.0-", ".1", "1.0a", "1..0", "1.0\n", "1.٢"])
def test_what_is_no_r_version_is_malformed(text: str) -> None:
    with pytest.raises(VersionMalformedError):
        key(text)


def test_a_key_never_has_more_than_512_bytes() -> None:
    with pytest.raises(VersionMalformedError):
        key("1" + ".1" * 200)
