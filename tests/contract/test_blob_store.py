"""What every store of bytes does, in the words of content/ports.py: a folder, and two S3 servers that differ.

moto knows no signatures; rclone checks them, and answers a range with everything.
"""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import aclosing
from datetime import UTC, datetime, timedelta

import pytest

from entrepot.content.errors import BodyTooLargeError, CopySuspectError
from entrepot.content.model import Body
from entrepot.ids import ulid
from entrepot.oci.digest import Digest
from entrepot.oci.errors import DigestInvalidError
from tests.real.blob_store import MIB, RealStore, Session, bytes_of, each, read

SMALL = bytes(range(256)) * 40
LARGE = os.urandom(MIB) * 11 + b"odd"
"""More than two parts of 5 MiB."""
PIECES = [LARGE[start : start + 65_000] for start in range(0, len(LARGE), 65_000)]
ABSENT = f"o/00/{ulid()}"


class LeftError(Exception):
    """The client has left."""


async def cut_off(*pieces: bytes) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece
    raise LeftError


async def streamed(store: RealStore, key: str, start: int = 0, end: int | None = None) -> bytes:
    async with aclosing(store.blobs.stream(key, start, end)) as pieces:
        return b"".join([piece async for piece in pieces])


# small bytes


async def test_what_was_put_is_got(real_store: RealStore) -> None:
    await real_store.blobs.put("facts/a/b", SMALL)

    assert await real_store.blobs.get("facts/a/b") == SMALL


async def test_nothing_can_be_put(real_store: RealStore) -> None:
    await real_store.blobs.put("facts/empty", b"")

    assert await real_store.blobs.get("facts/empty") == b""
    assert await real_store.blobs.size("facts/empty") == 0


async def test_more_than_a_part_can_be_put(real_store: RealStore) -> None:
    await real_store.blobs.put("facts/large", LARGE)

    assert await real_store.blobs.get("facts/large") == LARGE


async def test_what_is_absent_can_t_be_got(real_store: RealStore) -> None:
    with pytest.raises(CopySuspectError):
        await real_store.blobs.get(ABSENT)


# stored bytes


async def test_the_size_is_known(real_store: RealStore) -> None:
    await real_store.blobs.put("facts/x", SMALL)

    assert await real_store.blobs.size("facts/x") == len(SMALL)


async def test_what_is_absent_has_no_size(real_store: RealStore) -> None:
    assert await real_store.blobs.size(ABSENT) is None


@pytest.mark.parametrize(
    ("start", "end"),
    [(0, None), (0, 1), (5, 6_000_000), (3 * MIB, 3 * MIB + 1), (len(LARGE) - 1, None), (7, len(LARGE))],
)
async def test_any_range_is_streamed(real_store: RealStore, start: int, end: int | None) -> None:
    stored = await Session.begin(real_store).finish(Digest.of(LARGE), LARGE)

    assert await streamed(real_store, stored.key, start, end) == LARGE[start:end]


async def test_pieces_stay_small(real_store: RealStore) -> None:
    stored = await Session.begin(real_store).finish(Digest.of(LARGE), LARGE)
    sizes = [len(piece) async for piece in real_store.blobs.stream(stored.key)]

    assert sum(sizes) == len(LARGE)
    assert max(sizes) <= 2 * MIB


async def test_a_stream_may_be_left_early(real_store: RealStore) -> None:
    stored = await Session.begin(real_store).finish(Digest.of(LARGE), LARGE)
    async with aclosing(real_store.blobs.stream(stored.key)) as pieces:
        first = await anext(pieces)

    assert LARGE.startswith(first)
    assert await streamed(real_store, stored.key, 9, 99) == LARGE[9:99]


async def test_what_is_absent_can_t_be_streamed(real_store: RealStore) -> None:
    with pytest.raises(CopySuspectError):
        await streamed(real_store, ABSENT)


async def test_a_stream_that_ends_early_says_so(real_store: RealStore) -> None:
    await real_store.blobs.put("facts/short", SMALL)
    with pytest.raises(CopySuspectError):
        await streamed(real_store, "facts/short", 0, len(SMALL) + 1)


