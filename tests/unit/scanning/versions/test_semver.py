import pytest

from entrepot.scanning.errors import VersionMalformedError
from entrepot.scanning.versions.semver import key


@pytest.mark.parametrize(
    "versions",
    [
        # Section 11 of the specification.
        ["1.0.0-alpha", "1.0.0-alpha.1", "1.0.0-alpha.beta", "1.0.0-beta", "1.0.0-beta.2", "1.0.0-beta.11"],
        ["1.0.0-beta.11", "1.0.0-rc.1", "1.0.0", "1.0.1", "1.1.0", "1.2.0", "1.10.0", "2.0.0-0", "2.0.0"],
        ["0.0.0-0", "0.0.0-0.0", "0.0.0--", "0.0.0-0a", "0.0.0-A", "0.0.0-a", "0.0.0"],
    ],
)
def test_keys_order_as_the_specification_says(versions: list[str]) -> None:
    assert sorted(versions, key=key) == versions
    assert len({key(version) for version in versions}) == len(versions)


@pytest.mark.parametrize(
    ("left", "right"), [("v1.2.3", "1.2.3"), ("1.2.3+b.01", "1.2.3"), ("1.2", "1.2.0"), ("1", "1.0.0")]
)
def test_other_spellings_of_one_version_have_one_key(left: str, right: str) -> None:
    assert key(left) == key(right)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "v",
        "1.2.3.4",
        "01.2.3",
        "1.2.3-01",
        "1.2.3-",
        "1.2.3-a..b",
        "1.2-rc1",
        "1.2.3+",
        "^1.2.3",
        "1.2.x",
        "1.2.3\n",
    ],
)
def test_what_is_no_semantic_version_is_malformed(text: str) -> None:
    with pytest.raises(VersionMalformedError):
        key(text)


def test_a_key_never_has_more_than_512_bytes() -> None:
    with pytest.raises(VersionMalformedError):
        key("1.0.0-" + ".".join("a" * 200))
