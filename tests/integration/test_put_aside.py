"""Members that must be read at any place, in a real, confined child: in memory, in its file, and without one."""

import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Callable

import pytest

from entrepot.oci.digest import Digest
from entrepot.scanning.layers.pool import LayerPool
from entrepot.scanning.model import LayerFacts
from tests.fakes.go_programs import elf, information
from tests.fakes.rpm_databases import bdb_database, ndb_database, plain, sqlite_database
from tests.fakes.tars import END, codes, facts_of, member, program, tar

LARGE = [plain(f"p{index}", filler="x" * 500_000) for index in range(12)]
PATHS = {"rpmdb.sqlite": sqlite_database, "Packages.db": ndb_database, "Packages": bdb_database}
PROGRAM = elf(information("go1.22.0", "mod\texample.com/app\tv1.0.0\t\n"), section="")


async def analysed(layer: bytes) -> LayerFacts:
    with tempfile.TemporaryFile() as file:
        file.write(layer)
        file.flush()
        async with LayerPool() as pool:
            return await pool.analyse(file, Digest.of(layer), len(layer))


@pytest.mark.parametrize(("name", "write"), PATHS.items(), ids=PATHS)
async def test_a_large_database_is_read_from_a_file(name: str, write: Callable[[list[bytes]], bytes]) -> None:
    facts = await analysed(tar(member(f"var/lib/rpm/{name}", write(LARGE))))

    assert (facts.problems, facts.complete) == ((), True)
    assert sorted(p.name for p in facts.databases[0].packages) == sorted(f"p{index}" for index in range(12))


async def test_each_member_is_put_aside_whole_and_alone() -> None:
    sizes = (9, 5, 1, 7)
    programs = [
        program(f"bin/{size}", elf(information("go1.22.0", f"mod\tm{size}\tv1\n")) + bytes(size << 20))
        for size in sizes
    ]
    facts = await analysed(tar(*programs, member("var/lib/rpm/rpmdb.sqlite", sqlite_database(LARGE))))

    assert (facts.problems, len(facts.databases[0].packages)) == ((), 12)
    assert [(p.path, p.name) for p in facts.packages] == [
        (f"bin/{size}", name) for size in sorted(sizes) for name in ("stdlib", f"m{size}")
    ]


def test_without_a_file_a_large_member_is_a_problem_and_a_small_one_none() -> None:
    facts = facts_of(tar(member("var/lib/rpm/Packages", ndb_database(LARGE)), program("bin/a", PROGRAM)))

    assert (codes(facts), facts.complete) == (["limit:spool"], False)
    assert [p.name for p in facts.packages] == ["stdlib", "example.com/app"]


@pytest.mark.parametrize("mode", [b"0000755\0", b"0000700\0", b"000711 \0", b"0000010\0", b"\x80\0\0\0\0\0\1\xed"])
def test_a_program_is_what_anyone_may_execute(mode: bytes) -> None:
    assert len(facts_of(tar(program("bin/a", PROGRAM, mode))).packages) == 2


def test_a_program_that_nobody_may_execute_is_not_looked_at_unless_it_is_for_windows() -> None:
    facts = facts_of(tar(member("a", PROGRAM), member("b.exe", PROGRAM), member("c", PROGRAM)))

    assert {p.path for p in facts.packages} == {"b.exe"}


def test_a_second_name_of_a_program_says_the_same() -> None:
    facts = facts_of(tar(program("bin/a", PROGRAM), member("bin/b", flag=b"1", link="bin/a")))

    assert (codes(facts), [p.path for p in facts.packages]) == ([], ["bin/a", "bin/a", "bin/b", "bin/b"])


def test_a_broken_program_is_a_problem_and_a_script_none() -> None:
    broken = b"\x7fELF\2\1".ljust(64, b"\xff")
    facts = facts_of(tar(program("bin/a", broken), program("bin/b", b"#!/bin/sh\n".ljust(100))))

    assert [(p.code, p.path) for p in facts.problems] == [("analyser:executable:malformed", "bin/a")]


def test_a_program_over_its_limit_is_a_problem() -> None:
    facts = facts_of(tar(program("bin/a", PROGRAM)), binary_bytes=len(PROGRAM) - 1)

    assert (codes(facts), facts.packages) == (["limit:member"], ())


def test_a_program_cut_short_is_cut() -> None:
    facts = facts_of(program("bin/a", PROGRAM)[:700] + END[:100])

    assert not facts.complete


def test_a_confined_process_writes_no_more_than_512_mib_into_its_file() -> None:
    code = """
        import tempfile
        from entrepot.scanning.layers.sandbox import confine
        file = tempfile.TemporaryFile(buffering=0)
        assert confine()
        file.seek((512 << 20) - 10)
        print(file.write(bytes(20)), flush=True)
        try:
            file.write(b"x")
        except OSError as error:
            print(error.errno)
    """
    ended = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=False)

    assert ended.stdout.split() == ["10", "27"], ended.stderr
