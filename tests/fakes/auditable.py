"""A program with the section that cargo-auditable adds, and nothing else: System V ABI, "Object Files"."""

import struct
import zlib

import msgspec


def crates(*named: tuple[str, str], **kinds: str) -> bytes:
    """The document of cargo-auditable's schema for crates of these names and versions."""
    packages = [
        {"name": name, "version": version, "source": "crates.io", **({"kind": kinds[name]} if name in kinds else {})}
        for name, version in named
    ]
    return msgspec.json.encode({"packages": packages})


def elf(section: bytes, name: bytes = b".dep-v0") -> bytes:
    """A 64-bit little-endian ELF file with one section *name* of these bytes."""
    names = b"\0" + name + b"\0.shstrtab\0"
    names_at = 64 + len(section)
    table_at = names_at + len(names)
    header = b"\x7fELF" + bytes((2, 1, 1)) + bytes(9)
    header += struct.pack("<HHIQQQIHHHHHH", 2, 62, 1, 0, 0, table_at, 0, 64, 0, 0, 64, 3, 2)
    form = struct.Struct("<IIQQQQIIQQ")
    table = bytes(64)
    table += form.pack(1, 1, 0, 0, 64, len(section), 0, 0, 1, 0)
    table += form.pack(len(name) + 2, 3, 0, 0, names_at, len(names), 0, 0, 1, 0)
    return header + section + names + table


def auditable(document: bytes) -> bytes:
    """A program into which *document* was linked."""
    return elf(zlib.compress(document))
