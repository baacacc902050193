import io
import zlib

import pytest

from entrepot.scanning.ecosystems.rust.extract import RustExtractor
from entrepot.scanning.executables import read_executable
from entrepot.scanning.extractor import Aside, MetadataInvalidError
from tests.fakes.auditable import auditable, crates, elf
from tests.fakes.tars import codes, facts_of, program, tar

HELD = crates(("serde_json", "1.0.135"), ("cc", "1.2.0"), ("tool", "0.1.0"), cc="build", tool="runtime")


def read(data: bytes) -> list[tuple[str, str, str]]:
    executable = read_executable(Aside(io.BytesIO(data), len(data)))
    assert executable is not None
    return [(p.ecosystem, p.name, p.version) for p in RustExtractor().extract("usr/bin/tool", executable)]


def test_crates_are_those_linked_in_and_not_those_that_only_built() -> None:
    assert read(auditable(HELD)) == [("crates.io", "serde_json", "1.0.135"), ("crates.io", "tool", "0.1.0")]


def test_padding_after_the_stream_is_nothing() -> None:
    assert len(read(elf(zlib.compress(HELD) + bytes(100)))) == 2


def test_a_program_without_the_section_has_no_crates() -> None:
    assert read(elf(b"\x01" * 100, name=b".rodata")) == []


@pytest.mark.parametrize("damage", [(40, b"\xff" * 8), (62, b"\x03\0"), (62, b"\xff\xff"), (62, b"\0\0")])
def test_a_program_whose_sections_are_broken_may_have_crates_so_the_layer_is_not_complete(
    damage: tuple[int, bytes],
) -> None:
    at, patch = damage
    data = bytearray(auditable(HELD))
    data[at : at + len(patch)] = patch
    facts = facts_of(tar(program("usr/bin/tool", bytes(data))))

    assert (facts.packages, facts.complete, codes(facts)) == ((), False, ["analyser:executable:malformed"])


@pytest.mark.parametrize(
    "section",
    [
        b"",
        b"not zlib",
        zlib.compress(HELD)[:-10],
        zlib.compress(b"[]"),
        zlib.compress(b"{"),
        zlib.compress(b"[" * 100_000),
        zlib.compress(b'{"packages": [{"name": "a"}]}'),
        zlib.compress(bytes((8 << 20) + 1)),
        bytes((1 << 20) + 1),
    ],
    ids=["empty", "no zlib", "cut", "array", "no JSON", "depth", "no version", "bomb", "large"],
)
def test_a_section_that_holds_no_list_is_an_error(section: bytes) -> None:
    with pytest.raises(MetadataInvalidError):
        read(elf(section))


def test_a_program_in_a_layer_is_read_by_what_it_is_not_by_its_name() -> None:
    facts = facts_of(tar(program("usr/bin/tool", auditable(HELD))))

    assert ([p.name for p in facts.packages], codes(facts)) == (["serde_json", "tool"], [])
