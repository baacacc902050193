"""rpm's headers, and its databases in forms that no program here writes; real ones: integration/test_real_rpm.py."""

import io
import struct
import tracemalloc
from collections.abc import Callable, Sequence

import pytest

from entrepot.scanning.ecosystems.rpm import ndb
from entrepot.scanning.ecosystems.rpm.extract import RpmExtractor
from entrepot.scanning.ecosystems.rpm.header import MOST_BYTES
from entrepot.scanning.extractor import Aside, MetadataInvalidError
from entrepot.scanning.model import Package
from tests.fakes.rpm_databases import (
    EPOCH,
    I18N,
    NAME,
    VERSION,
    bdb_database,
    ndb_database,
    plain,
    rpm_header,
    sqlite_database,
)

PATH = "var/lib/rpm/rpmdb.sqlite"
LIST = "var/lib/rpmmanifest/container-manifest-2"
FORMS: dict[str, Callable[[Sequence[bytes]], bytes]] = {
    "sqlite": sqlite_database,
    "sqlite with small pages": lambda headers: sqlite_database(headers, 512),
    "ndb": ndb_database,
    "bdb": bdb_database,
    "bdb in the other byte order": lambda headers: bdb_database(headers, ">"),
}


def extract(data: bytes, path: str = PATH) -> list[Package]:
    return list(RpmExtractor().extract(path, io.BytesIO(data)))


def of(header: bytes) -> Package:
    (package,) = extract(sqlite_database([header]))
    return package


@pytest.mark.parametrize("form", FORMS)
def test_each_form_gives_the_same_packages_large_and_small(form: str) -> None:
    headers = [plain(f"p{index}", str(index), filler="x" * (index * 700)) for index in range(20)]
    headers.append(plain("gpg-pubkey", "d651ff2e", "5dadbbc1"))
    packages = extract(FORMS[form](headers))

    assert [(p.name, p.version) for p in packages] == [(f"p{index}", f"{index}-1") for index in range(20)]


def test_a_package_is_what_its_header_says() -> None:
    header = plain(
        "bind-libs",
        "9.16.23",
        "18.el9",
        epoch=32,
        arch="x86_64",
        source="bind-9.16.23-18.el9.src.rpm",
        vendor="Some One",
        module="bind:9:90:abc",
    )

    assert of(header) == Package(
        *("rpm", "bind-libs", "32:9.16.23-18.el9", "x86_64", "bind", "32:9.16.23-18.el9", PATH),
        vendor="Some One",
        module="bind:9:90:abc",
    )


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("util-linux-2.32-1.src.rpm", ("util-linux", "2.32-1")),
        ("kernel-6.1-1.nosrc.rpm", ("kernel", "6.1-1")),
        ("(none)", ("demo", "1-1")),
        ("odd-1.src.rpm", ("demo", "1-1")),
    ],
)
def test_the_source_is_that_of_the_source_package_else_its_own(source: str, expected: tuple[str, str]) -> None:
    package = of(plain("demo", source=source))

    assert (package.source_name, package.source_version) == expected


def test_epoch_0_is_no_epoch() -> None:
    assert of(plain("demo", epoch=0)).version == "1-1"


@pytest.mark.parametrize(
    "broken",
    [
        b"",
        bytes(7),
        rpm_header({NAME: "x"}),
        rpm_header({VERSION: "1"}),
        rpm_header({NAME: "x" * 1_025, VERSION: "1"}),
        rpm_header({NAME: "x", VERSION: "1", EPOCH: 1}, {EPOCH: I18N}),
        rpm_header({NAME: 1, VERSION: "1"}),
        rpm_header({NAME: "x", VERSION: "1"})[:-1],
        rpm_header({NAME: "x", VERSION: "1"}) + b"\0",
        struct.pack(">II", 0x10000, 0) + bytes(0x100000),
        struct.pack(">IIIIiI", 1, 4, NAME, 6, -1, 1) + b"ab\0\0",
        struct.pack(">IIIIiI", 1, 4, NAME, 6, 9, 1) + b"ab\0\0",
    ],
)
def test_a_broken_header_is_an_error_after_all_others(broken: bytes) -> None:
    packages = RpmExtractor().extract(PATH, io.BytesIO(sqlite_database([broken, plain("good")])))

    assert next(packages).name == "good"
    with pytest.raises(MetadataInvalidError):
        next(packages)


