"""Databases that rpm itself wrote, and reads: our packages are those of `rpm -qa`, in each form.

Debian's rpm writes sqlite; db5.3_load writes the same headers as Berkeley DB, which that rpm still reads. It knows no
ndb: there the headers are rpm's, the pages are those of tests/fakes/rpm_databases.py.
"""

import io
import sqlite3
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from entrepot.scanning.ecosystems.rpm.extract import RpmExtractor
from tests.fakes.rpm_databases import bdb_database, ndb_database
from tests.real.programs import require_program

pytestmark = pytest.mark.xdist_group("real-rpm")

SPEC = """Name: demo
Version: 1.2~rc1
Release: 3.el9
Epoch: 2
Summary: s
License: MIT
Vendor: Some One <a@b.example>
%description
d
"""
PART = """%package part{0}
Summary: s
{1}
%description part{0}
{2}
"""
QUERY = "%{NAME}\t%{EPOCH}\t%{VERSION}-%{RELEASE}\t%{ARCH}\t%{SOURCERPM}\t%{VENDOR}\n"
# Azure Linux, toolkit/docs/how_it_works/5_misc.md, "RPM manifest file".
LIST_QUERY = (
    "%{NAME}\t%{VERSION}-%{RELEASE}\t%{INSTALLTIME}\t%{BUILDTIME}\t%{VENDOR}\t%{EPOCH}\t%{SIZE}\t%{ARCH}\t%{EPOCHNUM}"
    "\t%{SOURCERPM}\n"
)
LIST = "var/lib/rpmmanifest/container-manifest-2"
Row = tuple[str, str, str, str, str, str]


@dataclass(frozen=True, slots=True)
class Rpm:
    """The program, and the database that it wrote."""

    program: str
    database: Path

    def rows(self, folder: Path, backend: str) -> set[Row]:
        """What `rpm -qa` prints of a database, as our packages have it."""
        printed = self.printed(folder, backend, QUERY)
        return {row(line.split("\t")) for line in printed.splitlines() if not line.startswith("gpg-pubkey")}

    def printed(self, folder: Path, backend: str, query: str) -> str:
        command = [self.program, "--define", f"_db_backend {backend}", "--dbpath", str(folder), "-qa", "--qf", query]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    def headers(self) -> list[tuple[int, bytes]]:
        with sqlite3.connect(self.database) as connection:
            return connection.execute("SELECT hnum, blob FROM Packages").fetchall()


def row(fields: list[str]) -> Row:
    name, epoch, version, arch, source, vendor = fields
    prefix = "" if epoch in {"(none)", "0"} else f"{epoch}:"
    source_name, source_version, release = source.removesuffix(".src.rpm").rsplit("-", 2)
    return (name, prefix + version, arch, source_name, f"{prefix}{source_version}-{release}", vendor)


@pytest.fixture(scope="module")
def rpm(tmp_path_factory: pytest.TempPathFactory) -> Rpm:
    program, build = require_program("rpm"), require_program("rpmbuild")
    folder = tmp_path_factory.mktemp("rpm")
    parts = "".join(
        PART.format(index, "Version: 7\nEpoch: 0" if index % 3 else "BuildArch: noarch", "long " * index * 200)
        for index in range(40)
    )
    files = "%files\n" + "".join(f"%files part{index}\n" for index in range(40))
    (folder / "demo.spec").write_text(SPEC + parts + files)
    run(build, "-bb", "--define", f"_topdir {folder}", str(folder / "demo.spec"))
    packages = [str(path) for path in folder.glob("RPMS/*/*.rpm")]
    database = folder / "database"
    run(program, "--dbpath", str(database), "-i", "--justdb", "--nodeps", "--nosignature", *packages)
    return Rpm(program, database / "rpmdb.sqlite")


def run(*command: str, given: bytes = b"") -> None:
    ended = subprocess.run(command, input=given, capture_output=True, check=False)
    assert ended.returncode == 0, ended.stderr.decode()


def read(database: bytes, path: str = "var/lib/rpm/Packages") -> set[Row]:
    packages = list(RpmExtractor().extract(path, io.BytesIO(database)))
    found = {(p.name, p.version, p.arch, p.source_name, p.source_version, p.vendor) for p in packages}
    assert len(found) == len(packages)
    return found


def test_a_sqlite_database_has_the_packages_that_rpm_shows(rpm: Rpm) -> None:
    expected = rpm.rows(rpm.database.parent, "sqlite")

    assert len(expected) == 41
    assert read(rpm.database.read_bytes()) == expected


@pytest.mark.parametrize("page_bytes", [512, 4096, 65_536])
def test_a_berkeley_database_has_the_packages_that_rpm_shows(rpm: Rpm, tmp_path: Path, page_bytes: int) -> None:
    headers = rpm.headers()
    pairs = [(0, len(headers).to_bytes(4, "little")), *headers]
    lines = ["VERSION=3", "format=bytevalue", "type=hash", f"db_pagesize={page_bytes}", "HEADER=END"]
    lines += [f" {text}" for number, value in pairs for text in (number.to_bytes(4, "little").hex(), value.hex())]
    run(require_program("db5.3_load"), str(tmp_path / "Packages"), given="\n".join([*lines, "DATA=END", ""]).encode())
    expected = rpm.rows(tmp_path, "bdb_ro")

    assert len(expected) == 41
    assert read((tmp_path / "Packages").read_bytes()) == expected


def test_our_writer_of_berkeley_databases_is_understood_by_rpm(rpm: Rpm, tmp_path: Path) -> None:
    """What the unit tests read is what rpm reads."""
    database = bdb_database([header for _, header in rpm.headers()])
    (tmp_path / "Packages").write_bytes(database)
    expected = rpm.rows(rpm.database.parent, "sqlite")

    assert rpm.rows(tmp_path, "bdb_ro") == expected
    assert read(database) == expected


def test_the_list_that_rpm_prints_for_images_without_it_has_the_packages_that_rpm_shows(rpm: Rpm) -> None:
    printed = rpm.printed(rpm.database.parent, "sqlite", LIST_QUERY)

    assert read(printed.encode(), LIST) == rpm.rows(rpm.database.parent, "sqlite")


def test_an_ndb_database_has_the_packages_whose_headers_it_holds(rpm: Rpm) -> None:
    database = ndb_database([header for _, header in rpm.headers()])

    assert read(database) == rpm.rows(rpm.database.parent, "sqlite")
