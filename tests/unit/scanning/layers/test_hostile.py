"""Layers that no honest program writes: each ends as partial with its reason, or is read as a runtime reads it."""

import gzip
import io
import random
import struct
from collections.abc import Iterator
from itertools import chain

import pytest
import zstandard

from entrepot.oci.digest import Digest
from entrepot.scanning.layers.analyse_stream import analyse_stream
from entrepot.scanning.layers.limits import LayerLimits
from entrepot.scanning.model import LayerFacts
from tests.fakes.go_programs import elf, information
from tests.fakes.tars import (
    END,
    GNU,
    apk_installed,
    codes,
    directory,
    dpkg_status,
    facts_of,
    gz,
    header,
    member,
    padded,
    pax,
    program,
    record,
    symlink,
    tar,
)

STATUS = "var/lib/dpkg/status"
BASH = member(STATUS, dpkg_status(("bash", "5")))
CURL = member(STATUS, dpkg_status(("curl", "7")))


def names(facts: LayerFacts) -> list[str]:
    return [p.name for p in chain(*(d.packages for d in facts.databases), facts.packages)]


def assert_cut(facts: LayerFacts, code: str) -> None:
    assert code in [problem.code for problem in facts.problems if problem.cut]
    assert not facts.complete


def test_an_honest_layer_is_complete() -> None:
    facts = facts_of(gz(tar(directory("var"), BASH)))

    assert (facts.complete, facts.members, names(facts), facts.problems) == (True, 2, ["bash"], ())


@pytest.mark.parametrize("step", [512])
def test_a_layer_truncated_at_any_block_is_cut(step: int) -> None:
    whole = tar(directory("var"), BASH, pax({b"comment": b"x"}), symlink("a", "b"))
    for end in range(0, len(whole) - 512, step):
        facts = facts_of(whole[:end])

        assert_cut(facts, f"corrupt:{end}")
        assert facts.diff_id == ""


def test_a_truncated_gzip_is_cut_wherever_it_ends() -> None:
    noise = random.Random(3).randbytes(20_000)  # noqa: S311
    whole = gz(tar(BASH, member("noise", noise)))
    for end in range(18, len(whole), 997):
        facts = facts_of(whole[:end])

        assert not facts.complete
        assert any(code.startswith("corrupt:") for code in codes(facts))
    assert names(facts_of(whole[:15_000])) == ["bash"]


def test_a_payload_cut_short_keeps_the_packages_before_the_cut() -> None:
    data = dpkg_status(*((f"p{index}", "1") for index in range(100)))
    whole = tar(member(STATUS, data))

    assert 10 < len(names(facts_of(whole[:4096]))) < 60


def test_one_zero_block_at_the_end_is_an_end() -> None:
    assert facts_of(BASH + bytes(512)).complete


@pytest.mark.parametrize("tail", [BASH, b"x", bytes(5_000) + b"x"])
def test_bytes_after_the_end_are_noted_and_not_read(tail: bytes) -> None:
    facts = facts_of(tar() + tail)

    assert (facts.complete, codes(facts), facts.databases) == (True, ["trailing_data"], ())


def test_zeros_after_the_end_are_nothing() -> None:
    assert facts_of(tar(BASH) + bytes(100_000)).problems == ()


def test_a_header_after_one_zero_block_is_cut() -> None:
    assert_cut(facts_of(bytes(512) + tar(BASH)), "corrupt:1024")


def test_other_bytes_than_the_digest_says_are_cut() -> None:
    facts = analyse_stream(io.BytesIO(tar(BASH)), Digest.of(b"other"), 5, LayerLimits())

    assert_cut(facts, "digest_mismatch")


@pytest.mark.parametrize(
    "size",
    [b"\xff" * 12, b"\x80" + b"\xff" * 11, b"-0000000001\0", b"0000000009\0", b"12 34567890", b"+7"],
    ids=["negative base 256", "over 2^63", "minus", "not octal", "blank inside", "plus"],
)
def test_an_impossible_size_is_cut(size: bytes) -> None:
    assert_cut(facts_of(BASH + header(b"x", size=size) + END), f"corrupt:{len(BASH) + 512}")


