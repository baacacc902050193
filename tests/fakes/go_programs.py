"""Programs as Go's linker leaves them, as far as their headers and build information go; nothing in them can run."""

import struct

MAGIC = b"\xff Go buildinf:"
GUARD = b"0" * 16
BASE = 0x400000
DATA = 0x100  # where the build information begins in the file, 16 after a place that only looks like it


def information(version: str, lines: str) -> bytes:
    """Build information of Go 1.18 and newer: both texts inline."""
    texts = (version.encode(), guarded(lines))
    return MAGIC + b"\0\2" + bytes(16) + b"".join(varint(len(text)) + text for text in texts)


def information_by_pointers(version: str, lines: str, *, pointer_bytes: int = 8, order: str = "<") -> bytes:
    """Build information of Go before 1.18: pointers to strings, which are an address and a length each.

    It must lie at DATA of a program that is loaded at BASE.
    """
    form = order + ("Q" if pointer_bytes == 8 else "I") * 2
    texts = (version.encode(), guarded(lines))
    headers_at = DATA + 32
    texts_at = headers_at + 4 * pointer_bytes
    addresses = (BASE + headers_at, BASE + headers_at + 2 * pointer_bytes)
    head = MAGIC + bytes((pointer_bytes, order == ">")) + struct.pack(form, *addresses)
    headers = struct.pack(form, BASE + texts_at, len(texts[0])) + struct.pack(
        form, BASE + texts_at + len(texts[0]), len(texts[1])
    )
    return head.ljust(32, b"\0") + headers + b"".join(texts)


def guarded(lines: str) -> bytes:
    """*lines* between the 16 bytes that mark them."""
    return GUARD + lines.encode() + GUARD if lines else b""


def elf(data: bytes, *, is_64: bool = True, order: str = "<", section: str = ".go.buildinfo") -> bytes:
    """An ELF program with one writable segment, which has *data* at DATA; *section*: its name there, none if empty."""
    body = bytearray(DATA)
    names = b"\0.shstrtab\0" + section.encode() + b"\0"
    file_end = DATA + len(data)
    sections_at = file_end + len(names) if section else 0
    count = 3 if section else 0
    if is_64:
        ident = b"\x7fELF" + bytes((2, 1 if order == "<" else 2, 1)).ljust(12, b"\0")
        head = struct.pack(order + "HHIQQQIHHHHHH", 2, 62, 1, BASE, 64, sections_at, 0, 64, 56, 1, 64, count, 1)
        segment = struct.pack(order + "IIQQQQQQ", 1, 6, 0, BASE, BASE, file_end, file_end + 512, 4096)
        form = order + "IIQQQQIIQQ"
    else:
        ident = b"\x7fELF" + bytes((1, 1 if order == "<" else 2, 1)).ljust(12, b"\0")
        head = struct.pack(order + "HHIIIIIHHHHHH", 2, 3, 1, BASE, 52, sections_at, 0, 52, 32, 1, 40, count, 1)
        segment = struct.pack(order + "IIIIIIII", 1, 0, BASE, BASE, file_end, file_end + 512, 6, 4096)
        form = order + "IIIIIIIIII"
    start = ident + head + segment
    body[: len(start)] = start
    body[DATA - 24 : DATA - 24 + len(MAGIC)] = MAGIC  # not aligned, so it is no build information
    rows = (
        (0, 0, 0, 0, 0, 0, 0, 0, 0, 0),
        (1, 3, 0, 0, file_end, len(names), 0, 0, 1, 0),
        (11, 1, 3, BASE + DATA, DATA, len(data), 0, 0, 16, 0),
    )
    return bytes(body) + data + names + b"".join(struct.pack(form, *row) for row in rows[:count])


def pe(data: bytes, *, is_64: bool = True) -> bytes:
    """A Windows program with one section, `.data`, which has *data* at DATA."""
    head = b"MZ".ljust(0x3C, b"\0") + struct.pack("<I", 0x40) + b"PE\0\0"
    coff = struct.pack("<HHIIIHH", 0x8664 if is_64 else 0x14C, 1, 0, 0, 0, 64, 2)
    optional = struct.pack("<H22xQ", 0x20B, BASE) if is_64 else struct.pack("<H26xI", 0x10B, BASE)
    section = struct.pack("<8sIIII12xI", b".data", len(data), DATA, len(data), DATA, 0xC0000040)
    return (head + coff + optional.ljust(64, b"\0") + section).ljust(DATA, b"\0") + data


def mach_o(data: bytes) -> bytes:
    """A macOS program with one writable segment, whose section `__go_buildinfo` has *data* at DATA."""
    section = struct.pack("<16s16sQQII24x", b"__go_buildinfo", b"__DATA", BASE + DATA, len(data), DATA, 4)
    size = 72 + len(section)
    segment = struct.pack("<II16sQQQQiiII", 0x19, size, b"__DATA", BASE, 4096, 0, DATA + len(data), 3, 3, 1, 0)
    head = struct.pack("<IiiIIIII", 0xFEEDFACF, 0x0100000C, 0, 2, 1, size, 0, 0)
    return (head + segment + section).ljust(DATA, b"\0") + data


def varint(number: int) -> bytes:
    """*number* as Go writes lengths: seven bits a byte, the lowest first."""
    coded = bytearray()
    while number >= 0x80:
        coded.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes((*coded, number))
