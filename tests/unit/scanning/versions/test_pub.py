import pytest

from entrepot.scanning.errors import VersionMalformedError
from entrepot.scanning.versions.pub import key


def test_build_metadata_comes_after_the_version_without_it() -> None:
    versions = [
        "1.0.0-a",
        "1.0.0-a+1",
        "1.0.0-b",
        "1.0.0",
        "1.0.0+2",
        "1.0.0+2.1",
        "1.0.0+11",
        "1.0.0+a",
        "1.0.1-a",
        "1.0.1",
    ]

    assert sorted(versions, key=key) == versions
    assert len({key(version) for version in versions}) == len(versions)


@pytest.mark.parametrize("text", ["", "1.0.0+", "1.0.0.0", "any", "^1.0.0"])
def test_what_is_no_dart_version_is_malformed(text: str) -> None:
    with pytest.raises(VersionMalformedError):
        key(text)


def test_a_key_never_has_more_than_512_bytes() -> None:
    with pytest.raises(VersionMalformedError):
        key("1.0.0+" + ".".join("a" * 200))
