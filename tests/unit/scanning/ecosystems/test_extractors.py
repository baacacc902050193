import io

import pytest

from entrepot.scanning.ecosystems.apk.extract import ApkExtractor
from entrepot.scanning.ecosystems.dpkg.extract import DpkgExtractor
from entrepot.scanning.ecosystems.python.extract import PythonExtractor
from entrepot.scanning.extractor import Extractor, MetadataInvalidError, lines
from entrepot.scanning.model import Package

STATUS = "var/lib/dpkg/status"


def extract(extractor: Extractor, path: str, data: bytes) -> list[Package]:
    return list(extractor.extract(path, io.BytesIO(data)))


def test_dpkg_matches_by_source_name_and_version() -> None:
    data = b"""Package: libgcc-s1
Status: install ok installed
Priority: optional
Architecture: amd64
Source: gcc-12 (12.2.0-14)
Version: 1:12.2.0-14+b1
Description: GCC support library
 Version: 9 is not a field here
"""
    assert extract(DpkgExtractor(), STATUS, data) == [
        Package("deb", "libgcc-s1", "1:12.2.0-14+b1", "amd64", "gcc-12", "12.2.0-14", STATUS)
    ]


def test_a_dpkg_source_without_a_version_has_the_packages_own() -> None:
    data = b"Package: libc6\nSource: glibc\nVersion: 2.36-9\nArchitecture: amd64\n"

    assert [(p.source_name, p.source_version) for p in extract(DpkgExtractor(), STATUS, data)] == [("glibc", "2.36-9")]


@pytest.mark.parametrize(
    ("status", "is_installed"),
    [
        (b"install ok installed", True),
        (b"hold ok installed", True),
        (b"install ok unpacked", True),
        (b"install reinstreq half-configured", True),
        (b"install ok triggers-pending", True),
        (b"deinstall ok config-files", False),
        (b"unknown ok not-installed", False),
    ],
)
def test_dpkg_skips_only_what_is_not_there(status: bytes, is_installed: bool) -> None:
    data = b"Package: a\nStatus: " + status + b"\nVersion: 1\n\n"

    assert bool(extract(DpkgExtractor(), STATUS, data)) is is_installed


def test_a_removed_dpkg_package_needs_no_version() -> None:
    data = b"Package: a\nStatus: unknown ok not-installed\n\nPackage: b\nVersion: 1\n"

    assert [p.name for p in extract(DpkgExtractor(), STATUS, data)] == ["b"]


def test_a_status_d_file_without_status_is_installed() -> None:
    path = "var/lib/dpkg/status.d/tzdata"

    assert extract(DpkgExtractor(), path, b"Package: tzdata\nVersion: 2024a-0\nArchitecture: all\n") == [
        Package("deb", "tzdata", "2024a-0", "all", "tzdata", "2024a-0", path)
    ]


def test_dpkg_wants_its_database_and_single_files_only() -> None:
    wants = DpkgExtractor().wants

    assert [wants(path) for path in (STATUS, "var/lib/dpkg/status.d/base")] == [True, True]
    assert not any(
        wants(path)
        for path in (
            "var/lib/dpkg/status-old",
            "var/lib/dpkg/status.d/base.md5sums",
            "var/lib/dpkg/status.d/a/b",
            "chroot/var/lib/dpkg/status",
        )
    )


@pytest.mark.parametrize(
    "broken",
    [b"Package: x\n", b"Version: 1\n", b"nonsense\n", b"Package: x\nVersion: 1\nSource: (1)\n"],
    ids=["no version", "no name", "no field", "no source"],
)
def test_a_broken_dpkg_paragraph_is_an_error_after_all_others(broken: bytes) -> None:
    packages = DpkgExtractor().extract(STATUS, io.BytesIO(broken + b"\nPackage: y\nVersion: 2\n"))

    assert next(packages).name == "y"
    with pytest.raises(MetadataInvalidError):
        next(packages)


def test_apk_matches_by_origin() -> None:
    data = b"C:Q1x=\nP:libcrypto3\nV:3.3.2-r0\nA:x86_64\no:openssl\nF:lib\nM:0:0:755\nR:libcrypto.so.3\na:0:0:755\n\n"
    data += b"P:musl\nV:1\n"

    assert extract(ApkExtractor(), "lib/apk/db/installed", data) == [
        Package("apk", "libcrypto3", "3.3.2-r0", "x86_64", "openssl", "3.3.2-r0", "lib/apk/db/installed"),
        Package("apk", "musl", "1", "", "musl", "1", "lib/apk/db/installed"),
    ]


def test_a_broken_apk_entry_is_an_error_after_all_others() -> None:
    packages = ApkExtractor().extract("lib/apk/db/installed", io.BytesIO(b"P:a\n\nP:b\nV:1\n\n"))

    assert next(packages).name == "b"
    with pytest.raises(MetadataInvalidError):
        next(packages)


def test_a_python_distribution_is_compared_by_its_normalized_name() -> None:
    path = "usr/lib/python3/dist-packages/Zope.Some_Thing-1.dist-info/METADATA"
    data = b"Metadata-Version: 2.1\nName: Zope.Some__Thing\nVersion: 1.0 \nSummary: x\n\nName: other\n"

    assert extract(PythonExtractor(), path, data) == [
        Package("pypi", "Zope.Some__Thing", "1.0", "", "zope-some-thing", "1.0", path)
    ]


def test_python_wants_installed_metadata() -> None:
    wants = PythonExtractor().wants

    assert all(map(wants, ("a/b-1.dist-info/METADATA", "a/b.egg-info/PKG-INFO", "a/b-1.egg-info")))
    assert not any(map(wants, ("a/METADATA", "a/PKG-INFO", "a/b.dist-info/RECORD", "a/b.egg-info/SOURCES.txt")))


@pytest.mark.parametrize("data", [b"", b"Name: a\n", b"\nName: a\nVersion: 1\n", b"Name: a\nVersion: " + b"1" * 2000])
def test_python_metadata_without_name_or_version_is_an_error(data: bytes) -> None:
    with pytest.raises(MetadataInvalidError):
        extract(PythonExtractor(), "a.egg-info", data)


def test_no_control_character_leaves_an_extractor() -> None:
    (package,) = extract(PythonExtractor(), "a.egg-info", b"Name: a\x1b[31m\xff\nVersion: 1\n")

    assert package.name == "a\\x1b[31m\\xff"


class Trickle:
    def __init__(self, data: bytes) -> None:
        self._rest = data

    def read(self, size: int) -> bytes:
        piece, self._rest = self._rest[: min(size, 3)], self._rest[min(size, 3) :]
        return piece


def test_lines_are_whole_however_the_bytes_come() -> None:
    assert list(lines(Trickle(b"ab\n\ncdefgh\nij"))) == [b"ab", b"", b"cdefgh", b"ij"]


def test_an_endless_line_comes_as_its_beginning() -> None:
    data = b"x" * 1_000_000 + b"\nnext\n"

    assert [len(line) for line in lines(io.BytesIO(data))] == [65_536, 4]