async def test_what_is_stored_can_be_had_as_a_file(real_store: RealStore) -> None:
    await real_store.blobs.put("facts/file", SMALL)
    async with real_store.blobs.opened("facts/file") as path:
        assert path.read_bytes() == SMALL


async def test_what_is_absent_is_no_file(real_store: RealStore) -> None:
    with pytest.raises(CopySuspectError):
        async with real_store.blobs.opened(ABSENT):
            pass


# keys


async def test_what_is_deleted_is_gone_and_nothing_else(real_store: RealStore) -> None:
    kept, gone = [await real_store.writer.put(data, Digest.of(data)) for data in (b"kept", b"gone")]
    await real_store.blobs.delete([gone.key])

    assert await real_store.blobs.size(gone.key) is None
    assert await real_store.listed() == [kept.key]


async def test_what_is_absent_can_be_deleted(real_store: RealStore) -> None:
    stored = await real_store.writer.put(b"there", Digest.of(b"there"))
    await real_store.blobs.delete([ABSENT, stored.key, f"o/11/{ulid()}"])
    await real_store.blobs.delete([])

    assert await real_store.listed() == []


async def test_more_keys_than_one_call_takes_are_deleted(real_store: RealStore) -> None:
    stored = [await real_store.writer.put(bytes([n]), Digest.of(bytes([n]))) for n in range(3)]
    absent = [f"o/22/{ulid()}" for _ in range(1200)]
    await real_store.blobs.delete([stored[0].key, *absent[:1100], stored[1].key, *absent[1100:], stored[2].key])

    assert await real_store.listed() == []


async def test_copies_are_listed_with_size_and_time_and_facts_are_not(real_store: RealStore) -> None:
    stored = await real_store.writer.put(SMALL, Digest.of(SMALL))
    await real_store.blobs.put("facts/not/a/copy", b"x")
    listed = [copy async for copy in real_store.blobs.copies()]

    assert [(copy.key, copy.size) for copy in listed] == [(stored.key, len(SMALL))]
    assert abs(listed[0].written_at - datetime.now(UTC)) < timedelta(minutes=5)


# writing


@pytest.mark.parametrize("length", [len(LARGE), None], ids=["length announced", "length unknown"])
async def test_one_body_is_a_blob(real_store: RealStore, length: int | None) -> None:
    stored = await Session.begin(real_store).finish(Digest.of(LARGE), *PIECES, length=length)

    assert stored.size == len(LARGE)
    assert await read(real_store, stored) == LARGE
    assert await real_store.listed() == [stored.key]


@pytest.mark.parametrize("size", [1, 5 * MIB - 1, 5 * MIB, 5 * MIB + 1, 10 * MIB, 16 * MIB, 32 * MIB])
async def test_a_body_may_end_at_or_beside_the_end_of_a_part(real_store: RealStore, size: int) -> None:
    data = bytes(size)
    known = await Session.begin(real_store).finish(Digest.of(data), data, length=size)
    unknown = await Session.begin(real_store).finish(Digest.of(data), data)

    assert await real_store.blobs.size(known.key) == await real_store.blobs.size(unknown.key) == size


async def test_one_patch_and_an_empty_put_are_a_blob_that_was_written_once(real_store: RealStore) -> None:
    session = Session.begin(real_store)
    assert await session.add(*PIECES) == len(LARGE)
    stored = await session.finish(Digest.of(LARGE))

    assert await read(real_store, stored) == LARGE
    assert await real_store.listed() == [stored.key]


async def test_several_requests_are_one_blob(real_store: RealStore) -> None:
    session = Session.begin(real_store)
    for start in range(0, len(LARGE), 3_000_000):
        await session.add(LARGE[start : start + 3_000_000])
    stored = await session.finish(Digest.of(LARGE))

    assert stored.size == len(LARGE)
    assert await read(real_store, stored) == LARGE


async def test_the_last_bytes_may_ride_on_the_put(real_store: RealStore) -> None:
    session = Session.begin(real_store)
    await session.add(LARGE[:7_000_000], length=7_000_000)
    stored = await session.finish(Digest.of(LARGE), LARGE[7_000_000:], length=len(LARGE) - 7_000_000)

    assert await read(real_store, stored) == LARGE