@pytest.mark.parametrize("size", [b"\x80" + bytes(9) + b"\x02\x00", b"   1000 ", b"1000\0\0\0\0", b"00000001000"])
def test_every_way_to_write_512_is_read(size: bytes) -> None:
    facts = facts_of(tar(header(b"x", size=size) + bytes(512), BASH))

    assert (facts.complete, names(facts)) == (True, ["bash"])


def test_a_wrong_checksum_is_cut_and_what_was_read_stays() -> None:
    broken = bytearray(member("x"))
    broken[0] ^= 1
    facts = facts_of(tar(BASH, bytes(broken), CURL))

    assert_cut(facts, f"corrupt:{len(BASH) + 512}")
    assert names(facts) == ["bash"]


def test_both_forms_of_checksum_are_right() -> None:
    name = "öäü".encode()

    assert facts_of(tar(header(name, is_signed=True), header(name))).members == 2


def test_a_path_with_dots_is_not_used() -> None:
    facts = facts_of(tar(member("opt/../" + STATUS, dpkg_status(("bash", "5"))), member("../x"), member("a/..")))

    assert (codes(facts), facts.databases, facts.members) == (["path_escape"] * 3, (), 0)
    assert_cut(facts, "path_escape")


@pytest.mark.parametrize("path", ["./" + STATUS, "/" + STATUS, "var//lib/./dpkg/status", ".//" + STATUS])
def test_a_path_is_the_same_however_it_is_written(path: str) -> None:
    facts = facts_of(tar(member(path, dpkg_status(("bash", "5")))))

    assert ([d.path for d in facts.databases], facts.complete) == ([STATUS], True)


def test_a_nul_in_a_path_is_refused() -> None:
    assert_cut(facts_of(tar(pax({b"path": STATUS.encode() + b"\0.txt"}), member("x"))), "path_nul")


def test_names_that_are_no_utf_8_or_hold_a_line_feed_are_read() -> None:
    facts = facts_of(tar(header(b"a\xff\n/.wh.b\xfe"), header(b"a\xfe\n/.wh.b")))

    assert (facts.whiteouts, facts.complete) == (("a\\xfe\n/b", "a\\xff\n/b\\xfe"), True)


def test_a_path_of_4096_bytes_is_read_and_a_longer_one_skipped() -> None:
    ending = b"/a.egg-info"
    data = b"Name: a\nVersion: 1\n"

    def at(length: int) -> bytes:
        return pax({b"path": b"d" * (length - len(ending)) + ending}) + member("x", data)

    assert names(facts_of(tar(at(4096)))) == ["a"]
    facts = facts_of(tar(at(4097), BASH))
    assert_cut(facts, "limit:path")
    assert names(facts) == ["bash"]


def test_a_depth_of_512_is_read_and_more_skipped() -> None:
    def at(depth: int) -> bytes:
        return pax({b"path": b"a/" * (depth - 1) + b"b"}) + member("x")

    assert facts_of(tar(at(512))).complete
    assert_cut(facts_of(tar(at(513))), "limit:depth")
    assert_cut(facts_of(tar(pax({b"path": b"a/" * 10_000}) + member("x"))), "limit:path")


def test_many_problems_of_a_kind_are_counted() -> None:
    facts = facts_of(tar(*[member("../x")] * 500), problems_per_code=3)

    assert (len(facts.problems), facts.problems[-1].detail) == (4, "and 497 more")


def test_members_are_limited() -> None:
    assert facts_of(tar(*[member("x")] * 100), members=100).complete
    facts = facts_of(tar(BASH, *[member("x")] * 100), members=100)
    assert_cut(facts, "limit:members")
    assert (facts.members, names(facts)) == (100, ["bash"])


def test_headers_that_never_come_to_a_member_are_limited() -> None:
    assert_cut(facts_of(tar(*[pax({b"path": b"x"})] * 200), members=100), "limit:members")
    assert_cut(
        facts_of(tar(*[header(b"g", size=3, flag=b"L", magic=GNU) + padded(b"abc")] * 200), members=100),
        "limit:members",
    )


