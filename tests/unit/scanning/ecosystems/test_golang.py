"""Build information in programs by their description; programs of a real Go: integration/test_real_go.py."""

import io
import struct
from collections.abc import Callable

import pytest

from entrepot.scanning.ecosystems.golang.extract import GolangExtractor
from entrepot.scanning.executables import read_executable
from entrepot.scanning.extractor import MetadataInvalidError, aside
from tests.fakes.go_programs import DATA, GUARD, MAGIC, elf, information, information_by_pointers, mach_o, pe, varint
from tests.fakes.tars import codes, facts_of, program, tar

LINES = (
    "path\texample.com/app/cmd\n"
    "mod\texample.com/app\tv1.2.3\t\n"
    "dep\tgolang.org/x/text\tv0.3.0\th1:abc=\n"
    "dep\texample.com/old\tv1.0.0\n"
    "=>\texample.com/new\tv1.1.0\th1:def=\n"
    "dep\texample.com/local\tv2.0.0\n"
    "=>\t./local\t(devel)\t\n"
    "build\t-compiler=gc\n"
)
FOUND = [
    ("stdlib", "go1.20.3"),
    ("example.com/app", "v1.2.3"),
    ("golang.org/x/text", "v0.3.0"),
    ("example.com/new", "v1.1.0"),
    ("example.com/local", "(devel)"),
]

# The fields of an ELF header that lead to the sections' names, and what no linker writes there.
BROKEN_SECTIONS = {
    "table beyond the file": (40, "<Q", (1 << 64) - 1),
    "table of half its size": (58, "<H", 32),
    "more sections than there are": (60, "<H", 0xFF00),
    "no number of sections": (60, "<H", 0),
    "names in no section": (62, "<H", 3),
    "names in the section that is none": (62, "<H", 0),
}


def extract(data: bytes) -> list[tuple[str, str]]:
    read = read_executable(aside(io.BytesIO(data)))
    return [] if read is None else [(p.name, p.version) for p in GolangExtractor().extract("app", read)]


@pytest.mark.parametrize(
    "form",
    [
        elf,
        lambda data: elf(data, is_64=False),
        lambda data: elf(data, order=">"),
        lambda data: elf(data, section=""),
        pe,
        lambda data: pe(data, is_64=False),
        mach_o,
    ],
    ids=["ELF", "ELF of 32 bits", "ELF big-endian", "ELF without sections", "PE", "PE of 32 bits", "Mach-O"],
)
def test_modules_are_found_in_every_kind_of_program(form: Callable[[bytes], bytes]) -> None:
    assert extract(form(information("go1.20.3", LINES))) == FOUND


@pytest.mark.parametrize(
    "program",
    [
        elf(information_by_pointers("go1.20.3", LINES)),
        elf(information_by_pointers("go1.20.3", LINES, order=">"), order=">"),
        elf(information_by_pointers("go1.20.3", LINES, pointer_bytes=4), is_64=False),
        pe(information_by_pointers("go1.20.3", LINES)),
        mach_o(information_by_pointers("go1.20.3", LINES)),
    ],
    ids=["ELF", "ELF big-endian", "ELF of 32 bits", "PE", "Mach-O"],
)
def test_modules_behind_pointers_are_found(program: bytes) -> None:
    assert extract(program) == FOUND


def test_a_module_is_the_one_at_its_path_and_the_program() -> None:
    read = read_executable(aside(io.BytesIO(elf(information("go1.20.3", LINES)))))
    assert read is not None
    package = list(GolangExtractor().extract("usr/bin/app", read))[2]

    assert (package.ecosystem, package.source_name, package.source_version, package.path) == (
        *("go", "golang.org/x/text", "v0.3.0"),
        "usr/bin/app",
    )


