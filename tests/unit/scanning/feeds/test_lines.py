import os
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard

from entrepot.scanning.errors import FeedInvalidError
from entrepot.scanning.feeds import lines as limits
from entrepot.scanning.feeds.lines import depth_exceeds, lines

Pack = Callable[[bytes], bytes]


def two_frames(text: bytes) -> bytes:
    pack = zstandard.ZstdCompressor().compress
    return pack(text[:7]) + pack(text[7:])


@pytest.mark.parametrize("pack", [bytes, zstandard.ZstdCompressor().compress, two_frames])
def test_lines_are_numbered_and_empty_ones_left_out(tmp_path: Path, pack: Pack) -> None:
    file = tmp_path / "feed"
    file.write_bytes(pack(b"first\n\n \nfourth\r\nfifth"))

    assert list(lines(file)) == [(1, b"first"), (4, b"fourth\r"), (5, b"fifth")]


@pytest.mark.parametrize("pack", [bytes, zstandard.ZstdCompressor().compress])
def test_lines_longer_than_a_piece_stay_whole(tmp_path: Path, pack: Pack) -> None:
    text = os.urandom(1_500_000).hex().encode()
    file = tmp_path / "feed"
    file.write_bytes(pack(b"a\n" + text + b"\n" + text))

    assert list(lines(file)) == [(1, b"a"), (2, text), (3, text)]


@pytest.mark.parametrize("pack", [bytes, zstandard.ZstdCompressor().compress])
@pytest.mark.parametrize("end", [b"", b"\n", b"\nmore\n"])
def test_a_line_may_have_4_mib_and_no_byte_more(tmp_path: Path, pack: Pack, end: bytes) -> None:
    fits, longer = tmp_path / "fits", tmp_path / "longer"
    fits.write_bytes(pack(b"a\n" + b"x" * limits.MAX_LINE_BYTES + end))
    longer.write_bytes(pack(b"a\n" + b"x" * (limits.MAX_LINE_BYTES + 1) + end))

    assert [len(line) for _, line in lines(fits)][:2] == [1, limits.MAX_LINE_BYTES]
    with pytest.raises(FeedInvalidError) as caught:
        list(lines(longer))
    assert caught.value.field == "line 2"


def test_a_bomb_stops_at_the_limit_of_unpacked_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_UNPACKED_BYTES", 2**20)
    file = tmp_path / "feed"
    file.write_bytes(zstandard.ZstdCompressor().compress(b"x\n" * 2**19 + b"x"))

    with pytest.raises(FeedInvalidError, match="unpacked"):
        list(lines(file))


@pytest.mark.parametrize(
    "damage", [lambda packed: packed[:-3], lambda packed: packed[:40] + b"?" * 20, lambda p: p + b"?"]
)
def test_a_broken_or_cut_zstd_stream_is_no_feed(tmp_path: Path, damage: Pack) -> None:
    file = tmp_path / "feed"
    file.write_bytes(damage(zstandard.ZstdCompressor(write_checksum=True).compress(os.urandom(4_000).hex().encode())))

    with pytest.raises(FeedInvalidError, match="zstd"):
        list(lines(file))


def test_depth_counts_nesting_and_not_brackets_in_texts() -> None:
    deepest = b'{"a":' * 32 + b"[" * 32 + b"]" * 32 + b"}" * 32
    quoted = b'["' + b"[" * 100 + b'\\"' + b"{" * 100 + b'\\\\"]'

    assert not depth_exceeds(deepest)
    assert depth_exceeds(b"[" + deepest + b"]")
    assert not depth_exceeds(b"[" + b"[],{}," * 100 + b"[]]")
    assert not depth_exceeds(quoted)
    assert depth_exceeds(b'["\\\\",' + b"[" * 100 + b"]" * 100 + b"]")
