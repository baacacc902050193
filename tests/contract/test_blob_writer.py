"""What a writer to a disk promises beyond every store's contract: the order of syncs; full and failing disks."""

import errno
import os
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import NamedTuple

import pytest

from entrepot.content import vfs
from entrepot.content.backends.filesystem import UPLOADS, FilesystemBlobs
from entrepot.content.cache import ByteCache
from entrepot.content.errors import CopySuspectError, StorageUnavailableError, UploadUnknownError
from entrepot.content.model import Body, Upload
from entrepot.content.reader import FileReader
from entrepot.content.writer import FileWriter, Room
from entrepot.ids import ulid
from entrepot.oci.digest import Digest
from tests.real.blob_store import MIB, RealStore, Session, each

CONTENT = bytes(range(256)) * 9000  # 2.3 MB: more than one batch
pytestmark = pytest.mark.parametrize("real_store", ["files"], indirect=True)


class Disk(NamedTuple):
    """The store on a folder, and its files."""

    store: RealStore
    files: FilesystemBlobs
    writer: FileWriter


@pytest.fixture
def disk(real_store: RealStore) -> Disk:
    assert isinstance(real_store.blobs, FilesystemBlobs)
    assert isinstance(real_store.writer, FileWriter)
    return Disk(real_store, real_store.blobs, real_store.writer)


def fails(code: int) -> Callable[..., int]:
    def fail(*_: object) -> int:
        raise OSError(code, os.strerror(code))

    return fail


def left(disk: Disk) -> list[Path]:
    return [path for path in disk.files.root.rglob("*") if path.is_file()]


async def append(disk: Disk, upload: Upload, *pieces: bytes, length: int | None = None) -> int:
    return await disk.writer.append(upload, "", Body(each(pieces), length))


async def test_bytes_behind_the_offset_are_cut_off(disk: Disk) -> None:
    """A chunk that broke off left them; the client sends it again from the last acknowledged offset."""
    upload = Upload(ulid(), 1, 1, 0, 0)
    await append(disk, upload, b"good" + b"broken off")
    length = await append(disk, replace(upload, offset=4), b" again")
    stored = await disk.writer.finish(replace(upload, offset=length), "", None, Digest.of(b"good again"))

    assert disk.files.path(stored.key).read_bytes() == b"good again"


async def test_bytes_behind_the_offset_do_not_become_part_of_the_copy(disk: Disk) -> None:
    upload = Upload(ulid(), 1, 1, 0, 0)
    await append(disk, upload, b"good" + b"broken off")
    stored = await disk.writer.finish(replace(upload, offset=4), "", None, Digest.of(b"good"))

    assert disk.files.path(stored.key).read_bytes() == b"good"


async def test_other_bytes_than_announced_leave_nothing(disk: Disk) -> None:
    session = Session.begin(disk.store)
    await session.add(b"these")
    with pytest.raises(Exception, match="another digest"):
        await session.finish(Digest.of(b"those"))

    assert left(disk) == []


async def test_an_upload_whose_file_is_gone_is_unknown(disk: Disk) -> None:
    session = Session.begin(disk.store)
    await session.add(b"these")
    disk.files.upload_path(session.upload.id).unlink()
    with pytest.raises(UploadUnknownError):
        await session.add(b"more")
    with pytest.raises(UploadUnknownError):
        await session.finish(Digest.of(b"these"))


