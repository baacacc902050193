import pytest

from entrepot.scanning.errors import VersionMalformedError
from entrepot.scanning.versions.hackage import key


def test_keys_order_as_cabal_does() -> None:
    versions = ["0", "0.9", "0.10", "1", "1.0", "1.0.0", "1.0.1", "1.1"]

    assert sorted(versions, key=key) == versions
    assert len({key(version) for version in versions}) == len(versions)


@pytest.mark.parametrize("text", ["", "1.", ".1", "01", "1.01", "1.0-beta", "1.0\n", "1.٢"])
def test_what_cabal_refuses_is_malformed(text: str) -> None:
    with pytest.raises(VersionMalformedError):
        key(text)


def test_a_key_never_has_more_than_512_bytes() -> None:
    with pytest.raises(VersionMalformedError):
        key("1" + ".1" * 200)
