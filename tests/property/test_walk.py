"""The walk brings members and problems, and nothing else; for tars that tarfile writes, what tarfile reads."""

import io
import tarfile

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from entrepot.scanning.layers.limits import LayerLimits
from entrepot.scanning.layers.problems import ProblemLog
from entrepot.scanning.layers.walk import Walk
from entrepot.scanning.model import LayerFacts
from tests.fakes.tars import GNU, directory, dpkg_status, facts_of, gz, header, member, padded, pax, symlink, tar

HONEST = tar(
    directory("var/lib/dpkg"),
    member("var/lib/dpkg/status", dpkg_status(("bash", "5"), ("curl", "7"))),
    pax({b"path": b"opt/" + b"long" * 40 + b".egg-info", b"mtime": b"1.5"}),
    member("short", b"Name: a\nVersion: 1\n"),
    header(b"././@LongLink", size=121, flag=b"L", magic=GNU) + padded(b"x" * 120 + b"\0"),
    member("cut", b"data"),
    pax({b"comment": b"x"}, flag=b"g"),
    symlink("lib", "usr/lib"),
    member("etc/os-release", b"ID=debian\nVERSION_ID=12\n"),
    member("opt/.wh.gone"),
)


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    data = bytearray(HONEST)
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(data)))
        kind = draw(st.sampled_from(("set", "cut", "insert", "repeat", "drop")))
        if kind == "set":
            patch = draw(st.binary(min_size=1, max_size=12))
            data[at : at + len(patch)] = patch
        elif kind == "cut":
            del data[at:]
        elif kind == "insert":
            data[at:at] = draw(st.binary(max_size=600))
        elif kind == "repeat":
            block = at // 512 * 512
            data[block:block] = data[block : block + 512 * draw(st.integers(1, 4))]
        else:
            del data[at : at + draw(st.integers(1, 1024))]
    return mended(bytes(data)) if draw(st.booleans()) else bytes(data)


def mended(data: bytes) -> bytes:
    """*data* with the checksum of every block made right, so that damage gets beyond it."""
    blocks = []
    for at in range(0, len(data), 512):
        block = bytearray(data[at : at + 512])
        if len(block) == 512 and block[257:262] == b"ustar":
            block[148:156] = b" " * 8
            block[148:156] = b"%06o\0 " % sum(block)
        blocks.append(bytes(block))
    return b"".join(blocks)


def assert_only_facts(layer: bytes) -> None:
    facts = facts_of(layer)
    again = facts_of(layer)

    assert facts == again
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(facts), type=LayerFacts) == facts
    assert facts.complete == (bool(facts.diff_id) and not any(problem.cut for problem in facts.problems))


@given(damaged())
def test_a_damaged_tar_gives_facts(layer: bytes) -> None:
    assert_only_facts(layer)


@given(damaged(), st.data())
def test_a_damaged_gzip_gives_facts(layer: bytes, data: st.DataObject) -> None:
    packed = bytearray(gz(layer))
    packed[data.draw(st.integers(0, len(packed) - 1))] ^= data.draw(st.integers(0, 255))

    assert_only_facts(bytes(packed))


@given(
    st.sampled_from((b"", b"\x1f\x8b\x08\0", b"\x28\xb5\x2f\xfd", b"\xfd7zXZ\0", b"BZh9")), st.binary(max_size=2_000)
)
def test_any_bytes_give_facts(magic: bytes, rest: bytes) -> None:
    assert_only_facts(magic + rest)


@given(st.integers(0, len(HONEST) - 513))
def test_a_tar_that_ends_too_early_is_never_complete(end: int) -> None:
    assert not facts_of(HONEST[:end]).complete


PARTS = st.text(st.characters(codec="utf-8", exclude_characters="/\0"), min_size=1, max_size=40).filter(
    lambda part: part not in {".", ".."}
)
PATHS = st.lists(PARTS, min_size=1, max_size=6).map("/".join)
TYPES = {
    tarfile.REGTYPE: "file",
    tarfile.AREGTYPE: "file",
    tarfile.DIRTYPE: "directory",
    tarfile.SYMTYPE: "symlink",
    tarfile.LNKTYPE: "hardlink",
    tarfile.FIFOTYPE: "other",
}


@st.composite
def entries(draw: st.DrawFn) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(draw(PATHS))
    info.type = draw(st.sampled_from(list(TYPES)))
    data = draw(st.binary(max_size=1_500)) if info.type in {tarfile.REGTYPE, tarfile.AREGTYPE} else b""
    info.size = len(data)
    if info.type in {tarfile.SYMTYPE, tarfile.LNKTYPE}:
        info.linkname = draw(PATHS)
    info.mtime = draw(st.sampled_from((0, 1.5, 1 << 40)))
    return info, data


@given(st.lists(entries(), max_size=6), st.sampled_from((tarfile.GNU_FORMAT, tarfile.PAX_FORMAT)))
def test_an_honest_tar_has_the_members_that_tarfile_wrote(
    written: list[tuple[tarfile.TarInfo, bytes]], form: int
) -> None:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=form, encoding="utf-8") as archive:
        for info, data in written:
            archive.addfile(info, io.BytesIO(data))
    problems = ProblemLog(20)
    walk = Walk(iter([file.getvalue()]), LayerLimits(), problems)
    read = [(m.path, m.kind, m.target, payload.read(2_000) if m.size else b"") for m, payload in walk.members()]

    assert read == [(i.name, TYPES[i.type], i.linkname, data) for i, data in written]
    assert (problems.all(), walk.is_ended) == ((), True)
