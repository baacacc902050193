import pytest

from entrepot.scanning.errors import VersionMalformedError
from entrepot.scanning.versions.pep440 import key


def test_keys_order_as_the_specification_lists_them() -> None:
    versions = ["0.9", "1.dev0", "1a1.dev1", "1a1", "1a1.post1.dev1", "1a1.post1", "1b1", "1rc1.dev2", "1rc1", "1"]
    versions += [
        "1+abc",
        "1+abc.1",
        "1+5",
        "1+5.0",
        "1.post1.dev1",
        "1.post1",
        "1.0.1.dev1",
        "1.0.1",
        "1.1",
        "10",
        "1!0.1",
    ]

    assert sorted(versions, key=key) == versions
    assert len({key(version) for version in versions}) == len(versions)


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("1", "1.0.0"),
        ("v1.0", "1"),
        ("1.0-1", "1.post1"),
        ("1.0ALPHA1", "1a1"),
        ("1.0c1", "1rc1"),
        ("1+A_b-1", "1+a.b.1"),
    ],
)
def test_other_spellings_of_one_version_have_one_key(left: str, right: str) -> None:
    assert key(left) == key(right)


@pytest.mark.parametrize(
    "text", ["", "0.8.3ubuntu7.5", "0.7.11p3", "0.1-bulbasaur", "2019-09-12", "1..0", "9" * 251, "1" * 600]
)
def test_what_is_no_pep_440_version_is_malformed(text: str) -> None:
    with pytest.raises(VersionMalformedError):
        key(text)
