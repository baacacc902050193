"""Real stores of bytes as the registry uses them: a folder, and buckets of two S3 servers; and an upload's rows."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import pytest

from entrepot.content.backends.filesystem import FilesystemBlobs
from entrepot.content.backends.object_store import ObjectBlobs
from entrepot.content.cache import ByteCache
from entrepot.content.model import Body, Content, Part, Stored, Upload
from entrepot.content.object_reader import ObjectReader
from entrepot.content.object_writer import ObjectWriter
from entrepot.content.part_budget import PartBudget
from entrepot.content.ports import BlobReader, BlobStore, UploadWriter
from entrepot.content.reader import FileReader
from entrepot.content.writer import FileWriter
from entrepot.ids import ulid
from entrepot.oci.digest import Digest
from tests.real.object_store import ACCESS_KEY, SECRET_KEY, ObjectStore

MIB: Final = 1 << 20
STORES: Final = ("files", "moto", "rclone")


@dataclass(frozen=True, slots=True)
class RealStore:
    """A store *name*, empty at first, with what reads and writes blobs in it. *folder*: of files, if it is one."""

    name: str
    blobs: BlobStore
    reader: BlobReader
    writer: UploadWriter
    folder: Path | None = None
    budget: PartBudget | None = None

    def other_process(self) -> "RealStore":
        """The same store as a second process sees it: nothing remembered."""
        return _on_files(self.blobs, self.folder) if self.folder else _on_objects(self.name, self.blobs)

    async def tamper(self, key: str, data: bytes) -> None:
        """Behind everybody's back *data* is what lies under *key*."""
        if self.folder is not None:
            await asyncio.to_thread((self.folder / key).write_bytes, data)
        else:
            await self.blobs.put(key, data)

    async def listed(self) -> list[str]:
        """The keys of all copies."""
        return sorted([copy.key async for copy in self.blobs.copies()])


@dataclass(slots=True)
class Session:
    """An upload as the database knows it: what is durable, and nothing else."""

    store: RealStore
    upload: Upload

    @classmethod
    def begin(cls, store: RealStore, algorithm: str = "sha256") -> "Session":
        """A new upload."""
        return cls(store, Upload(ulid(), 1, 1, 0, 0, algorithm))

    async def add(self, *pieces: bytes, length: int | None = None) -> int:
        """A PATCH with *pieces*; how long the upload is now."""
        place = self.store.writer.place()
        offset = await self.store.writer.append(self.upload, place, Body(each(pieces), length))
        self._moved(place, offset)
        return offset

    async def finish(self, digest: Digest, *pieces: bytes, length: int | None = None) -> Stored:
        """A PUT of *digest*, with *pieces* if there are any."""
        body = Body(each(pieces), length) if pieces else None
        return await self.store.writer.finish(self.upload, self.store.writer.place(), body, digest)

    async def discard(self) -> None:
        """The upload is no more."""
        await self.store.writer.discard(self.upload.id, self.upload.parts)

    def _moved(self, place: str, offset: int) -> None:
        parts = self.upload.parts
        if place and offset > self.upload.offset:
            parts = (*parts, Part(place, offset - self.upload.offset))
        self.upload = replace(self.upload, offset=offset, parts=parts)


async def each(pieces: Sequence[bytes]) -> AsyncIterator[bytes]:
    """*pieces*, one by one."""
    for piece in pieces:
        yield piece


async def bytes_of(content: Content) -> bytes:
    """All that *content* would send."""
    if content.pieces is not None:
        return b"".join([piece async for piece in content.pieces])
    assert content.data is not None
    return bytes(content.data)


async def read(store: RealStore, stored: Stored, part: tuple[int, int] | None = None) -> bytes:
    """What a pull of *stored* is sent."""
    return await bytes_of(await store.reader.open(str(stored.digest), stored.key, stored.size, part))


@pytest.fixture(scope="session")
def prepared_folder(tmp_path_factory: pytest.TempPathFactory) -> FilesystemBlobs:
    """A folder with its five hundred folders, which take longer to make than any test."""
    files = FilesystemBlobs(tmp_path_factory.mktemp("blobs"))
    asyncio.run(files.prepare())
    return files


@pytest.fixture(params=STORES)
def real_store(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RealStore:
    """Each store there is, empty and prepared."""
    if request.param == "files":
        files: FilesystemBlobs = request.getfixturevalue("prepared_folder")
        for path in files.root.rglob("*"):
            if path.is_file():
                path.unlink()
        return _on_files(files, files.root)
    server = request.getfixturevalue(f"{request.param}_server")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", ACCESS_KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET_KEY)
    return _on_objects(request.param, ObjectBlobs.at(ObjectStore(server, server.bucket()).url, tmp_path))


def _on_files(blobs: BlobStore, folder: Path) -> RealStore:
    assert isinstance(blobs, FilesystemBlobs)
    return RealStore("files", blobs, FileReader(blobs, ByteCache(64 * MIB, MIB)), FileWriter(blobs, 64 * MIB), folder)


def _on_objects(name: str, blobs: BlobStore) -> RealStore:
    assert isinstance(blobs, ObjectBlobs)
    budget = PartBudget(48 * MIB)
    reader = ObjectReader(blobs, ByteCache(64 * MIB, MIB))
    return RealStore(name, blobs, reader, ObjectWriter(blobs, budget, 64 * MIB), None, budget)