@pytest.mark.parametrize(
    ("version", "shown", "compared"),
    [
        ("go1.22.3 X:boringcrypto", "go1.22.3", "go1.22.3"),
        ("go1.26.1-X:jsonv2", "go1.26.1", "go1.26.1"),
        ("go1.22rc1", "go1.22rc1", "go1.22rc1"),
        ("go1.19.13 (Red Hat 1.19.13-1.el9)", "go1.19.13 (Red Hat 1.19.13-1.el9)", "go1.19.13"),
        ("devel go1.23-7c2b69080a Tue", "devel go1.23-7c2b69080a Tue", "devel"),
    ],
)
def test_the_standard_library_has_go_s_version_without_experiments(version: str, shown: str, compared: str) -> None:
    read = read_executable(aside(io.BytesIO(elf(information(version, LINES)))))
    assert read is not None
    package = next(GolangExtractor().extract("app", read))

    assert (package.name, package.version, package.source_version) == ("stdlib", shown, compared)


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ('"-s -w -X main.version=v1.4.2"', "v1.4.2"),
        ("\"-X 'example.com/app/internal.Version=2.0.0-rc.1' -s\"", "2.0.0-rc.1"),
        ('"-X main.commit=1.2.3"', "(devel)"),
        ('"-X main.version=dev"', "(devel)"),
        ("-s", "(devel)"),
    ],
)
def test_a_main_module_without_a_version_has_the_one_that_was_linked_in(flags: str, expected: str) -> None:
    lines = f"mod\texample.com/app\t(devel)\t\nbuild\t-ldflags={flags}\n"

    assert extract(elf(information("go1.22.0", lines)))[1] == ("example.com/app", expected)


def test_a_program_without_modules_still_has_the_standard_library() -> None:
    assert extract(elf(information("go1.22.0", ""))) == [("stdlib", "go1.22.0")]


def test_a_program_of_another_language_has_no_packages() -> None:
    assert [extract(form(b"nothing")) for form in (elf, pe, mach_o)] == [[], [], []]


@pytest.mark.parametrize("text", [b"MZ is how this text begins".ljust(100), b"MZ", b"MZ".ljust(64, b"\xff")])
def test_what_only_begins_like_a_program_is_none(text: bytes) -> None:
    assert read_executable(aside(io.BytesIO(text))) is None


@pytest.mark.parametrize(
    "data",
    [
        MAGIC + b"\0\2" + bytes(16) + b"\xff\xff\xff\xff\x7f",
        MAGIC + b"\0\2" + bytes(16) + b"\x80" * 20,
        MAGIC + b"\0\2" + bytes(16) + b"\xff\x3fgo",
        MAGIC + b"\5\0" + bytes(16),
        MAGIC + b"\x08\0" + bytes(16),
        information("go1.2", "mod\t\tv1\n"),
        information("", LINES),
        information("g" * 1_025, LINES),
    ],
)
def test_broken_build_information_is_an_error(data: bytes) -> None:
    with pytest.raises(MetadataInvalidError):
        extract(elf(data))


@pytest.mark.parametrize("guarded", [GUARD + LINES.encode()[:-1] + GUARD, LINES.encode(), GUARD + GUARD, b"\n"])
def test_modules_that_are_there_and_not_guarded_are_an_error_after_the_standard_library(guarded: bytes) -> None:
    whole = information("go1.20.3", "")
    assert whole.endswith(b"\0")
    read = read_executable(aside(io.BytesIO(elf(whole[:-1] + varint(len(guarded)) + guarded))))
    assert read is not None
    packages = GolangExtractor().extract("app", read)

    assert next(packages).name == "stdlib"
    with pytest.raises(MetadataInvalidError):
        next(packages)


def test_a_table_of_headers_that_no_program_has_is_an_error() -> None:
    program = bytearray(elf(information("go1.22.0", LINES)))
    program[54:58] = b"\xff\xff\xff\xff"

    with pytest.raises(MetadataInvalidError):
        extract(bytes(program))


@pytest.mark.parametrize(("field", "form", "number"), BROKEN_SECTIONS.values(), ids=BROKEN_SECTIONS)
def test_broken_sections_do_not_hide_what_a_segment_has_and_are_noted(field: int, form: str, number: int) -> None:
    data = bytearray(elf(information("go1.20.3", LINES)))
    struct.pack_into(form, data, field, number)
    read = read_executable(aside(io.BytesIO(data)))
    assert read is not None

    assert extract(bytes(data)) == FOUND
    assert read.defect
    facts = facts_of(tar(program("bin/app", bytes(data))))
    assert (codes(facts), facts.complete) == (["analyser:executable:malformed"], False)
    assert [(p.name, p.version) for p in facts.packages] == FOUND


def test_a_program_whose_sections_were_stripped_is_whole() -> None:
    facts = facts_of(tar(program("bin/app", elf(information("go1.20.3", LINES), section=""))))

    assert (facts.complete, [(p.name, p.version) for p in facts.packages]) == (True, FOUND)


def test_magic_at_an_odd_place_is_no_build_information() -> None:
    program = elf(b"12345678" + MAGIC + b"\0\2" + bytes(100), section="")

    assert program.index(MAGIC, DATA) == DATA + 8
    assert extract(program) == []
