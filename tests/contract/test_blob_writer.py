"""What a writer of blobs promises: durable when it returns, nothing half-visible when it fails."""

import errno
import os
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from entrepot.content.backends.filesystem import UPLOADS, FilesystemBlobs
from entrepot.content.errors import BodyTooLargeError, CopySuspectError, StorageUnavailableError
from entrepot.content.reader import BlobReader
from entrepot.content.writer import BlobWriter
from entrepot.ids import ulid
from entrepot.oci.digest import Digest
from entrepot.oci.errors import DigestInvalidError

CONTENT = bytes(range(256)) * 9000  # 2.3 MB: more than one batch


async def pieces(content: bytes, size: int = 100_000) -> AsyncIterator[bytes]:
    for start in range(0, len(content), size):
        yield content[start : start + size]


@pytest.fixture
def files(tmp_path: Path) -> FilesystemBlobs:
    store = FilesystemBlobs(tmp_path / "blobs")
    store.prepare()
    return store


async def begun(files: FilesystemBlobs, max_bytes: int = 1 << 30) -> tuple[BlobWriter, str]:
    writer, upload = BlobWriter(files, max_bytes), ulid()
    await writer.create(upload)
    return writer, upload


async def test_a_published_upload_is_read_back_whole_and_in_part(files: FilesystemBlobs) -> None:
    writer, upload = await begun(files)
    length = await writer.append(upload, 0, pieces(CONTENT[:1_000_001]))
    length = await writer.append(upload, length, pieces(CONTENT[1_000_001:]))
    stored = await writer.publish(upload, length, Digest.of(CONTENT))
    reader = BlobReader(files.root)
    part = [piece async for piece in reader.range(stored.key, stored.size, 5, 1_200_000)]

    assert Path(reader.whole(stored.key, stored.size)).read_bytes() == CONTENT
    assert b"".join(part) == CONTENT[5:1_200_000]
    assert not files.upload_path(upload).exists()


async def test_another_process_may_close_an_upload(files: FilesystemBlobs) -> None:
    writer, upload = await begun(files)
    length = await writer.append(upload, 0, pieces(CONTENT))
    stored = await BlobWriter(files, 1 << 30).publish(upload, length, Digest.of(CONTENT, "sha512"))

    assert files.path(stored.key).read_bytes() == CONTENT


async def test_bytes_behind_the_offset_are_cut_off(files: FilesystemBlobs) -> None:
    """A chunk that broke off left them; the client sends it again from the last acknowledged offset."""
    writer, upload = await begun(files)
    await writer.append(upload, 0, pieces(b"good" + b"broken off"))
    length = await writer.append(upload, 4, pieces(b" again"))
    stored = await writer.publish(upload, length, Digest.of(b"good again"))

    assert files.path(stored.key).read_bytes() == b"good again"


async def test_other_bytes_than_announced_leave_nothing(files: FilesystemBlobs) -> None:
    writer, upload = await begun(files)
    length = await writer.append(upload, 0, pieces(b"these"))
    with pytest.raises(DigestInvalidError):
        await writer.publish(upload, length, Digest.of(b"those"))

    assert [path for path in files.root.rglob("*") if path.is_file()] == []


async def test_a_body_over_the_limit_is_refused_at_the_limit(files: FilesystemBlobs) -> None:
    writer, upload = await begun(files, max_bytes=1_000)
    assert await writer.append(upload, 0, pieces(b"x" * 1_000)) == 1_000
    with pytest.raises(BodyTooLargeError) as caught:
        await writer.append(upload, 1_000, pieces(b"x"))

    assert caught.value.limit == 1_000


async def test_the_file_is_synced_before_its_name_and_the_directory_after(
    files: FilesystemBlobs, monkeypatch: pytest.MonkeyPatch
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
    writer, upload = await begun(files)
    length = await writer.append(upload, 0, pieces(CONTENT))
    await writer.publish(upload, length, Digest.of(CONTENT))
    await writer.put(b"{}", Digest.of(b"{}"))

    assert calls == ["sync file", "rename", "sync directory"] * 2


@pytest.mark.parametrize("code", [errno.EIO, errno.ENOSPC, errno.EDQUOT])
@pytest.mark.parametrize("call", ["write", "fsync", "open"])
async def test_a_disk_that_fails_fails_the_request_and_leaves_no_copy(
    files: FilesystemBlobs, monkeypatch: pytest.MonkeyPatch, call: str, code: int
) -> None:
    writer, upload = await begun(files)

    def fail(*_: object) -> int:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, call, fail)
    with pytest.raises(StorageUnavailableError, match=r"the store can't write now"):
        await writer.append(upload, 0, pieces(CONTENT))
    with pytest.raises(StorageUnavailableError):
        await writer.put(CONTENT, Digest.of(CONTENT))
    monkeypatch.undo()

    assert [path for path in (files.root / "sha256").rglob("*") if path.is_file()] == []


@pytest.mark.parametrize("damage", [b"", CONTENT[:-1], CONTENT + b"x", None])
async def test_a_copy_of_another_length_is_never_given_out(files: FilesystemBlobs, damage: bytes | None) -> None:
    stored = await BlobWriter(files, 1 << 30).put(CONTENT, Digest.of(CONTENT))
    path = files.path(stored.key)
    path.unlink()
    if damage is not None:
        path.write_bytes(damage)
    reader = BlobReader(files.root)
    with pytest.raises(CopySuspectError):
        reader.whole(stored.key, stored.size)
    with pytest.raises(CopySuspectError):
        [piece async for piece in reader.range(stored.key, stored.size, 0, 10)]


def test_only_old_leftovers_are_swept(files: FilesystemBlobs) -> None:
    old, new = files.upload_path("old"), files.upload_path("new")
    for path in (old, new):
        path.touch()
    os.utime(old, (1, 1))

    assert files.sweep(timedelta(hours=1)) == 1
    assert sorted(path.name for path in (files.root / UPLOADS).iterdir()) == ["new"]
