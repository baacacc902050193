"""Ten ways an object store goes wrong, at nine kinds of request, once and again and again: what is promised holds.

After each: P1 what was acknowledged reads back; P2 nothing else is half there; P5 the client's plain retry succeeds;
and nothing lies in the bucket that no row knows. Design: registry.md, sections 4 and 11.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Final

import pytest
from sqlalchemy import select

from entrepot import wiring
from entrepot.access.errors import PermissionDeniedError
from entrepot.content import object_writer
from entrepot.content.backends import object_url
from entrepot.content.backends.object_store import ObjectBlobs
from entrepot.content.cache import ByteCache
from entrepot.content.errors import UploadUnknownError
from entrepot.content.object_reader import ObjectReader
from entrepot.content.object_writer import ObjectWriter
from entrepot.content.part_budget import PartBudget
from entrepot.content.settings import Storage
from entrepot.content.tables import blob_copy, upload_part
from entrepot.errors import EntrepotError, NotFoundError, UnavailableError
from entrepot.oci.digest import Digest
from entrepot.registry.expiry import ExpireUploads
from entrepot.registry.uploads import Chunk
from entrepot.runtime.events.model import SYSTEM
from entrepot.runtime.secret import Secret
from entrepot.settings import Settings
from tests.faults.site import PROJECT, Site
from tests.real.blob_store import MIB, bytes_of, each
from tests.real.faulty_proxy import Fault, FaultyProxy, Operation, faulty_proxy
from tests.real.object_store import ObjectStore, S3Server

REPOSITORY: Final = f"{PROJECT}/app"
ANSWER: Final = timedelta(seconds=1)
RETRY: Final = {
    "max_retries": 2,
    "retry_timeout": timedelta(seconds=10),
    "backoff": {"init_backoff": timedelta(milliseconds=1), "max_backoff": timedelta(milliseconds=5), "base": 2},
}
PART_BYTES: Final = 50_000
SMALL_BYTES: Final = 20_000
LARGE_BYTES: Final = 2 * PART_BYTES + 77
TIMES: Final = (1, 5)
"""Once, which a retry hides; and more often than anything is tried again."""
IN_TURNS: Final = [(operation, TIMES[number % 2]) for number, operation in enumerate(Operation)]
ALL: Final = [(operation, times) for operation in Operation for times in TIMES]
CASES: Final = ALL if os.environ.get("ENTREPOT_TEST_FAULTS") == "all" else IN_TURNS
FAULTS: Final = list(Fault)


@dataclass(slots=True)
class Bucket:
    """A registry over a store that goes wrong, and what its clients were told."""

    site: Site
    proxy: FaultyProxy
    objects: ObjectBlobs
    acknowledged: dict[Digest, bytes] = field(default_factory=dict)
    refused: dict[Digest, bytes] = field(default_factory=dict)

    async def push(self, data: bytes, *, chunks: int = 0) -> bool:
        """A blob comes, in *chunks* PATCHes or with the PUT; whether it was acknowledged."""
        uploads, by, digest = self.site.services.uploads, self.site.principal(), Digest.of(data)
        self.refused.setdefault(digest, data)
        try:
            id_ = (await uploads.begin(by, REPOSITORY)).id
            size = -(-len(data) // chunks) if chunks else 0
            for start in range(0, len(data), size) if chunks else ():
                piece = data[start : start + size]
                await uploads.add(by, REPOSITORY, id_, Chunk(start, None, len(piece), is_exact=True), each([piece]))
            body = None if chunks else each([data])
            await uploads.finish(by, REPOSITORY, id_, digest, Chunk(length=None if chunks else len(data)), body)
        except (UnavailableError, UploadUnknownError):
            return False
        self.acknowledged[digest] = data
        return True

    async def cancel(self) -> None:
        """An upload comes and is cancelled."""
        uploads, by = self.site.services.uploads, self.site.principal()
        with suppress(UnavailableError):
            id_ = (await uploads.begin(by, REPOSITORY)).id
            await uploads.add(by, REPOSITORY, id_, Chunk(), each([os.urandom(1000)]))
            await uploads.cancel(by, REPOSITORY, id_)

    async def pull(self, digest: Digest, part: tuple[int, int] | None = None) -> bytes:
        """What another process, which remembers nothing, sends of the blob."""
        by, pull = self.site.principal(), self.site.services.pull
        fresh = replace(pull, reader=ObjectReader(self.objects, ByteCache(MIB, 2 * SMALL_BYTES)))
        found = await fresh.blob(by, REPOSITORY, digest, head=False)
        content = await fresh.content(by, REPOSITORY, found, part, "")
        assert not isinstance(content, str)
        return await bytes_of(content)

    async def head(self, digest: Digest) -> bool:
        """What a HEAD says."""
        try:
            await self.site.services.pull.blob(self.site.principal(), REPOSITORY, digest, head=True)
        except NotFoundError:
            return False
        return True

    async def pull_or_nothing(self, data: bytes, part: tuple[int, int] | None = None) -> None:
        """A pull of *data* while all goes wrong: the right bytes, or an error that says so."""
        try:
            got = await self.pull(Digest.of(data), part)
        except (UnavailableError, NotFoundError):
            return
        assert got == (data if part is None else data[part[0] : part[1]])

    async def reap(self) -> set[str]:
        """The expiry of uploads runs; keys in the bucket that no row knows."""
        services = self.site.services
        await ExpireUploads(
            services.uploads.work, services.uploads.writer, self.objects, services.uploads.clock, timedelta(hours=24)
        ).reap()
        async with self.site.work(SYSTEM) as unit:
            known = {row.key for row in await unit.fetch_all(select(blob_copy.c.key))}
            known |= {row.key for row in await unit.fetch_all(select(upload_part.c.key))}
        return {copy.key async for copy in self.objects.copies()} - known


@asynccontextmanager
async def bucket(server: S3Server, folder: Path, patch: pytest.MonkeyPatch) -> AsyncIterator[Bucket]:
    """A registry on SQLite and *server*, prepared while all was well."""
    async with faulty_proxy(server.endpoint) as proxy:
        store = ObjectStore(replace(server, endpoint=proxy.endpoint), server.bucket())
        for name, value in store.environment.items():
            patch.setenv(name, value)
        url = store.url + "&timeout=1s"
        settings = Settings(data=folder, storage=Storage(url=Secret(url)))
        patch.setattr(object_url, "RETRY", RETRY)
        patch.setattr(object_writer, "LEAST_PART", PART_BYTES)
        patch.setattr(wiring, "ProcessPoolExecutor", lambda size, _: ThreadPoolExecutor(size))
        folder.mkdir()
        await asyncio.to_thread(wiring.prepare, settings)
        base = wiring.foundation(settings)
        assert isinstance(base.files, ObjectBlobs)
        objects = replace(base.files, answer=ANSWER)
        base = replace(
            base,
            files=objects,
            reader=ObjectReader(objects, ByteCache(1, 1)),
            writer=ObjectWriter(objects, PartBudget(64 * MIB), 64 * MIB),
        )
        patch.setattr(wiring, "foundation", lambda _: base)
        site = Site(folder, wiring.web_app(settings, lambda: False).services)
        await site.services.reads.hot.open()
        with suppress(PermissionDeniedError):
            await site.create_project()
        try:
            yield Bucket(site, proxy, objects)
        finally:
            await site.work.database.close()
            await site.services.reads.hot.close()


async def everything(there: Bucket, small: bytes, large: bytes) -> None:
    """All that asks the store for anything; *small* and *large* are there already."""
    steps: list[Callable[[], Awaitable[object]]] = [
        lambda: there.push(os.urandom(SMALL_BYTES)),
        lambda: there.push(os.urandom(LARGE_BYTES)),
        lambda: there.push(os.urandom(LARGE_BYTES), chunks=3),
        lambda: there.push(small),
        there.cancel,
        lambda: there.pull_or_nothing(small),
        lambda: there.pull_or_nothing(large),
        lambda: there.pull_or_nothing(large, (1000, 2 * PART_BYTES)),
        lambda: there.head(Digest.of(small)),
        lambda: _listed(there),
    ]
    for step in steps:
        with suppress(UnavailableError):
            await step()


async def _listed(there: Bucket) -> list[str]:
    return [copy.key async for copy in there.objects.copies()]


@pytest.mark.parametrize("fault", FAULTS, ids=[fault.name for fault in FAULTS])
async def test_after_each_fault_all_promises_hold(
    lenient_moto_server: S3Server, fault: Fault, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with bucket(lenient_moto_server, tmp_path / "data", monkeypatch) as there:
        for operation, times in CASES:
            small, large = os.urandom(SMALL_BYTES), os.urandom(LARGE_BYTES)
            assert await there.push(small)
            assert await there.push(large)
            there.proxy.go_wrong(operation, fault, times)
            await everything(there, small, large)
            there.proxy.recover()
            assert there.proxy.hit, operation

            await keeps_its_promises(there, fault)
            left = await there.reap()
            # Who is told that what he deletes is not there believes it; only a listing finds that out.
            assert not left or (operation, fault) == (Operation.DELETE, Fault.STALE)
            await there.objects.delete(sorted(left))
    print(f"{fault.name}: {len(CASES)} cases")


async def keeps_its_promises(there: Bucket, fault: Fault) -> None:
    """P1, P2 and P5."""
    for digest, data in there.acknowledged.items():
        try:
            assert await there.pull(digest) == data
        except NotFoundError:
            # Only a store that said "not there" of what is there makes us say so too; a plain push heals it.
            assert fault is Fault.STALE
    for digest, data in there.refused.items():
        if await there.head(digest):
            assert await there.pull(digest) == data
        assert await there.push(data)
        assert await there.pull(digest) == data
    there.acknowledged.clear()
    there.refused.clear()


def test_there_are_ninety_kinds() -> None:
    assert len(Fault) * len(Operation) == 90


async def test_a_store_that_refuses_our_credentials_marks_nothing_as_damaged(
    lenient_moto_server: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with bucket(lenient_moto_server, tmp_path / "data", monkeypatch) as there:
        data = os.urandom(LARGE_BYTES)
        assert await there.push(data)
        for operation in (Operation.HEAD, Operation.GET):
            there.proxy.go_wrong(operation, Fault.EXPIRED, 1000)
            with pytest.raises(EntrepotError) as refused:
                await (there.head if operation is Operation.HEAD else there.pull)(Digest.of(data))
            there.proxy.recover()
            assert isinstance(refused.value, UnavailableError)

        assert await there.pull(Digest.of(data)) == data