def test_changes_that_sqlite_keeps_beside_the_database_are_not_passed_over() -> None:
    log = f"{PATH}-wal"

    assert extract(b"", log) == []
    with pytest.raises(MetadataInvalidError):
        extract(b"\x37\x7f\x06\x82", log)


def test_rpm_wants_its_databases_in_both_folders_and_the_list_only() -> None:
    wants = RpmExtractor().wants

    assert all(
        wants(f"{folder}/{name}")
        for folder in ("var/lib/rpm", "usr/lib/sysimage/rpm")
        for name in ("rpmdb.sqlite", "rpmdb.sqlite-wal", "Packages", "Packages.db")
    )
    assert wants(LIST)
    assert not any(map(wants, ("var/lib/rpm/Name", "var/lib/rpm/rpmdb.sqlite-shm", "opt/var/lib/rpm/Packages")))


@pytest.mark.parametrize("data", [b"", b"Package: x\n", bytes(5_000), b"SQLite format 3\0", b"RpmP"])
def test_what_is_no_database_is_an_error(data: bytes) -> None:
    with pytest.raises(MetadataInvalidError):
        extract(data)


def test_a_tree_of_pages_that_leads_back_to_itself_is_an_error() -> None:
    data = bytearray(sqlite_database([plain(f"p{index}", filler="x" * 900) for index in range(50)]))
    root = next(at for at in range(4096, len(data), 4096) if data[at] == 5)
    data[root + 8 : root + 12] = (root // 4096 + 1).to_bytes(4, "big")

    with pytest.raises(MetadataInvalidError, match="met twice"):
        extract(bytes(data))


def test_a_page_that_names_others_for_ever_is_an_error() -> None:
    data = bytearray(sqlite_database([plain(f"p{index}", filler="x" * 900) for index in range(50)]))
    root = next(at for at in range(4096, len(data), 4096) if data[at] == 5)
    struct.pack_into(">H", data, root + 3, 2_000)

    with pytest.raises(MetadataInvalidError, match="more pages"):
        extract(bytes(data))


def test_one_header_named_for_ever_is_read_only_so_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("entrepot.scanning.ecosystems.rpm.extract.MOST_HEADERS", 20)
    data = bytearray(sqlite_database([plain("a")], 65_536))
    leaf = 2 * 65_536  # the third page is the table's only one
    (place,) = struct.unpack_from(">H", data, leaf + 8)
    struct.pack_into(">H", data, leaf + 3, 30_000)
    struct.pack_into(">30000H", data, leaf + 8, *[place] * 30_000)
    packages = RpmExtractor().extract(PATH, io.BytesIO(data))

    assert [next(packages).name for _ in range(20)] == ["a"] * 20
    with pytest.raises(MetadataInvalidError, match="more packages"):
        next(packages)


def test_two_slots_of_one_package_do_not_make_it_two() -> None:
    data = bytearray(ndb_database([plain("a"), plain("b")]))
    data[64:80] = data[32:48]

    with pytest.raises(MetadataInvalidError):
        extract(bytes(data))


def test_pages_of_a_value_that_lead_back_are_an_error() -> None:
    data = bytearray(bdb_database([plain("a", filler="x" * 2_000)]))
    first = next(at for at in range(0, len(data), 512) if data[at + 25] == 7)
    struct.pack_into("<I", data, first + 16, first // 512)

    with pytest.raises(MetadataInvalidError, match="met twice"):
        extract(bytes(data))


def test_a_header_over_16_mib_is_not_read() -> None:
    data = bytearray(ndb_database([plain("a")]))
    struct.pack_into("<I", data, 4096 + 12, MOST_BYTES + 1)

    with pytest.raises(MetadataInvalidError):
        extract(bytes(data))


@pytest.mark.parametrize("order", ["<", ">"])
def test_a_berkeley_database_without_all_its_pages_is_an_error(order: str) -> None:
    whole = bdb_database([plain(f"p{index}", filler="x" * 600) for index in range(7)], order)

    assert len(extract(whole)) == 7
    for end in range(512, len(whole), 512):
        with pytest.raises(MetadataInvalidError):
            extract(whole[:end])


def test_a_berkeley_database_that_ends_within_a_page_is_an_error() -> None:
    whole = bdb_database([plain("a")])

    for data in (whole[:-1], whole + b"\0"):
        with pytest.raises(MetadataInvalidError):
            extract(data)


def test_many_slots_of_an_ndb_database_are_not_held_at_once() -> None:
    """Beside a 128 MiB window of zstd a layer's process has 60 MB left."""
    pages = 2_048
    free = b"Slot".ljust(16, b"\0")
    data = b"RpmP" + struct.pack("<III16x", 0, 1, pages) + free * (pages * 256 - 2)
    file = Aside(io.BytesIO(data), len(data))
    tracemalloc.start()
    try:
        found = list(ndb.headers(file))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert found == []
    assert peak < 10 << 20


def row(name: str = "bash", version: str = "5.1.8-4.cm2", **more: str) -> bytes:
    """A line of the list: what `rpm -qa` prints of a package when such an image is built."""
    of = {"vendor": "Some One", "arch": "x86_64", "epoch": "0", "source": "bash-5.1.8-4.cm2.src.rpm"} | more
    texts = (name, version, "1688", "1650", of["vendor"], "(none)", "123", of["arch"], of["epoch"], of["source"])
    return "\t".join(texts).encode() + b"\n"


def test_the_list_of_an_image_without_rpm_names_its_packages() -> None:
    packages = extract(
        row()
        + row("gpg-pubkey", "3135ce90-5e6fda74", vendor="(none)", arch="(none)", source="(none)")
        + row("bind-libs", "9.16.44-1.cm2", epoch="32", source="bind-9.16.44-1.cm2.src.rpm")
        + b"\n"
        + row("local", "1-2", vendor="(none)", arch="noarch", epoch="(none)", source="(none)").rstrip(b"\n"),
        LIST,
    )

    assert packages == [
        Package("rpm", "bash", "5.1.8-4.cm2", "x86_64", "bash", "5.1.8-4.cm2", LIST, vendor="Some One"),
        Package("rpm", "bind-libs", "32:9.16.44-1.cm2", "x86_64", "bind", "32:9.16.44-1.cm2", LIST, vendor="Some One"),
        Package("rpm", "local", "1-2", "noarch", "local", "1-2", LIST),
    ]


@pytest.mark.parametrize(
    "broken",
    [
        b"bash-5.1.8-4.cm2.x86_64\n",
        row().replace(b"\t", b" "),
        row().rpartition(b"\t")[0] + b"\n",
        row().rstrip() + b"\tmore\n",
        row(""),
        row(version=""),
        row(version="5.1.8"),
        row(version="-1"),
        row(epoch="one"),
        row(epoch="-1"),
        row("x" * 1_025),
        b"x" * 70_000 + b"\n",
    ],
)
def test_a_broken_line_of_the_list_is_an_error_after_all_others(broken: bytes) -> None:
    packages = RpmExtractor().extract(LIST, io.BytesIO(broken + row("good")))

    assert next(packages).name == "good"
    with pytest.raises(MetadataInvalidError):
        next(packages)


@pytest.mark.parametrize("data", [b"", b"\n", b" \n\n"])
def test_a_list_of_nothing_is_an_error(data: bytes) -> None:
    with pytest.raises(MetadataInvalidError):
        extract(data, LIST)
