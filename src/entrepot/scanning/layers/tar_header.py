"""One 512-byte tar header, and the PAX records that change it: parsed as the runtimes' own reader parses them.

Where readers differ (prefix of GNU headers, payload of links, global PAX headers), this one does what Go's
`archive/tar` does, for containerd, Docker and podman unpack with it. Formats: POSIX.1-1988 (ustar), POSIX.1-2001
(pax), GNU tar, V7; sparse files: GNU tar manual, "Sparse Formats".
"""

from dataclasses import dataclass
from typing import Final

from entrepot.scanning.layers.limits import CutError

BLOCK: Final = 512
ZERO_BLOCK: Final = bytes(BLOCK)
CHECKSUM: Final = slice(148, 156)
HEADER_ONLY: Final = frozenset("123456")  # links, devices, directories, pipes: no payload whatever their size says
LARGEST: Final = (1 << 63) - 1


@dataclass(frozen=True, slots=True)
class Header:
    """A header block: names as bytes, as written. type: its flag as a character, NUL where V7 leaves it empty.

    is_executable: anyone may execute it, by its mode.
    """

    name: bytes
    type: str
    size: int
    linkname: bytes
    is_extended: bool = False
    is_executable: bool = False


def parse_header(block: bytes) -> Header:
    """The header in *block* (512 bytes, not all zero).

    Raises CutError (`corrupt`) for a wrong checksum (neither the sum of unsigned nor of signed bytes) or a size
    that is no number, negative, or over 2^63 - 1.
    """
    stored = parse_number(block[CHECKSUM])
    blank = block[:148] + b"        " + block[156:]
    if stored != sum(blank) and stored != sum(byte - 256 if byte > 127 else byte for byte in blank):
        raise CutError("corrupt", "checksum")
    size = parse_number(block[124:136])
    if not 0 <= size <= LARGEST:
        raise CutError("corrupt", "size")
    name = text(block[:100])
    # POSIX's magic has a prefix field; star puts time stamps at its end; GNU and V7 have none.
    if block[257:263] == b"ustar\0":
        prefix = text(block[345:476] if block[508:512] == b"tar\0" else block[345:500])
        if prefix:
            name = prefix + b"/" + name
    flag = chr(block[156])
    return Header(
        name,
        flag,
        size,
        text(block[157:257]),
        is_extended=flag == "S" and block[482] != 0,
        # Of the mode's octal digits the last three count, and an odd one allows it. In base 256 it is not looked at.
        is_executable=block[100] > 0x7F or any(digit & 1 for digit in block[100:108].rstrip(b" \0")[-3:]),
    )


def text(field: bytes) -> bytes:
    """A field up to its first NUL."""
    return field.partition(b"\0")[0]


def parse_number(field: bytes) -> int:
    """An octal or base-256 number; may be negative in base 256. Raises CutError (`corrupt`) for anything else."""
    if field[0] & 0x80:
        value = int.from_bytes(field, "big", signed=True)
        return value if field[0] == 0xFF else value & ((1 << (len(field) * 8 - 1)) - 1)
    digits = field.strip(b" \0").partition(b"\0")[0]
    if not digits:
        return 0
    # int() takes signs, blanks and underscores, tar does not.
    if digits.strip(b"01234567"):
        raise CutError("corrupt", "number")
    return int(digits, 8)


def parse_pax(data: bytes, record_bytes: int) -> tuple[dict[bytes, bytes], bool]:
    """The records of a PAX header's *data*, the last of each name; and whether one was over *record_bytes*.

    Raises CutError (`corrupt`) if they are not `<length> <key>=<value>` and a line feed, one after the other.
    """
    records: dict[bytes, bytes] = {}
    is_over = False
    position = 0
    while position < len(data):
        blank = data.find(b" ", position, position + 20)
        digits = data[position:blank]
        if blank < 0 or not digits.isdigit():
            raise CutError("corrupt", "pax length")
        end = position + int(digits)
        key, equals, value = data[blank + 1 : end - 1].partition(b"=")
        if end > len(data) or end <= blank + 2 or data[end - 1] != 0x0A or not equals or not key:
            raise CutError("corrupt", "pax record")
        is_over = is_over or end - position > record_bytes
        records[key] = value
        position = end
    return records, is_over


def pax_size(records: dict[bytes, bytes]) -> int | None:
    """The size that PAX *records* give, if any. Raises CutError (`corrupt`) if it is no size."""
    digits = records.get(b"size")
    if not digits:
        return None
    if not digits.isdigit() or len(digits) > 19 or int(digits) > LARGEST:
        raise CutError("corrupt", "pax size")
    return int(digits)
