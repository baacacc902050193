"""The contract of uploads and mounts, on both databases, on files and objects: turns, limits, expiry, mounts, heal."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

import pytest
from sqlalchemy import func, select, update

from entrepot import wiring
from entrepot.access.authorize import authorize
from entrepot.access.model import Grant, Permission, Principal, Project, Role
from entrepot.access.model import Site as WholeSite
from entrepot.catalog.projects import CreateProject
from entrepot.clock import SystemClock
from entrepot.content import sessions
from entrepot.content.errors import ChunksExhaustedError, RangeInvalidError, UploadUnknownError
from entrepot.content.ports import BlobStore, UploadWriter
from entrepot.content.settings import Storage
from entrepot.content.tables import blob_copy, upload, upload_part
from entrepot.errors import NotFoundError
from entrepot.ids import ulid
from entrepot.oci.digest import Digest
from entrepot.oci.errors import DigestInvalidError
from entrepot.registry.errors import TooManyUploadsError
from entrepot.registry.expiry import ExpireUploads
from entrepot.registry.uploads import Chunk, UploadLimits, Uploads
from entrepot.runtime.events.model import SYSTEM, Actor
from entrepot.runtime.secret import Secret
from entrepot.runtime.settings import Database
from entrepot.settings import Settings
from entrepot.web.services import Services
from tests.faults.site import start
from tests.real.blob_store import each
from tests.real.object_store import ObjectStore
from tests.real.postgres import Postgres
from tests.real.sqlite import new_migrated_database

STACKS: Final = ["sqlite+files", "sqlite+objects", "postgresql+objects"]
REPOSITORY: Final = "shop/web"
ADMIN_ID: Final = 1


@dataclass(slots=True)
class Ahead:
    """A clock that goes *by* ahead of the machine's."""

    by: timedelta = timedelta()

    def now(self) -> datetime:
        """Later than now."""
        return SystemClock().now() + self.by


@dataclass(slots=True)
class Shop:
    """The real parts of a web process, with a clock that can be moved."""

    data: Path
    services: Services
    files: BlobStore
    writer: UploadWriter
    clock: Ahead
    uploads: Uploads

    def principal(self, project: Project | None = None) -> Principal:
        """The administrator, or whoever may push into *project* alone."""
        actor = Actor("admin", "person", ADMIN_ID, request_id=ulid())
        grant = Grant(Role.ADMIN, None) if project is None else Grant(Role.DEVELOPER, project.id)
        return Principal(actor, (grant,))

    async def begin(self, repository: str = REPOSITORY, *, algorithm: str = "sha256") -> str:
        """A new upload."""
        return (await self.uploads.begin(self.principal(), repository, algorithm)).id

    async def add(self, id_: str, data: bytes, start: int | None = None) -> int:
        """A PATCH; the upload's length then."""
        chunk = Chunk(start, length=len(data), is_exact=start is not None)
        return (await self.uploads.add(self.principal(), REPOSITORY, id_, chunk, each([data]))).offset

    async def finish(self, id_: str, data: bytes, rest: bytes | None = None) -> None:
        """A PUT that closes the upload of *data*."""
        body = None if rest is None else each([rest])
        await self.uploads.finish(self.principal(), REPOSITORY, id_, Digest.of(data), Chunk(), body)

    async def push(self, data: bytes, repository: str = REPOSITORY) -> Digest:
        """POST and PUT."""
        id_, digest = await self.begin(repository), Digest.of(data)
        await self.uploads.finish(self.principal(), repository, id_, digest, Chunk(), each([data]))
        return digest

    async def has(self, digest: Digest, repository: str = REPOSITORY) -> bool:
        """What a HEAD says."""
        with suppress(NotFoundError):
            await self.services.pull.blob(self.principal(), repository, digest, head=True)
            return True
        return False

    async def count(self, table: object) -> int:
        """Rows of a table."""
        async with self.uploads.work(SYSTEM) as unit:
            row = await unit.fetch_one(select(func.count()).select_from(table))  # type: ignore[arg-type]
        assert row is not None
        return int(row[0])

    async def stored(self) -> set[str]:
        """Keys of all copies that the store lists."""
        return {copy.key async for copy in self.files.copies()}

    def begun_files(self) -> Iterator[Path]:
        """Files of uploads that are not ended."""
        return self.data.glob("*/uploads/*")

    async def expire(self) -> int:
        """What the worker does now and then."""
        return await ExpireUploads(self.uploads.work, self.writer, self.files, self.clock, timedelta(hours=24)).once()


