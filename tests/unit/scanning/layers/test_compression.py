import bz2
import gzip
import io
import lzma
import random
import struct

import pytest
import zstandard

from entrepot.oci.digest import Digest
from entrepot.scanning.layers.compression import PIECE_BYTES, LayerStream, sniff
from entrepot.scanning.layers.limits import CutError, LayerLimits

DATA = random.Random(7).randbytes(100_000) * 5 + bytes(300_000)  # noqa: S311
SKIPPABLE = struct.pack("<II", 0x184D2A50, 9) + b"skip this"


def zstd(data: bytes) -> bytes:
    return zstandard.ZstdCompressor(write_checksum=True).compress(data)


def zstd_stream(data: bytes) -> bytes:
    compressor = zstandard.ZstdCompressor(write_content_size=False).compressobj()
    return compressor.compress(data) + compressor.flush()


HALF = len(DATA) // 2
WHOLE = {
    "none": DATA,
    "gzip": gzip.compress(DATA),
    "gzip members": gzip.compress(DATA[:HALF]) + gzip.compress(b"") + gzip.compress(DATA[HALF:]),
    "gzip padded": gzip.compress(DATA) + bytes(700),
    "zstd": zstd(DATA),
    "zstd stream": zstd_stream(DATA),
    "zstd frames": SKIPPABLE + zstd(DATA[:HALF]) + SKIPPABLE + zstd_stream(DATA[HALF:]) + zstd(b"") + SKIPPABLE,
    "xz": lzma.compress(DATA),
    "xz streams": lzma.compress(DATA[:HALF]) + bytes(8) + lzma.compress(DATA[HALF:]),
    "bzip2": bz2.compress(DATA[:HALF]) + bz2.compress(DATA[HALF:]),
}


def read(layer: bytes, limits: LayerLimits | None = None) -> tuple[LayerStream, list[bytes]]:
    stream = LayerStream(io.BytesIO(layer), len(layer), limits or LayerLimits())
    return stream, list(stream.pieces())


@pytest.mark.parametrize("form", WHOLE)
def test_a_layer_is_the_same_in_every_compression(form: str) -> None:
    stream, pieces = read(WHOLE[form])

    assert b"".join(pieces) == DATA
    assert max(map(len, pieces)) <= PIECE_BYTES
    assert (stream.compression, stream.diff_id) == (form.split(maxsplit=1)[0], Digest.of(DATA))
    assert (stream.digest, stream.compressed_bytes) == (Digest.of(WHOLE[form]), len(WHOLE[form]))
    assert stream.uncompressed_bytes == len(DATA)


@pytest.mark.parametrize("form", [form for form in WHOLE if form not in {"none", "gzip padded"}])
def test_a_truncated_stream_is_never_whole(form: str) -> None:
    whole = WHOLE[form]
    # Where a member ends a shorter stream is whole: those ends are not among the cuts.
    ends = {len(gzip.compress(DATA[:HALF])), len(gzip.compress(DATA[:HALF])) + len(gzip.compress(b""))}
    cuts = {9, len(whole) // 3, len(whole) - 1, len(whole) - 3} - ends
    for cut in cuts:
        if form == "zstd frames" and cut >= len(whole) - len(SKIPPABLE):
            cut = len(whole) - len(SKIPPABLE) - len(zstd(b"")) - 1  # noqa: PLW2901
        with pytest.raises(CutError) as error:
            read(whole[:cut])

        assert error.value.code == "corrupt"


@pytest.mark.parametrize("form", ["gzip", "zstd", "xz", "bzip2"])
def test_a_broken_stream_is_corrupt(form: str) -> None:
    broken = bytearray(WHOLE[form])
    broken[len(broken) // 2] ^= 0xFF
    with pytest.raises(CutError) as error:
        read(bytes(broken))

    assert error.value.code == "corrupt"


@pytest.mark.parametrize("form", ["gzip", "zstd", "xz", "bzip2"])
def test_garbage_after_a_stream_is_corrupt(form: str) -> None:
    with pytest.raises(CutError) as error:
        read(WHOLE[form] + b"garbage!" * 10)

    assert error.value.code == "corrupt"


@pytest.mark.parametrize("compress", [gzip.compress, zstd, lzma.compress, bz2.compress])
def test_more_than_200_bytes_per_byte_are_cut(compress) -> None:  # type: ignore[no-untyped-def]
    bomb = compress(bytes(30 << 20))
    stream = LayerStream(io.BytesIO(bomb), len(bomb), LayerLimits())
    with pytest.raises(CutError) as error:
        list(stream.pieces())

    assert error.value.code == "limit:ratio"
    assert stream.uncompressed_bytes <= max(1 << 20, 200 * len(bomb)) + PIECE_BYTES


def test_the_first_mebibyte_has_no_ratio() -> None:
    stream, _ = read(gzip.compress(bytes(1 << 20)))

    assert stream.uncompressed_bytes == 1 << 20


def test_a_stretch_of_zeros_in_an_honest_layer_is_no_bomb() -> None:
    layer = gzip.compress(bytes(30 << 20)) + gzip.compress(random.Random(1).randbytes(200_000))  # noqa: S311

    assert read(layer)[0].uncompressed_bytes == (30 << 20) + 200_000


def test_the_uncompressed_size_is_limited() -> None:
    limits = LayerLimits(uncompressed_bytes=len(DATA))

    assert read(WHOLE["gzip"], limits)[0].uncompressed_bytes == len(DATA)
    with pytest.raises(CutError, match="limit:size"):
        read(WHOLE["gzip"], LayerLimits(uncompressed_bytes=len(DATA) - 1))


@pytest.mark.parametrize(
    ("head", "compression"),
    [
        (b"", "none"),
        (b"\x1f", "none"),
        (b"\x1f\x8b\x08", "gzip"),
        (b"\x5f\x2a\x4d\x18", "zstd"),
        (b"\x60\x2a\x4d\x18", "none"),
        (b"./\0\0\0\0\0\0", "none"),
    ],
)
def test_compression_is_told_by_its_magic(head: bytes, compression: str) -> None:
    assert sniff(head) == compression


def frame(window_descriptor: int) -> bytes:
    return b"\x28\xb5\x2f\xfd" + bytes((0x00, window_descriptor)) + b"\x01\x00\x00"


def test_a_zstd_window_of_128_mib_is_taken_and_no_larger_one() -> None:
    assert read(frame((27 - 10) << 3))[0].uncompressed_bytes == 0
    for descriptor in (((27 - 10) << 3) + 1, (31 - 10) << 3):
        with pytest.raises(CutError, match="limit:window"):
            read(frame(descriptor))


def test_a_zstd_frame_in_one_segment_has_its_size_as_window() -> None:
    header = b"\x28\xb5\x2f\xfd" + bytes((0xA0,)) + struct.pack("<I", 1 << 31)
    with pytest.raises(CutError, match="limit:window"):
        read(header + b"\x01\x00\x00")


def test_an_xz_dictionary_over_the_limit_is_refused() -> None:
    layer = lzma.compress(DATA, preset=9)  # 64 MiB
    with pytest.raises(CutError, match="limit:window"):
        read(layer, LayerLimits(window_bytes=32 << 20))
