import pytest

from entrepot.scanning.errors import VersionMalformedError
from entrepot.scanning.versions import semver
from entrepot.scanning.versions.golang import key


def test_pseudo_versions_order_by_their_base_and_time() -> None:
    versions = [
        "v0.0.0-20191109021931-daa7c04131f5",
        "v0.0.0-20200109021931-0aa7c04131f5",
        "v1.2.3-pre",
        "v1.2.3-pre.0.20191109021931-daa7c04131f5",
        "v1.2.3",
        "v1.2.4-0.20191109021931-daa7c04131f5",
        "v1.2.4",
        "v2.0.0+incompatible",
    ]

    assert sorted(versions, key=key) == versions
    assert key("v2.0.0+incompatible") == key("2.0.0")


@pytest.mark.parametrize(
    ("release", "version"),
    [
        ("go1.21rc2", "1.21.0-rc.2"),
        ("1.18beta1", "1.18.0-beta.1"),
        ("go1.20", "1.20.0"),
        ("go1.20.12", "1.20.12"),
        ("1.9.2rc2", "1.9.2-rc.2"),
    ],
)
def test_a_release_of_go_is_read_as_the_vulnerability_database_writes_it(release: str, version: str) -> None:
    assert key(release) == semver.key(version)


@pytest.mark.parametrize(
    "text", ["", "(devel)", "go", "devel go1.21-abc", "go1.21rc2 X:boringcrypto", "gov1.2.3", "go1"]
)
def test_what_is_neither_is_malformed(text: str) -> None:
    with pytest.raises(VersionMalformedError):
        key(text)