def test_an_endless_gnu_name_is_skipped_with_its_member() -> None:
    size = 3 << 20
    long = header(b"././@LongLink", size=size, flag=b"L", magic=GNU) + b"a" * size
    facts = facts_of(tar(long, CURL, BASH))

    assert_cut(facts, "limit:path")
    assert names(facts) == ["bash"]


def test_gnu_long_names_and_links_are_read() -> None:
    path = "x/" * 60 + "a.egg-info"
    long = header(b"././@LongLink", size=len(path) + 1, flag=b"L", magic=GNU) + padded(path.encode() + b"\0")
    target = "y/" * 100 + "z"
    link = header(b"././@LongLink", size=len(target) + 1, flag=b"K", magic=GNU) + padded(target.encode() + b"\0")
    facts = facts_of(tar(long, member("cut", b"Name: a\nVersion: 1\n"), link, symlink("lib", "cut")))

    assert [p.path for p in facts.packages] == [path]
    assert [link.target for link in facts.links] == [target]


def test_the_prefix_of_posix_is_read_and_the_gnu_one_is_none() -> None:
    posix = header(b"a.egg-info", size=19, prefix=b"opt") + padded(b"Name: a\nVersion: 1\n")
    gnu = header(b"b.egg-info", size=19, prefix=b"123", magic=GNU) + padded(b"Name: b\nVersion: 1\n")
    v7 = header(b"c.egg-info", size=19, prefix=b"123", magic=b"", flag=b"\0") + padded(b"Name: c\nVersion: 1\n")

    assert [p.path for p in facts_of(tar(posix, gnu, v7)).packages] == ["b.egg-info", "c.egg-info", "opt/a.egg-info"]


def test_the_pax_size_beats_the_headers() -> None:
    status = dpkg_status(("bash", "5"))
    lying = pax({b"size": b"%d" % len(status)}) + header(STATUS.encode(), size=0) + padded(status)

    assert names(facts_of(tar(lying, member("a.egg-info", b"Name: a\nVersion: 1\n")))) == ["bash", "a"]


@pytest.mark.parametrize(
    "data",
    [
        b"7 a=b",
        b"99 a=b\n",
        b"6 ab=\n7 x",
        b"x a=b\n",
        b"5 =b\n",
        b"-6 a=b\n",
        b"0 a=b\n",
        b"1" * 400,
        record(b"size", b"-1"),
        record(b"size", b"9" * 30),
        record(b"size", b"1_0"),
    ],
)
def test_broken_pax_records_are_cut(data: bytes) -> None:
    facts = facts_of(tar(BASH, pax(data), CURL))

    assert any(code.startswith("corrupt:") for code in codes(facts))
    assert names(facts) == ["bash"]


def test_pax_records_are_limited() -> None:
    big = {b"SCHILY.xattr.user.a": b"x" * ((64 << 10) - 40)}

    assert facts_of(tar(pax(big), BASH)).complete
    facts = facts_of(tar(pax({b"SCHILY.xattr.user.a": b"x" * (65 << 10)}), CURL, member("x")))
    assert_cut(facts, "limit:pax")
    assert names(facts) == []
    many = b"".join(record(b"k%d" % index, b"x" * 60_000) for index in range(18))
    assert_cut(facts_of(tar(pax(many), CURL, BASH)), "limit:pax")
    assert names(facts_of(tar(pax(many), CURL, BASH))) == ["bash"]


def test_an_empty_pax_value_leaves_the_headers() -> None:
    assert names(facts_of(tar(pax({b"path": b"", b"size": b""}), BASH))) == ["bash"]


def test_a_global_header_changes_no_name_but_is_not_passed_over() -> None:
    facts = facts_of(tar(pax({b"path": b"elsewhere"}, flag=b"g"), BASH))

    assert_cut(facts, "pax_global")
    assert names(facts) == ["bash"]
    assert facts_of(tar(pax({b"comment": b"52 characters of commit"}, flag=b"g"), BASH)).complete


@pytest.mark.parametrize("flag", [b"1", b"2", b"3", b"4", b"5", b"6"])
def test_a_member_that_has_no_payload_has_none_whatever_its_size(flag: bytes) -> None:
    facts = facts_of(tar(header(b"x", size=len(BASH), flag=flag, link=b"y"), BASH))

    assert (facts.complete, names(facts)) == (True, ["bash"])