async def test_the_file_is_synced_before_its_name_and_the_directory_after(
    disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Any other order loses an acknowledged blob when the power goes."""
    calls: list[str] = []
    sync, rename = os.fsync, Path.rename

    def watched_sync(descriptor: int) -> None:
        calls.append("sync " + ("directory" if Path(f"/proc/self/fd/{descriptor}").is_dir() else "file"))
        sync(descriptor)

    def watched_rename(self: Path, target: Path) -> Path:
        calls.append("rename")
        return rename(self, target)

    monkeypatch.setattr(os, "fsync", watched_sync)
    monkeypatch.setattr(Path, "rename", watched_rename)
    session = Session.begin(disk.store)
    await session.add(CONTENT)
    await session.finish(Digest.of(CONTENT))
    await disk.writer.put(b"{}", Digest.of(b"{}"))

    begun, ended = ["sync file", "sync directory"], ["rename", "sync directory"]
    assert calls == [*begun, *ended, "sync file", *ended]


@pytest.mark.parametrize("code", [errno.EIO, errno.ENOSPC, errno.EDQUOT])
@pytest.mark.parametrize("call", ["write", "fsync", "open"])
async def test_a_disk_that_fails_fails_the_request_and_leaves_no_copy(
    disk: Disk, monkeypatch: pytest.MonkeyPatch, call: str, code: int
) -> None:
    monkeypatch.setattr(os, call, fails(code))
    with pytest.raises(StorageUnavailableError, match=r"the store can't write now"):
        await Session.begin(disk.store).add(CONTENT)
    with pytest.raises(StorageUnavailableError):
        await disk.writer.put(CONTENT, Digest.of(CONTENT))
    monkeypatch.undo()

    assert await disk.store.listed() == []
    assert await Session.begin(disk.store).finish(Digest.of(CONTENT), CONTENT)


async def test_a_file_that_was_not_synced_is_dropped_and_never_synced_again(
    disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its pages may be marked clean: a second sync would say that all is well."""
    session = Session.begin(disk.store)
    await session.add(b"before")
    monkeypatch.setattr(os, "fsync", fails(errno.EIO))
    with pytest.raises(StorageUnavailableError):
        await session.add(CONTENT)
    monkeypatch.undo()

    assert left(disk) == []
    with pytest.raises(UploadUnknownError):
        await session.add(CONTENT)


async def test_a_file_that_was_cut_to_its_length_and_not_synced_is_never_published(
    disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A retry would find it with the right length."""
    upload = Upload(ulid(), 1, 1, 0, 0)
    await append(disk, upload, b"good" + b"broken off")
    monkeypatch.setattr(os, "fsync", fails(errno.EIO))
    with pytest.raises(StorageUnavailableError):
        await disk.writer.finish(replace(upload, offset=4), "", None, Digest.of(b"good"))
    monkeypatch.undo()

    with pytest.raises(UploadUnknownError):
        await disk.writer.finish(replace(upload, offset=4), "", None, Digest.of(b"good"))
    assert left(disk) == []


async def test_after_three_failed_syncs_nothing_is_written_any_more(
    disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted: list[int] = []
    disk.writer.sync_failed = lambda: counted.append(1)
    monkeypatch.setattr(os, "fsync", fails(errno.EIO))
    for _ in range(3):
        with pytest.raises(StorageUnavailableError, match="can't write now"):
            await Session.begin(disk.store).add(b"x")
    monkeypatch.undo()

    with pytest.raises(StorageUnavailableError, match="before a restart"):
        await Session.begin(disk.store).add(b"x")
    with pytest.raises(StorageUnavailableError, match="before a restart"):
        await disk.writer.put(b"x", Digest.of(b"x"))
    assert (len(counted), left(disk)) == (3, [])


async def test_room_is_reserved_before_the_first_byte(disk: Disk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vfs, "reserve", fails(errno.ENOSPC))
    with pytest.raises(StorageUnavailableError):
        await append(disk, Upload(ulid(), 1, 1, 0, 0), b"", length=2 * MIB)
    monkeypatch.undo()

    assert sum(path.stat().st_size for path in left(disk)) == 0


@pytest.mark.parametrize("length", [None, 3 * MIB])
async def test_reserved_room_that_was_not_needed_is_given_back(disk: Disk, length: int | None) -> None:
    upload = Upload(ulid(), 1, 1, 0, 0)
    await append(disk, upload, bytes(MIB), bytes(MIB // 2), length=length)
    seen = disk.files.upload_path(upload.id).stat()

    assert seen.st_size == MIB + MIB // 2
    assert seen.st_blocks * 512 < 2 * MIB


@pytest.mark.parametrize("room", [Room(1 << 60), Room(0, 99)], ids=["bytes", "percent"])
async def test_a_nearly_full_disk_takes_nothing(disk: Disk, room: Room) -> None:
    writer = FileWriter(disk.files, MIB, room)
    with pytest.raises(StorageUnavailableError, match="nearly full"):
        await writer.append(Upload(ulid(), 1, 1, 0, 0), "", Body(each([b"x"])))
    with pytest.raises(StorageUnavailableError, match="nearly full"):
        await writer.put(b"x", Digest.of(b"x"))

    assert left(disk) == []


async def test_a_body_that_would_fill_the_disk_is_refused_at_once(disk: Disk) -> None:
    free, _ = vfs.free_bytes(disk.files.root)
    writer = FileWriter(disk.files, 1 << 62, Room(MIB))
    with pytest.raises(StorageUnavailableError, match="nearly full"):
        await writer.append(Upload(ulid(), 1, 1, 0, 0), "", Body(each([b"x"]), free + MIB))


@pytest.mark.parametrize("damage", [b"", CONTENT[:-1], CONTENT + b"x", None])
async def test_a_copy_of_another_length_is_never_given_out(disk: Disk, damage: bytes | None) -> None:
    stored = await disk.writer.put(CONTENT, Digest.of(CONTENT))
    path = disk.files.path(stored.key)
    path.unlink()
    if damage is not None:
        path.write_bytes(damage)
    for part in (None, (0, 10)):
        with pytest.raises(CopySuspectError):
            await disk.store.reader.open(str(stored.digest), stored.key, stored.size, part)


async def test_a_disk_that_is_not_there_says_nothing_of_its_copies(disk: Disk, tmp_path: Path) -> None:
    """Else a mount that failed would mark every copy as damaged."""
    gone = FilesystemBlobs(tmp_path / "not mounted")
    for ask in (
        gone.get("sha256/00/x"),
        gone.size("sha256/00/x"),
        FileReader(gone, ByteCache(MIB, MIB)).look("sha256/00/x", 5),
    ):
        with pytest.raises(StorageUnavailableError):
            await ask

    assert left(disk) == []


def test_only_old_leftovers_are_swept(disk: Disk) -> None:
    old, new = disk.files.upload_path("old"), disk.files.upload_path("new")
    for path in (old, new):
        path.touch()
    os.utime(old, (1, 1))

    assert disk.files.sweep(timedelta(hours=1)) == 1
    assert sorted(path.name for path in (disk.files.root / UPLOADS).iterdir()) == ["new"]