@pytest.fixture(params=STACKS)
async def shop(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Shop]:
    """An empty registry with the projects `shop` and `other`."""
    storage, database = Storage(), Database()
    if request.param.endswith("objects"):
        server = request.getfixturevalue("moto_server")
        store = ObjectStore(server, server.bucket())
        for name, value in store.environment.items():
            monkeypatch.setenv(name, value)
        storage = Storage(url=Secret(store.url))
    if request.param.startswith("postgresql"):
        postgres: Postgres = request.getfixturevalue("postgres")
        database = Database(url=Secret(postgres.url))
    settings = Settings(data=tmp_path / "data", storage=storage, database=database)
    settings.data.mkdir()
    if request.param.startswith("sqlite"):
        new_migrated_database(settings.data / "entrepot.db")
    await asyncio.to_thread(prepared, settings)
    services = wiring.web_app(settings, lambda: False).services
    await services.reads.hot.open()
    clock = Ahead()
    base = wiring.foundation(settings)
    uploads = replace(services.uploads, clock=clock)
    made = Shop(settings.data, services, base.files, base.writer, clock, uploads)
    for name in ("shop", "other"):
        site = authorize(made.principal(), Permission.PROJECT_CREATE, WholeSite())
        await CreateProject(uploads.work, clock)(site, name)
    yield made
    await uploads.work.database.close()
    await services.reads.hot.close()


def prepared(settings: Settings) -> None:
    start(settings.data, settings)


# turns


async def test_parts_of_an_upload_are_on_record_only_as_long_as_they_are_needed(shop: Shop) -> None:
    id_ = await shop.begin()
    for start_ in (0, 3, 6):
        await shop.add(id_, b"abc", start_)
    await shop.finish(id_, b"abcabcabc")

    assert await shop.has(Digest.of(b"abcabcabc"))
    assert (await shop.count(upload), await shop.count(upload_part)) == (0, 0)
    assert len(await shop.stored()) == 1


async def test_one_request_at_a_time_writes_to_an_upload(shop: Shop) -> None:
    id_ = await shop.begin()
    begun, release = asyncio.Event(), asyncio.Event()

    async def slow() -> AsyncIterator[bytes]:
        begun.set()
        await release.wait()
        yield b"first"

    first = asyncio.create_task(shop.uploads.add(shop.principal(), REPOSITORY, id_, Chunk(), slow()))
    await begun.wait()
    with pytest.raises(RangeInvalidError):
        await shop.add(id_, b"second")
    release.set()

    assert (await first).offset == 5
    await shop.finish(id_, b"first")


async def test_a_writer_whose_lease_went_to_another_changes_nothing(shop: Shop) -> None:
    id_ = await shop.begin()
    begun, release = asyncio.Event(), asyncio.Event()

    async def stalled() -> AsyncIterator[bytes]:
        yield b"l"
        begun.set()
        await release.wait()
        yield b"ate"

    late = asyncio.create_task(shop.uploads.add(shop.principal(), REPOSITORY, id_, Chunk(), stalled()))
    await begun.wait()
    shop.clock.by += timedelta(minutes=1)
    await shop.add(id_, b"in time")
    release.set()
    with pytest.raises(RangeInvalidError):
        await late

    await shop.finish(id_, b"in time")
    assert (await shop.count(upload_part), len(await shop.stored())) == (0, 1)


async def test_an_upload_that_was_cancelled_meanwhile_is_gone(shop: Shop) -> None:
    id_ = await shop.begin()
    begun, release = asyncio.Event(), asyncio.Event()

    async def slow() -> AsyncIterator[bytes]:
        begun.set()
        await release.wait()
        yield b"bytes"

    adding = asyncio.create_task(shop.uploads.add(shop.principal(), REPOSITORY, id_, Chunk(), slow()))
    await begun.wait()
    await shop.uploads.cancel(shop.principal(), REPOSITORY, id_)
    release.set()
    with pytest.raises(UploadUnknownError):
        await adding

    await shop.expire()
    assert (await shop.count(upload_part), await shop.stored()) == (0, set())


# whole bodies, which need no lease on files


async def test_of_requests_that_bring_the_whole_blob_one_ends_the_upload(shop: Shop) -> None:
    id_, digest = await shop.begin(), Digest.of(b"whole")
    chunk, both = Chunk(start=0, epoch=0, length=5), asyncio.Event()

    async def slow() -> AsyncIterator[bytes]:
        await asyncio.wait_for(both.wait(), 5)
        yield b"whole"

    finishing = [
        asyncio.create_task(shop.uploads.finish(shop.principal(), REPOSITORY, id_, digest, chunk, slow()))
        for _ in range(2)
    ]
    await asyncio.sleep(0.1)
    both.set()
    outcomes = await asyncio.gather(*finishing, return_exceptions=True)

    assert sorted(str(type(outcome).__name__) for outcome in outcomes)[1] == "int"
    assert {type(outcome) for outcome in outcomes} <= {int, UploadUnknownError, RangeInvalidError}
    assert await shop.has(digest)
    assert (await shop.count(upload), len(await shop.stored())) == (0, 1)