async def test_an_empty_request_adds_nothing(real_store: RealStore) -> None:
    session = Session.begin(real_store)
    await session.add(b"ab")

    assert await session.add() == 2
    assert await read(real_store, await session.finish(Digest.of(b"ab"))) == b"ab"


async def test_the_empty_blob_is_a_blob(real_store: RealStore) -> None:
    stored = await Session.begin(real_store).finish(Digest.of(b""))

    assert (stored.size, await read(real_store, stored)) == (0, b"")
    assert await real_store.blobs.size(stored.key) == 0


async def test_other_bytes_than_announced_are_refused(real_store: RealStore) -> None:
    with pytest.raises(DigestInvalidError):
        await Session.begin(real_store).finish(Digest.of(b"announced"), LARGE)


async def test_other_bytes_in_several_requests_are_refused(real_store: RealStore) -> None:
    session = Session.begin(real_store)
    await session.add(b"some")
    await session.add(b"thing")
    with pytest.raises(DigestInvalidError):
        await session.finish(Digest.of(b"something else"))


@pytest.mark.parametrize("begun", ["sha256", "sha512"])
@pytest.mark.parametrize("ended", ["sha256", "sha512"])
@pytest.mark.parametrize("requests", [1, 2])
async def test_the_digest_s_algorithm_may_be_known_late(
    real_store: RealStore, begun: str, ended: str, requests: int
) -> None:
    session = Session.begin(real_store, begun)
    for _ in range(requests):
        await session.add(SMALL)
    digest = Digest.of(SMALL * requests, ended)
    stored = await session.finish(digest)

    assert stored.digest == digest
    assert await read(real_store, stored) == SMALL * requests


async def test_another_process_finishes_what_one_began(real_store: RealStore) -> None:
    session = Session.begin(real_store)
    await session.add(*PIECES)
    other = Session(real_store.other_process(), session.upload)
    stored = await other.finish(Digest.of(LARGE))

    assert await read(real_store, stored) == LARGE


async def test_processes_take_turns(real_store: RealStore) -> None:
    session, stores = Session.begin(real_store), [real_store.other_process() for _ in range(3)]
    for store, start in zip(stores, range(0, 9, 3), strict=True):
        session.store = store
        await session.add(b"abcdefghi"[start : start + 3])
    session.store = real_store

    assert await read(real_store, await session.finish(Digest.of(b"abcdefghi"))) == b"abcdefghi"


@pytest.mark.parametrize("came", [0, 1000, 7_000_000])
async def test_a_client_that_leaves_adds_nothing(real_store: RealStore, came: int) -> None:
    session = Session.begin(real_store)
    await session.add(b"before")
    with pytest.raises(LeftError):
        await real_store.writer.append(session.upload, real_store.writer.place(), Body(cut_off(LARGE[:came])))
    await session.add(b" and after")

    assert await read(real_store, await session.finish(Digest.of(b"before and after"))) == b"before and after"


async def test_a_client_that_leaves_a_put_leaves_the_upload(real_store: RealStore) -> None:
    session, digest = Session.begin(real_store), Digest.of(b"before" + LARGE)
    await session.add(b"before")
    with pytest.raises(LeftError):
        await real_store.writer.finish(session.upload, real_store.writer.place(), Body(cut_off(*PIECES)), digest)
    stored = await session.finish(digest, *PIECES)

    assert await read(real_store, stored) == b"before" + LARGE


async def test_a_body_over_the_limit_is_refused_and_the_upload_stays(real_store: RealStore) -> None:
    session = Session.begin(real_store)
    await session.add(b"before")
    with pytest.raises(BodyTooLargeError):
        await session.add(*[bytes(MIB)] * 64)

    assert await read(real_store, await session.finish(Digest.of(b"before"))) == b"before"


async def test_a_discarded_upload_leaves_nothing(real_store: RealStore) -> None:
    session = Session.begin(real_store)
    await session.add(SMALL)
    await session.discard()
    await session.discard()

    assert await real_store.listed() == []
    assert real_store.folder is None or not list((real_store.folder / "uploads").iterdir())


async def test_a_dropped_copy_is_gone(real_store: RealStore) -> None:
    stored = await Session.begin(real_store).finish(Digest.of(SMALL), SMALL)
    await real_store.writer.drop(stored)

    assert await real_store.listed() == []


