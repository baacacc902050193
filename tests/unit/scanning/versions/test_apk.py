import pytest

from entrepot.scanning.errors import VersionMalformedError
from entrepot.scanning.versions.apk import key

REFUSED = [
    *("", "4.8.0.-r1", "6.6.2p1-r0", "0.1bc", "0.1a1", "0.1a.1", "0.1_pre2~", "0.1_foobar"),
    *("0.1-pre1.1", "0.1-r", "0.1-r2-r3", "0.1-r2_pre1", "0.1-r2.1", ".1", "a", "_pre1"),
    *("-r1", "0.1_", "0.1__alpha", "0.1_1_alpha", "1.0A", "1\n", "1.٢"),
]


@pytest.mark.parametrize(
    "versions",
    [
        [
            "1_alpha",
            "1_alpha1",
            "1_beta",
            "1_pre2",
            "1_rc",
            "1",
            "1-r0",
            "1-r1",
            "1-r10",
            "1_cvs",
            "1_svn",
            "1_git",
            "1_hg",
        ],
        ["1_hg9", "1_p", "1_p1-r0", "1_p2", "1_p10", "1a", "1b", "1.0", "1.00", "1.01", "1.1", "1.2", "1.10"],
        ["0.1.0_alpha_pre2", "0.1.0_alpha", "0.1.0_alpha-r1", "0.1.0_alpha0", "0.1.0"],
        ["1.0-r3", "1.0~1234", "1.0~1234-r1", "1.0~12345"],
        ["8.2.0", "8.2.001", "8.2.0015", "8.2.002", "8.2.1"],
    ],
)
def test_keys_order_as_apk_does(versions: list[str]) -> None:
    assert sorted(versions, key=key) == versions
    assert len({key(version) for version in versions}) == len(versions)


def test_leading_zeros_do_not_count_in_the_first_number_and_in_revisions() -> None:
    assert key("006-r01") == key("6-r1")


@pytest.mark.parametrize("text", REFUSED)
def test_what_apk_refuses_is_malformed(text: str) -> None:
    with pytest.raises(VersionMalformedError):
        key(text)


def test_a_key_never_has_more_than_512_bytes() -> None:
    assert len(key("1" + ".1" * 100)) <= 512
    with pytest.raises(VersionMalformedError):
        key("1" + ".1" * 200)
