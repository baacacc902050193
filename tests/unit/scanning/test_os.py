import pytest

from entrepot.scanning.model import OsRelease
from entrepot.scanning.os import namespace, os_name, parse_apk_repositories, parse_os_release


def release(id_: str, version: str = "") -> OsRelease:
    return OsRelease("etc/os-release", id_, version)


def test_os_release_values_lose_their_quotes() -> None:
    data = b"""# comment
PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"
ID=debian
VERSION_ID="12"
VERSION_CODENAME='bookworm'
"""

    assert parse_os_release("usr/lib/os-release", data) == OsRelease(
        "usr/lib/os-release", "debian", "12", "bookworm", "Debian GNU/Linux 12 (bookworm)"
    )


@pytest.mark.parametrize("data", [b"", b"\xff\xfe", b"ID='", b"ID=\x00", b"=", b"ID"])
def test_a_broken_os_release_names_nothing_known(data: bytes) -> None:
    assert os_name(parse_os_release("etc/os-release", data), ()) == "unknown"


@pytest.mark.parametrize(
    ("ecosystem", "os", "branches", "expected"),
    [
        ("deb", release("debian", "12"), (), "debian:12"),
        ("deb", release("debian", "12.5"), (), "debian:12"),
        ("deb", release("debian"), (), "unknown"),
        ("deb", release("ubuntu", "22.04"), (), "ubuntu:22.04"),
        ("deb", release("alpine", "3.20.1"), ("3.20",), "unknown"),
        ("deb", None, (), "unknown"),
        ("apk", release("alpine", "3.20.3"), (), "alpine:3.20"),
        ("apk", release("alpine", "3.20.3"), ("3.19",), "alpine:3.19"),
        ("apk", release("alpine", "3.20.3"), ("3.20", "edge"), "alpine:3.20"),
        ("apk", release("alpine", "3.20.3"), ("3.19", "edge"), "unknown"),
        ("apk", release("alpine", "3.21_alpha20240923"), (), "alpine:edge"),
        ("apk", release("alpine", "3.20.3"), ("edge",), "alpine:edge"),
        ("apk", None, ("3.20",), "alpine:3.20"),
        ("apk", release("wolfi", "20230201"), (), "wolfi"),
        ("apk", release("debian", "12"), (), "unknown"),
        ("apk", release("alpine", "three"), (), "unknown"),
        ("pypi", None, (), "pypi"),
    ],
)
def test_a_namespace_is_the_packages_own_system(
    ecosystem: str, os: OsRelease | None, branches: tuple[str, ...], expected: str
) -> None:
    assert namespace(ecosystem, os, branches) == expected


def test_apk_repositories_name_branches_but_not_by_pins_and_comments() -> None:
    data = b"""https://one.example/alpine/v3.20/main
https://one.example/alpine/v3.20/community
@testing https://one.example/alpine/edge/testing
#https://one.example/alpine/v3.19/main
/media/local/packages
"""
    assert parse_apk_repositories(data) == ("3.20",)
    assert parse_apk_repositories(b"http://x.example/edge/main\n") == ("edge",)