async def test_a_whole_body_that_breaks_off_leaves_the_upload_as_it_was(shop: Shop) -> None:
    id_, digest = await shop.begin(), Digest.of(b"whole")

    async def broken() -> AsyncIterator[bytes]:
        yield b"wh"
        raise TimeoutError

    with pytest.raises(TimeoutError):
        await shop.uploads.finish(shop.principal(), REPOSITORY, id_, digest, Chunk(length=5), broken())
    assert (await shop.uploads.state(shop.principal(), REPOSITORY, id_)).offset == 0

    await shop.uploads.finish(shop.principal(), REPOSITORY, id_, digest, Chunk(length=5), each([b"whole"]))
    assert await shop.has(digest)
    assert list(shop.begun_files()) == []


async def test_a_whole_body_with_another_digest_ends_the_upload_and_leaves_nothing(shop: Shop) -> None:
    id_ = await shop.begin()
    with pytest.raises(DigestInvalidError):
        await shop.uploads.finish(
            shop.principal(), REPOSITORY, id_, Digest.of(b"whole"), Chunk(length=5), each([b"other"])
        )

    assert (await shop.count(upload), await shop.stored(), list(shop.begun_files())) == (0, set(), [])


async def test_a_whole_body_for_an_upload_that_has_bytes_is_refused_or_added(shop: Shop) -> None:
    id_ = await shop.begin()
    await shop.add(id_, b"first ")
    with pytest.raises(RangeInvalidError):
        await shop.uploads.finish(
            shop.principal(), REPOSITORY, id_, Digest.of(b"whole"), Chunk(start=0, length=5), each([b"whole"])
        )

    await shop.uploads.finish(
        shop.principal(), REPOSITORY, id_, Digest.of(b"first whole"), Chunk(length=5), each([b"whole"])
    )
    assert await shop.has(Digest.of(b"first whole"))


async def test_the_same_bytes_pushed_at_once_are_one_copy(shop: Shop) -> None:
    await asyncio.gather(*(shop.push(b"same bytes") for _ in range(8)))

    assert await shop.count(blob_copy) == 1
    assert len(await shop.stored()) == 1


@pytest.mark.parametrize("shop", STACKS[1:], indirect=True)
async def test_an_upload_has_not_more_chunks_than_a_client_needs(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sessions, "MOST_PARTS", 2)
    id_ = await shop.begin()
    await shop.add(id_, b"a")
    await shop.add(id_, b"b")
    with pytest.raises(ChunksExhaustedError):
        await shop.add(id_, b"c")


# limits


async def test_the_limit_of_uploads_is_met_exactly(shop: Shop) -> None:
    shop.uploads = replace(shop.uploads, limits=UploadLimits(3, 5))
    for _ in range(3):
        await shop.begin()
    with pytest.raises(TooManyUploadsError, match="repository has 3"):
        await shop.begin()
    for _ in range(2):
        await shop.begin("shop/elsewhere")
    with pytest.raises(TooManyUploadsError, match="account has 5"):
        await shop.begin("shop/anywhere")

    assert await shop.count(upload) == 5


async def test_an_idle_upload_makes_room_and_its_bytes_are_gone_at_once(shop: Shop) -> None:
    shop.uploads = replace(shop.uploads, limits=UploadLimits(2, 500))
    oldest = await shop.begin()
    await shop.add(oldest, b"abandoned")
    shop.clock.by += timedelta(minutes=9)
    second = await shop.begin()
    with pytest.raises(TooManyUploadsError):
        await shop.begin()
    shop.clock.by += timedelta(minutes=2)
    await shop.begin()

    with pytest.raises(UploadUnknownError):
        await shop.add(oldest, b"more")
    assert await shop.add(second, b"x") == 1
    assert (await shop.count(upload), await shop.count(upload_part)) == (2, int(bool(shop.writer.place())))


async def test_an_upload_that_is_written_to_makes_no_room(shop: Shop) -> None:
    shop.uploads = replace(shop.uploads, limits=UploadLimits(1, 500))
    id_ = await shop.begin()
    begun, release = asyncio.Event(), asyncio.Event()

    async def slow() -> AsyncIterator[bytes]:
        yield b"a"
        begun.set()
        await release.wait()

    shop.clock.by += timedelta(minutes=11)
    adding = asyncio.create_task(shop.uploads.add(shop.principal(), REPOSITORY, id_, Chunk(), slow()))
    await begun.wait()
    with pytest.raises(TooManyUploadsError):
        await shop.begin()
    release.set()

    assert (await adding).offset == 1


