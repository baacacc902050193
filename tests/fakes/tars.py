"""Tar layers made by hand, also such as no program writes."""

import gzip
import io
from collections.abc import Mapping

from entrepot.oci.digest import Digest
from entrepot.scanning.layers.analyse_stream import analyse_stream
from entrepot.scanning.layers.limits import LayerLimits
from entrepot.scanning.model import LayerFacts

POSIX = b"ustar\x0000"
GNU = b"ustar  \0"
END = bytes(1024)


def header(
    name: bytes,
    *,
    size: int | bytes = 0,
    flag: bytes = b"0",
    link: bytes = b"",
    magic: bytes = POSIX,
    prefix: bytes = b"",
    is_signed: bool = False,
    mode: bytes = b"0000644\0",
) -> bytes:
    """One header block; *size* as bytes is the field as it stands, as *mode* is."""
    field = size if isinstance(size, bytes) else b"%011o\0" % size
    if len(field) > 12:
        raise ValueError("a size of 8 GiB and more needs a PAX record or base 256")
    block = bytearray(512)
    block[0:100] = name[:100].ljust(100, b"\0")
    block[100:124] = mode + b"0000644\0" * 2
    block[124:136] = field.ljust(12, b"\0")
    block[136:148] = b"00000000000\0"
    block[148:156] = b" " * 8
    block[156:157] = flag
    block[157:257] = link[:100].ljust(100, b"\0")
    block[257:265] = magic.ljust(8, b"\0")
    block[345:500] = prefix.ljust(155, b"\0")
    total = sum(byte - 256 if is_signed and byte > 127 else byte for byte in block)
    block[148:156] = b"%06o\0 " % total
    return bytes(block)


def padded(data: bytes) -> bytes:
    """*data* up to whole blocks."""
    return data + bytes(-len(data) % 512)


def member(name: str, data: bytes = b"", *, flag: bytes = b"0", link: str = "") -> bytes:
    """A member with a name of at most 100 bytes."""
    return header(name.encode(), size=len(data), flag=flag, link=link.encode()) + padded(data)


def program(name: str, data: bytes, mode: bytes = b"0000755\0") -> bytes:
    """A file that anyone may execute, or whom *mode* lets."""
    return header(name.encode(), size=len(data), mode=mode) + padded(data)


def symlink(name: str, target: str) -> bytes:
    """A symbolic link."""
    return member(name, flag=b"2", link=target)


def directory(name: str) -> bytes:
    """A directory."""
    return member(f"{name}/", flag=b"5")


def record(key: bytes, value: bytes) -> bytes:
    """One PAX record."""
    rest = b" " + key + b"=" + value + b"\n"
    length = len(rest)
    while length != len(b"%d" % length) + len(rest):
        length = len(b"%d" % length) + len(rest)
    return b"%d" % length + rest


def pax(records: Mapping[bytes, bytes] | bytes, flag: bytes = b"x") -> bytes:
    """A PAX header with *records*; as bytes: its data as it stands."""
    data = records if isinstance(records, bytes) else b"".join(record(*item) for item in records.items())
    return header(b"pax", size=len(data), flag=flag) + padded(data)


def tar(*members: bytes) -> bytes:
    """A whole tar of *members*."""
    return b"".join(members) + END


def gz(data: bytes) -> bytes:
    """*data* as one gzip member, always the same."""
    return gzip.compress(data, 6, mtime=0)


def facts_of(layer: bytes, **limits: int) -> LayerFacts:
    """The facts of *layer*, with some *limits* lowered."""
    return analyse_stream(io.BytesIO(layer), Digest.of(layer), len(layer), LayerLimits(**limits))


def codes(facts: LayerFacts) -> list[str]:
    """The codes of the facts' problems, in order."""
    return [problem.code for problem in facts.problems]


def dpkg_status(*packages: tuple[str, str]) -> bytes:
    """A status file with these names and versions installed."""
    return "\n".join(
        f"Package: {name}\nStatus: install ok installed\nArchitecture: amd64\nVersion: {version}\n"
        for name, version in packages
    ).encode()


def apk_installed(*packages: tuple[str, str]) -> bytes:
    """An apk database with these names and versions."""
    return "".join(f"P:{name}\nV:{version}\nA:x86_64\nF:usr\nR:x\n\n" for name, version in packages).encode()
