import pytest

from entrepot.scanning.model import OsRelease, Package
from entrepot.scanning.os import as_advised, namespace, os_name, parse_apk_repositories, parse_os_release


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
        ("rpm", release("almalinux", "9.4"), (), "almalinux:9"),
        ("rpm", release("rhel", "8.10"), (), "rhel:8"),
        ("rpm", release("rocky", "9"), (), "rocky:9"),
        ("rpm", release("fedora", "40"), (), "fedora:40"),
        ("rpm", release("sles", "15.5"), (), "sles:15.5"),
        ("rpm", release("opensuse-tumbleweed", "20240101"), (), "opensuse-tumbleweed"),
        ("rpm", release("rhel"), (), "unknown"),
        ("rpm", release("debian", "12"), (), "unknown"),
        ("rpm", None, (), "unknown"),
        ("npm", release("rhel", "9.4"), (), "npm"),
    ],
)
def test_a_namespace_is_the_packages_own_system(
    ecosystem: str, os: OsRelease | None, branches: tuple[str, ...], expected: str
) -> None:
    assert namespace(ecosystem, os, branches) == expected


@pytest.mark.parametrize(
    ("os", "expected"),
    [
        (release("almalinux", "9.4"), "almalinux:9"),
        (release("opensuse-leap", "15.6"), "opensuse-leap:15.6"),
        (release("debian", "12.5"), "debian:12"),
        (release("opensuse-tumbleweed", "20240101"), "opensuse-tumbleweed"),
    ],
)
def test_an_operating_system_is_named_as_the_namespace_of_its_packages(os: OsRelease, expected: str) -> None:
    assert os_name(os, ()) == expected


@pytest.mark.parametrize(
    ("namespace", "expected"),
    [("almalinux:9", ("bind-libs", "32:9.16-1")), ("rhel:9", ("bind-libs", "32:9.16-1")), ("rocky:9", ("bind", "9-2"))],
)
def test_a_package_is_compared_by_the_name_that_advisories_use(namespace: str, expected: tuple[str, str]) -> None:
    package = as_advised(Package("rpm", "bind-libs", "32:9.16-1", "x86_64", "bind", "9-2", "p"), namespace)

    assert (package.source_name, package.source_version) == expected


def test_apk_repositories_name_branches_but_not_by_pins_and_comments() -> None:
    data = b"""https://one.example/alpine/v3.20/main
https://one.example/alpine/v3.20/community
@testing https://one.example/alpine/edge/testing
#https://one.example/alpine/v3.19/main
/media/local/packages
"""
    assert parse_apk_repositories(data) == ("3.20",)
    assert parse_apk_repositories(b"http://x.example/edge/main\n") == ("edge",)
