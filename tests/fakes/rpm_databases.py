"""rpm's databases in each of their forms with headers of one's own: sqlite by sqlite, others by their description."""

import io
import sqlite3
import struct
import zlib
from collections.abc import Mapping, Sequence

STRING = 6
INT32 = 4
I18N = 9
NAME, VERSION, RELEASE, EPOCH, VENDOR, ARCH, SOURCE_RPM, MODULE = 1000, 1001, 1002, 1003, 1011, 1022, 1044, 5096
BDB_PAGE = 512


def rpm_header(tags: Mapping[int, str | int], kinds: Mapping[int, int] | None = None) -> bytes:
    """A package's header with *tags*; *kinds*: types where they differ from the usual ones."""
    table, data = b"", b""
    for tag, given in tags.items():
        kind = (kinds or {}).get(tag, STRING if isinstance(given, str) else INT32)
        if isinstance(given, int):
            data += bytes(-len(data) % 4)
        table += struct.pack(">IIII", tag, kind, len(data), 1)
        data += given.encode() + b"\0" if isinstance(given, str) else given.to_bytes(4, "big")
    return struct.pack(">II", len(tags), len(data)) + table + data


def plain(name: str, version: str = "1", release: str = "1", **more: str | int) -> bytes:
    """The header of a package; *more*: `epoch`, `arch`, `source`, `vendor`, `module`, and `filler` to make it large."""
    numbers = {"epoch": EPOCH, "arch": ARCH, "source": SOURCE_RPM, "vendor": VENDOR, "module": MODULE, "filler": 1005}
    return rpm_header(
        {NAME: name, VERSION: version, RELEASE: release, **{numbers[key]: given for key, given in more.items()}}
    )


def sqlite_database(headers: Sequence[bytes], page_bytes: int = 4096) -> bytes:
    """rpmdb.sqlite, written by sqlite."""
    connection = sqlite3.connect(":memory:")
    connection.execute(f"PRAGMA page_size = {page_bytes}")
    connection.execute("CREATE TABLE 'Name' (key 'TEXT' NOT NULL, hnum INTEGER NOT NULL, idx INTEGER NOT NULL)")
    connection.execute("CREATE TABLE 'Packages' (hnum INTEGER PRIMARY KEY AUTOINCREMENT, blob BLOB NOT NULL)")
    connection.executemany("INSERT INTO Packages (blob) VALUES (?)", [(header,) for header in headers])
    connection.commit()
    return connection.serialize()


def ndb_database(headers: Sequence[bytes]) -> bytes:
    """Packages.db: one page of slots, then blobs of whole blocks of 16 bytes. One slot in the middle is free."""
    slots, blobs = [b"RpmP" + struct.pack("<IIII12x", 0, 1, 1, len(headers) + 1)], io.BytesIO()
    for number, header in enumerate(headers, 1):
        start = 4096 + blobs.tell()
        body = struct.pack("<4sIII", b"BlbS", number, 1, len(header)) + header
        body += bytes(-(len(body) + 12) % 16)
        blobs.write(body + struct.pack("<II4s", zlib.adler32(body), len(header), b"BlbE"))
        slots.append(struct.pack("<4sIII", b"Slot", number, start // 16, (4096 + blobs.tell() - start) // 16))
        slots.append(struct.pack("<4sIII", b"Slot", 0, 0, 0))
    table = b"".join(slots)
    return table + b"Slot".ljust(16, b"\0") * ((4096 - len(table)) // 16) + blobs.getvalue()


def bdb_database(headers: Sequence[bytes], order: str = "<") -> bytes:
    """Packages: a hash of Berkeley DB with one bucket, each value on pages of its own, as large ones always are."""
    room = BDB_PAGE - 26
    pages: list[bytes] = [b""]
    for number, header in enumerate(headers, 1):
        parts = [header[at : at + room] for at in range(0, len(header), room)]
        own = len(pages)
        value = struct.pack(order + "B3xII", 3, own + 1, len(header))
        items = [b"\1" + struct.pack(order + "I", number), value]
        pages.append(_hash_page(own, order, items, following=own + len(parts) + 1))
        for index, part in enumerate(parts):
            following = own + index + 2 if index + 1 < len(parts) else 0
            head = struct.pack(order + "8xIIIHHBB", len(pages), 0, following, 1, len(part), 0, 7)
            pages.append((head + part).ljust(BDB_PAGE, b"\0"))
    last = struct.pack(order + "I", len(headers))
    pages.append(_hash_page(len(pages), order, [b"\1" + bytes(4), b"\1" + last], following=0))
    meta = struct.pack(order + "8xIIIIBBBB", 0, 0x061561, 9, BDB_PAGE, 0, 8, 0, 0)
    meta += struct.pack(order + "4xI36x", len(pages) - 1)  # the last page; then counts and the file's id
    meta += struct.pack(order + "6I", 0, 1, 0, 0, len(headers) + 1, 0)  # bucket 0 is the only one
    pages[0] = (meta + struct.pack(order + "I", 1)).ljust(BDB_PAGE, b"\0")  # and begins on page 1
    return b"".join(pages)


def _hash_page(number: int, order: str, items: Sequence[bytes], *, following: int) -> bytes:
    page = bytearray(BDB_PAGE)
    end = BDB_PAGE
    for index, item in enumerate(items):
        page[end - len(item) : end] = item
        end -= len(item)
        struct.pack_into(order + "H", page, 26 + 2 * index, end)
    struct.pack_into(order + "8xIIIHHBB", page, 0, number, 0, following, len(items), end, 0, 13)
    return bytes(page)