def test_an_old_directory_is_told_by_its_slash() -> None:
    facts = facts_of(tar(header(b"var/", flag=b"\0", size=512, magic=b""), BASH))

    assert (facts.directories, names(facts), facts.complete) == (("var",), ["bash"], True)


def test_a_sparse_bomb_costs_what_it_holds() -> None:
    bomb = {b"GNU.sparse.major": b"1", b"GNU.sparse.minor": b"0", b"GNU.sparse.realsize": b"9" * 18}
    facts = facts_of(tar(pax(bomb | {b"GNU.sparse.name": b"big"}), member("GNUSparseFile.0/big", b"1\n0\n0\n"), BASH))

    assert (facts.complete, names(facts)) == (True, ["bash"])


def test_a_sparse_database_is_cut_not_misread() -> None:
    fields = {b"GNU.sparse.major": b"1", b"GNU.sparse.minor": b"0", b"GNU.sparse.name": STATUS.encode()}

    assert_cut(facts_of(tar(pax(fields), member("GNUSparseFile.0/status", dpkg_status(("a", "1"))))), "sparse_member")


@pytest.mark.parametrize("minor", [b"0", b"1"])
def test_a_sparse_program_is_cut_whatever_its_payload_begins_with(minor: bytes) -> None:
    major = b"1" if minor == b"0" else b"0"
    fields = {b"GNU.sparse.major": major, b"GNU.sparse.minor": minor, b"GNU.sparse.name": b"usr/bin/app"}
    data = elf(information("go1.22.0", "mod\texample.com/app\tv1.0.0\t\n"))
    payload = padded(b"1\n0\n%d\n" % len(data)) + data if major == b"1" else data[16:]

    assert_cut(facts_of(tar(pax(fields), program("GNUSparseFile.0/app", payload))), "sparse_member")
    assert facts_of(tar(pax(fields), member("GNUSparseFile.0/app", payload))).complete


def test_an_old_gnu_sparse_map_is_passed_over() -> None:
    first = bytearray(header(b"big", size=512, flag=b"S", magic=GNU))
    first[482] = 1
    first[148:156] = b" " * 8
    first[148:156] = b"%06o\0 " % sum(first)
    more, last = bytearray(512), bytearray(512)
    more[504] = 1
    facts = facts_of(tar(bytes(first) + bytes(more) + bytes(last) + b"x" * 512, BASH))

    assert (facts.complete, facts.members, names(facts)) == (True, 2, ["bash"])


def test_the_last_of_two_databases_counts_and_both_are_noted() -> None:
    facts = facts_of(tar(BASH, CURL))

    assert (names(facts), codes(facts), facts.complete) == (["curl"], ["duplicate"], True)


def test_what_takes_a_directorys_place_takes_what_is_below() -> None:
    for other in (symlink("var/lib/dpkg", "/opt"), member("var/lib/dpkg"), member("var", flag=b"3")):
        assert names(facts_of(tar(BASH, other))) == []
    assert names(facts_of(tar(BASH, directory("var/lib/dpkg"), member("var/lib/dpkgx")))) == ["bash"]


def test_a_hard_link_to_metadata_is_the_same_metadata() -> None:
    first = member("cache/a.dist-info/METADATA", b"Name: a\nVersion: 1\n")
    facts = facts_of(tar(first, member("app/a.dist-info/METADATA", flag=b"1", link="./cache/a.dist-info/METADATA")))

    assert [(p.name, p.path) for p in facts.packages] == [
        ("a", "app/a.dist-info/METADATA"),
        ("a", "cache/a.dist-info/METADATA"),
    ]


@pytest.mark.parametrize("target", ["later", "/etc/passwd", STATUS, "../" + STATUS])
def test_a_database_that_links_to_what_was_not_read_is_cut(target: str) -> None:
    facts = facts_of(tar(member(STATUS, flag=b"1", link=target), member("later", dpkg_status(("a", "1")))))

    assert_cut(facts, "unresolved_link")


