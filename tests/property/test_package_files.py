"""Damaged databases and programs give packages and MetadataInvalidError, and nothing else, in bounded time."""

import contextlib
import io
from collections.abc import Iterable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from entrepot.scanning.ecosystems.golang.extract import GolangExtractor
from entrepot.scanning.ecosystems.npm.extract import NpmExtractor
from entrepot.scanning.ecosystems.rpm.extract import RpmExtractor
from entrepot.scanning.executables import read_executable
from entrepot.scanning.extractor import Aside, MetadataInvalidError, aside
from entrepot.scanning.model import Package
from tests.fakes.damage import damaged
from tests.fakes.go_programs import elf, information, information_by_pointers, mach_o, pe
from tests.fakes.rpm_databases import bdb_database, ndb_database, plain, sqlite_database

HEADERS = [plain(f"p{index}", filler="x" * (600 * index), epoch=index) for index in range(7)]
LINES = "mod\ta.example/b\tv1.0.0\t\ndep\tc.example/d\tv2.0.0\t\n=>\te.example/f\tv3.0.0\t\n"
DATABASES = {
    "sqlite": sqlite_database(HEADERS, 512),
    "ndb": ndb_database(HEADERS),
    "bdb": bdb_database(HEADERS),
}
PROGRAMS = {
    "elf": elf(information("go1.22.0", LINES)),
    "elf32": elf(information_by_pointers("go1.17.0", LINES, pointer_bytes=4), is_64=False),
    "elf pointers": elf(information_by_pointers("go1.17.0", LINES), section=""),
    "pe": pe(information("go1.22.0", LINES)),
    "mach-o": mach_o(information("go1.22.0", LINES)),
}
MOST_READ = 64
"""How many times its own size a file may be read."""


class Counting(io.BytesIO):
    """A file that counts what is read of it."""

    count = 0

    def read(self, size: int | None = -1, /) -> bytes:
        data = super().read(size)
        self.count += len(data)
        return data


def kept(packages: Iterable[Package]) -> list[Package]:
    """The packages up to the error, the only one that may come."""
    found: list[Package] = []
    with contextlib.suppress(MetadataInvalidError):
        found.extend(_each(packages))
    return found


def _each(packages: Iterable[Package]) -> Iterator[Package]:
    for package in packages:
        assert package.name.isprintable()
        assert package.version.isprintable()
        yield package


def linked(file: Aside) -> list[Package]:
    try:
        program = read_executable(file)
    except MetadataInvalidError:
        return []
    return kept(GolangExtractor().extract("p", program)) if program is not None else []


@pytest.mark.parametrize("form", DATABASES)
@given(st.data())
def test_a_damaged_database_gives_packages_or_its_error(form: str, data: st.DataObject) -> None:
    whole = data.draw(damaged(DATABASES[form]))
    first = kept(RpmExtractor().extract("var/lib/rpm/Packages", io.BytesIO(whole)))

    assert first == kept(RpmExtractor().extract("var/lib/rpm/Packages", io.BytesIO(whole)))


@pytest.mark.parametrize("form", PROGRAMS)
@given(st.data())
def test_a_damaged_program_gives_packages_or_its_error(form: str, data: st.DataObject) -> None:
    whole = data.draw(damaged(PROGRAMS[form]))
    file = Counting(whole)
    first = linked(Aside(file, len(whole)))

    assert first == linked(aside(io.BytesIO(whole)))
    assert file.count <= MOST_READ * len(whole)


@given(
    st.sampled_from((b"SQLite format 3\0", b"RpmP\0\0\0\0", bytes(12) + b"\x61\x15\x06\0")), st.binary(max_size=3_000)
)
def test_any_bytes_behind_a_databases_magic_give_its_error(magic: bytes, rest: bytes) -> None:
    kept(RpmExtractor().extract("var/lib/rpm/Packages", io.BytesIO(magic + rest)))


@given(st.sampled_from((b"\x7fELF\2\1", b"\x7fELF\1\2", b"MZ", b"\xcf\xfa\xed\xfe", b"\xfe\xed\xfa\xce")), st.binary())
def test_any_bytes_behind_a_programs_magic_give_its_error(magic: bytes, rest: bytes) -> None:
    linked(aside(io.BytesIO(magic + rest)))


@given(st.binary(max_size=400) | st.text(max_size=400).map(str.encode))
def test_any_package_json_gives_at_most_one_package(data: bytes) -> None:
    assert len(kept(NpmExtractor().extract("node_modules/a/package.json", io.BytesIO(data)))) <= 1


@pytest.mark.parametrize("form", DATABASES)
def test_a_database_cut_short_anywhere_gives_all_its_packages_or_its_error(form: str) -> None:
    whole = DATABASES[form]
    extract = RpmExtractor().extract
    complete = list(extract("p", io.BytesIO(whole)))

    assert len(complete) == len(HEADERS)
    for end in sorted({*range(0, len(whole), 97), *range(0, len(whole), 512)}):
        found: list[Package] = []
        try:
            found.extend(_each(extract("p", io.BytesIO(whole[:end]))))
        except MetadataInvalidError:
            assert found == complete[: len(found)]
        else:
            assert found == complete


@pytest.mark.parametrize("form", PROGRAMS)
def test_a_program_cut_short_anywhere_gives_no_more_than_the_whole(form: str) -> None:
    whole = PROGRAMS[form]
    complete = linked(aside(io.BytesIO(whole)))

    assert complete
    for end in range(0, len(whole), 97):
        assert len(linked(aside(io.BytesIO(whole[:end])))) <= len(complete)