# expiry


async def test_an_upload_nobody_continues_for_a_day_is_gone_with_its_bytes(shop: Shop) -> None:
    old = await shop.begin()
    await shop.add(old, b"old")
    shop.clock.by += timedelta(hours=23)
    new = await shop.begin()
    shop.clock.by += timedelta(hours=2)

    assert await shop.expire() == 1
    with pytest.raises(UploadUnknownError):
        await shop.add(old, b"x")
    assert await shop.add(new, b"x") == 1
    assert await shop.count(upload_part) == int(bool(shop.writer.place()))


@pytest.mark.parametrize("shop", STACKS[1:], indirect=True)
async def test_bytes_of_a_request_that_died_are_reaped_when_it_can_t_live_any_more(shop: Shop) -> None:
    """As after a kill -9 in the middle of a body: its row says where the bytes went."""
    id_, place = await shop.begin(), shop.writer.place()
    async with shop.uploads.work(SYSTEM) as unit:
        await sessions.begin_part(unit, id_, place)
    await shop.files.put(place, b"half")
    await shop.uploads.cancel(shop.principal(), REPOSITORY, id_)
    await shop.expire()
    young = await shop.stored()
    shop.clock.by += timedelta(hours=26)
    await shop.expire()

    assert (young, await shop.stored(), await shop.count(upload_part)) == ({place}, set(), 0)


async def test_a_copy_is_never_reaped(shop: Shop) -> None:
    digest = await shop.push(b"kept")
    id_ = await shop.begin()
    await shop.add(id_, b"also kept")
    await shop.finish(id_, b"also kept")
    shop.clock.by += timedelta(days=9)
    await shop.expire()

    assert await shop.has(digest)
    assert await shop.has(Digest.of(b"also kept"))


# mounts


async def test_a_mount_without_a_source_finds_one_the_principal_may_pull(shop: Shop) -> None:
    digest = await shop.push(b"layer", "other/base")

    assert await shop.uploads.mount(shop.principal(), REPOSITORY, digest, None)
    assert await shop.has(digest)


async def test_a_mount_without_a_source_is_no_oracle(shop: Shop) -> None:
    digest = await shop.push(b"secret layer", "other/base")
    project = await shop.services.reads.project("shop")
    stranger = shop.principal(project)
    shop.uploads = replace(shop.uploads, roles=NoRoles())

    assert not await shop.uploads.mount(stranger, REPOSITORY, digest, None)
    assert not await shop.uploads.mount(stranger, REPOSITORY, Digest.of(b"nobody has it"), None)
    assert not await shop.has(digest)


async def test_a_mount_tries_the_own_project_first(shop: Shop) -> None:
    for number in range(25):
        await shop.push(b"popular", f"other/r{number:02}")
    digest = await shop.push(b"popular", "shop/base")
    project = await shop.services.reads.project("shop")
    shop.uploads = replace(shop.uploads, roles=NoRoles())

    assert await shop.uploads.mount(shop.principal(project), REPOSITORY, digest, None)


async def test_a_mount_of_missing_bytes_begins_an_upload(shop: Shop) -> None:
    digest = await shop.push(b"will be lost", "other/base")
    await shop.files.delete(sorted(await shop.stored()))

    assert not await shop.uploads.mount(shop.principal(), REPOSITORY, digest, None)
    assert not await shop.uploads.mount(shop.principal(), REPOSITORY, digest, "other/base")


class NoRoles:
    """Accounts that have no role but what their principal says."""

    async def grants(self, account_id: int) -> tuple[Grant, ...]:
        """None."""
        del account_id
        return ()


# heal


async def test_a_push_heals_what_is_missing_with_a_new_generation(shop: Shop) -> None:
    digest = await shop.push(b"bytes")
    before = await shop.stored()
    await shop.files.delete(sorted(before))
    lost = await shop.has(digest)
    await shop.push(b"bytes")

    assert not lost
    assert await shop.has(digest)
    assert not before & await shop.stored()
    async with shop.uploads.work(SYSTEM) as unit:
        rows = await unit.fetch_all(select(blob_copy.c.state).order_by(blob_copy.c.id))
    assert [row.state for row in rows] == ["trashed", "ready"]


async def test_a_suspect_copy_is_not_served_and_a_push_brings_a_good_one(shop: Shop) -> None:
    digest = await shop.push(b"bytes")
    async with shop.uploads.work(SYSTEM) as unit:
        await unit.execute(update(blob_copy).values(state="suspect"))
    lost = await shop.has(digest)
    await shop.push(b"bytes")

    assert (lost, await shop.has(digest), await shop.count(blob_copy)) == (False, True, 2)