def test_a_whiteout_of_a_parent_is_refused() -> None:
    for name in (".wh...", "a/.wh..", "a/.wh."):
        facts = facts_of(tar(member(name)))

        assert_cut(facts, "path_escape")
        assert facts.whiteouts == ()


def test_the_books_of_aufs_are_no_whiteouts() -> None:
    facts = facts_of(
        tar(member(".wh..wh.aufs"), directory(".wh..wh.plnk"), member("a/.wh..wh..opq"), member("a/.wh.b"))
    )

    assert (facts.whiteouts, facts.opaques, facts.complete) == (("a/b",), ("a",), True)


def test_a_member_over_its_limit_is_not_read() -> None:
    assert_cut(facts_of(tar(BASH), database_bytes=10), "limit:member")
    assert_cut(facts_of(tar(member("a.egg-info", b"Name: a\nVersion: 1\n")), metadata_bytes=10), "limit:member")
    assert_cut(facts_of(tar(member("etc/os-release", b"ID=debian\n" * 9)), text_bytes=10), "limit:member")


def packages(number: int) -> Iterator[tuple[str, str]]:
    return ((f"p{index}", "1") for index in range(number))


def test_packages_are_limited() -> None:
    layer = tar(member(STATUS, dpkg_status(*packages(50))))

    assert facts_of(layer, packages=50).complete
    facts = facts_of(layer, packages=49)
    assert_cut(facts, "limit:facts")
    assert len(names(facts)) == 49


def test_whiteouts_are_limited_in_number_and_in_text() -> None:
    layer = tar(*[member(f"d/.wh.{index:03}") for index in range(50)])

    assert facts_of(layer, entries=50).complete
    for facts in (facts_of(layer, entries=49), facts_of(layer, facts_characters=49 * 5)):
        assert_cut(facts, "limit:facts")
        assert len(facts.whiteouts) == 49


def test_malformed_metadata_is_a_reason_and_costs_no_room() -> None:
    facts = facts_of(tar(BASH, *[member(f"{index}.egg-info", b"nothing") for index in range(100)]), packages=5)

    assert_cut(facts, "analyser:python:malformed")
    assert names(facts) == ["bash"]


def test_a_gzip_bomb_is_cut() -> None:
    facts = facts_of(gz(tar(BASH, member("zeros", bytes(30 << 20)))))

    assert_cut(facts, "limit:ratio")
    assert names(facts) == ["bash"]


def test_a_gzip_in_a_gzip_is_no_tar() -> None:
    assert_cut(facts_of(gz(gz(tar(BASH)) + bytes(1024))), "corrupt:512")


def test_a_zstd_window_of_2_gib_is_cut() -> None:
    window = bytes(((31 - 10) << 3,))

    assert_cut(facts_of(b"\x28\xb5\x2f\xfd\x00" + window + b"\x01\x00\x00"), "limit:window")


def test_a_zstd_layer_of_many_frames_is_read() -> None:
    whole = tar(directory("var"), BASH)
    skip = struct.pack("<II", 0x184D2A53, 4) + b"toc!"
    frames = [zstandard.compress(whole[at : at + 700]) + skip for at in range(0, len(whole), 700)]

    assert names(facts_of(b"".join(frames))) == ["bash"]


def test_a_gzip_layer_of_many_members_is_read() -> None:
    whole = tar(directory("var"), BASH)

    assert names(facts_of(b"".join(gzip.compress(whole[at : at + 300]) for at in range(0, len(whole), 300)))) == [
        "bash"
    ]


@pytest.mark.parametrize("layer", [b"", b"\0", bytes(511), b"\x1f\x8b", b"not a tar" * 100, b"\x28\xb5\x2f\xfd"])
def test_what_is_no_layer_is_cut(layer: bytes) -> None:
    facts = facts_of(layer)

    assert not facts.complete
    assert facts.problems[0].code.startswith("corrupt:")


def test_a_broken_database_keeps_its_good_entries() -> None:
    facts = facts_of(tar(member("lib/apk/db/installed", b"P:x\n\n" + apk_installed(("musl", "1")))))

    assert_cut(facts, "analyser:apk:malformed")
    assert names(facts) == ["musl"]