async def test_a_key_is_never_given_twice(real_store: RealStore) -> None:
    keys = {(await Session.begin(real_store).finish(Digest.of(SMALL), SMALL)).key for _ in range(5)}

    assert len(keys) == 5


async def test_many_uploads_at_once_are_all_whole(real_store: RealStore) -> None:
    async def one(number: int) -> bool:
        data = bytes([number]) * (6 * MIB)
        pieces = [data[start : start + 300_000] for start in range(0, len(data), 300_000)]
        stored = await Session.begin(real_store).finish(Digest.of(data), *pieces)
        return await read(real_store, stored) == data

    assert all(await asyncio.gather(*(one(number) for number in range(8))))
    if real_store.budget is not None:
        async with asyncio.timeout(10):
            while real_store.budget.used:  # noqa: ASYNC110  it is given back in another thread
                await asyncio.sleep(0)


async def test_a_feed_of_any_size_is_written_under_its_key(real_store: RealStore) -> None:
    assert await real_store.writer.write("incoming/feed", each(PIECES)) == len(LARGE)
    assert await real_store.blobs.get("incoming/feed") == LARGE


async def test_a_feed_that_breaks_off_leaves_nothing(real_store: RealStore) -> None:
    with pytest.raises(LeftError):
        await real_store.writer.write("incoming/broken", cut_off(*PIECES))

    assert await real_store.blobs.size("incoming/broken") is None


# reading


async def test_a_copy_is_seen_with_its_size(real_store: RealStore) -> None:
    stored = await real_store.writer.put(SMALL, Digest.of(SMALL))
    await real_store.reader.look(stored.key, stored.size)
    for key, size in ((stored.key, stored.size + 1), (stored.key, 0), (ABSENT, 5)):
        with pytest.raises(CopySuspectError):
            await real_store.reader.look(key, size)


@pytest.mark.parametrize("data", [SMALL, LARGE], ids=["small", "large"])
@pytest.mark.parametrize("part", [None, (0, 1), (100, 10_000), (10_239, 10_240)])
async def test_a_pull_gets_all_or_a_part(real_store: RealStore, data: bytes, part: tuple[int, int] | None) -> None:
    stored = await Session.begin(real_store).finish(Digest.of(data), data)
    for _ in range(2):  # the second time a small one is in memory
        assert await read(real_store, stored, part) == (data if part is None else data[part[0] : part[1]])


@pytest.mark.parametrize("data", [SMALL, LARGE], ids=["small", "large"])
async def test_a_pull_of_a_copy_that_is_gone_fails_before_a_byte_is_sent(real_store: RealStore, data: bytes) -> None:
    stored = await Session.begin(real_store).finish(Digest.of(data), data)
    await real_store.blobs.delete([stored.key])
    with pytest.raises(CopySuspectError):
        await real_store.reader.open(str(stored.digest), stored.key, stored.size, None)


@pytest.mark.parametrize("part", [None, (0, 100)])
@pytest.mark.parametrize("data", [SMALL, LARGE], ids=["small", "large"])
async def test_a_pull_of_a_short_copy_fails_before_a_byte_is_sent(
    real_store: RealStore, data: bytes, part: tuple[int, int] | None
) -> None:
    stored = await Session.begin(real_store).finish(Digest.of(data), data)
    await real_store.tamper(stored.key, data[:-1])
    with pytest.raises(CopySuspectError):
        await bytes_of(await real_store.reader.open(str(stored.digest), stored.key, stored.size, part))


async def test_a_small_blob_with_other_bytes_is_never_served(real_store: RealStore) -> None:
    stored = await real_store.writer.put(SMALL, Digest.of(SMALL))
    await real_store.tamper(stored.key, bytes(len(SMALL)))
    with pytest.raises(CopySuspectError):
        await real_store.reader.open(str(stored.digest), stored.key, stored.size, (0, 9))


async def test_an_empty_copy_that_is_gone_is_missed(real_store: RealStore) -> None:
    stored = await Session.begin(real_store).finish(Digest.of(b""))
    await real_store.blobs.delete([stored.key])
    with pytest.raises(CopySuspectError):
        await real_store.reader.open(str(stored.digest), stored.key, 0, None)
