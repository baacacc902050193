import pytest

from entrepot.scanning.errors import VersionMalformedError
from entrepot.scanning.versions.maven import key


@pytest.mark.parametrize(
    "versions",
    [
        # The examples of the specification.
        ["1-snapshot", "1", "1-sp", "1-sp-1", "1-foo2", "1-foo10", "1-1", "1.1"],
        ["1-sp", "1-sp.1", "1-ga-1"],
        ["1-alpha", "1-alpha-1", "1-beta", "1-milestone", "1-rc", "1-SNAPSHOT", "1", "1-sp", "1-abc", "1-xyz", "1-1"],
        ["4.3.0.M1", "4.3.0.RC1", "4.3.0.RC1-1", "4.3.0.RC2", "4.3.0.BUILD-SNAPSHOT", "4.3.1"],
        ["2.9.0.RC1", "2.9.0", "2.9.0-1", "2.9.0.1", "2.10-rc1", "2.10"],
        ["9.4.0.RC0", "9.4.0.v20161208", "9.4.1.v20170120"],
        ["1-rc", "1-rc-1", "1-rc.1", "1", "1-0.1", "1.0.1"],
    ],
)
def test_keys_order_as_the_specification_says(versions: list[str]) -> None:
    assert sorted(versions, key=key) == versions
    assert len({key(version) for version in versions}) == len(versions)


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("1", "1.0.0"),
        ("1", "1.ga"),
        ("1", "1.0-FINAL"),
        ("1", "1.0.RELEASE"),
        ("1.", "1-"),
        ("1-a1", "1-alpha-1"),
        ("1.0.0-foo.0.0", "1-foo"),
        ("1.0.foo", "1-foo"),
        ("1-ga-1", "1.0-1"),
        ("1.0-cr2", "1.0RC2"),
        ("1-1.foo-bar-1-baz-0.1", "1-1.foo-bar1baz-.1"),
        ("1.01", "1.1"),
    ],
)
def test_other_spellings_of_one_version_have_one_key(left: str, right: str) -> None:
    assert key(left) == key(right)


def test_a_lone_letter_is_short_for_a_qualifier_only_before_digits() -> None:
    assert key("1b2") < key("1") < key("1b")
    assert key("1b.2") > key("1")


@pytest.mark.parametrize("text", ["", "unspecified", "${project.version}", "[1.0,2.0)", "1.0 ", "1.0\n", "1.٢", "1/2"])
def test_what_is_no_maven_version_is_malformed(text: str) -> None:
    with pytest.raises(VersionMalformedError):
        key(text)


def test_a_key_never_has_more_than_512_bytes() -> None:
    with pytest.raises(VersionMalformedError):
        key("1" + ".1" * 200)
