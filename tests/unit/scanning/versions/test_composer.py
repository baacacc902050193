import pytest

from entrepot.scanning.errors import VersionMalformedError
from entrepot.scanning.versions.composer import key


@pytest.mark.parametrize(
    "versions",
    [
        ["1.0-dev", "1.0-alpha-dev", "1.0-alpha", "1.0-alpha2", "1.0b1", "1.0-RC1", "1.0-RC1.1", "1.0-RC10", "1.0"],
        ["1.0", "1.0-p1", "1.0-patch2", "1.0.0.1", "1.0.1-beta", "1.0.1", "1.10", "2"],
        ["2017-08-18", "2017.08.18", "2017-08-18-p1", "2017-08-19-RC1", "2017-08-19", "2018.01.01", "20170101"],
    ],
)
def test_keys_order_as_composer_does(versions: list[str]) -> None:
    ordered = sorted(versions, key=key)

    assert len({key(version) for version in versions}) == len(versions)
    assert ordered == versions


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("1", "v1.0.0.0"),
        ("1.0-beta.2", "1.0b2"),
        ("1.0.0-stable", "1.0.0"),
        ("1.0pl1", "1.0-patch1"),
        ("1.0+build", "1.0"),
        ("1.0.RC.1", "1.0-rc1"),
        ("2017-08-18", "2017:08:18"),
    ],
)
def test_other_spellings_of_one_version_have_one_key(left: str, right: str) -> None:
    assert key(left) == key(right)


@pytest.mark.parametrize(
    "text", ["dev-main", "2.x-dev", "2.0.x-dev", "trunk", "9999999-dev", "2.9999999.9999999.9999999-dev"]
)
def test_a_branch_is_malformed_for_its_name_does_not_tell_what_it_has(text: str) -> None:
    with pytest.raises(VersionMalformedError):
        key(text)


@pytest.mark.parametrize(
    "text", ["", "1.5.7c", "6.0.0-GM", "1.3.0r4", "1.2.3.4.5", "3.1.0.post1", "1.0\n", "1.٢", "^1.0"]
)
def test_what_composer_refuses_is_malformed(text: str) -> None:
    with pytest.raises(VersionMalformedError):
        key(text)


def test_a_long_run_of_digits_before_garbage_is_refused_at_once() -> None:
    with pytest.raises(VersionMalformedError):
        key(f"1.0-beta{'1' * 480}x")


def test_a_key_never_has_more_than_512_bytes() -> None:
    with pytest.raises(VersionMalformedError):
        key("1.0-beta" + ".1" * 200)
