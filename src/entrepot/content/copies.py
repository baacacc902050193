"""Copies of blobs: rows that say where the bytes of a digest lie, and whether they are good."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from sqlalchemy import bindparam, delete, func, insert, or_, select, update

from entrepot.content.model import Stored
from entrepot.content.tables import blob, blob_copy
from entrepot.ids import ulid
from entrepot.oci.digest import Digest
from entrepot.runtime.unit_of_work import Unit
from entrepot.runtime.upsert import insert_or

PART: Final = 500
GIVEN_UP: Final = timedelta(hours=24)
"""How long a damaged copy stays beside the good one that replaced it."""

DOOMED: Final = datetime(1970, 1, 1, tzinfo=UTC)
"""The end of a trashed copy's time once its bytes may be gone."""


@dataclass(frozen=True, slots=True)
class Copy:
    """A stored copy: where its bytes lie, and what they should be."""

    key: str
    digest: Digest
    size: int


# Statements of each push stand built: building one and finding its compiled text again takes longer than running it.
NEW_BLOB: Final = insert_or(blob).on_conflict_do_nothing()
KNOWN: Final = (
    select(blob_copy.c.state)
    .select_from(blob.outerjoin(blob_copy, blob_copy.c.digest == blob.c.digest))
    .where(blob.c.digest == bindparam("wanted"))
    .with_for_update(read=True, key_share=True, of=blob)
)
NEW_COPY: Final = insert(blob_copy)


async def add_copy(unit: Unit, stored: Stored, now: datetime) -> bool:
    """Records *stored* as a copy of its digest; False, and nothing done, if a good copy is known already.

    The blob stays until *unit* ends. Damaged copies are given up for the new one, and trashed ones stay what they are:
    the bytes that came were verified, theirs would have to be read again.
    """
    digest = str(stored.digest)
    new = {"digest": digest, "size": stored.size}
    await unit.execute(NEW_BLOB, new)
    # A blob that is there can be collected before it is locked: then it is made anew.
    while not (rows := await unit.fetch_all(KNOWN, {"wanted": digest})):
        await unit.execute(NEW_BLOB, new)
    states = {row.state for row in rows}
    if "ready" in states:
        return False
    values = {"id": ulid(), "digest": digest, "key": stored.key, "size": stored.size, "state": "ready"}
    await unit.execute(NEW_COPY, {**values, "created_at": now, "verified_at": now})
    if "suspect" in states:
        damaged = update(blob_copy).where(blob_copy.c.digest == digest, blob_copy.c.state == "suspect")
        await unit.execute(damaged.values(state="trashed", purge_after=now + GIVEN_UP))
    return True


async def locked(unit: Unit, digests: Iterable[str]) -> set[str]:
    """Those of *digests* that are blobs; nobody links or stores them until *unit* ends."""
    found: set[str] = set()
    for part in _parts(digests):
        question = select(blob.c.digest).where(blob.c.digest.in_(part)).order_by(blob.c.digest).with_for_update()
        found |= {row.digest for row in await unit.fetch_all(question)}
    return found


async def trash(unit: Unit, digests: Iterable[str], purge_after: datetime) -> int:
    """The blobs *digests*, locked and held by nothing, are no more, and their copies wait for the purger; bytes."""
    size = 0
    for part in _parts(digests):
        waiting = (blob_copy.c.digest.in_(part)) & (blob_copy.c.state != "trashed")
        total = select(func.coalesce(func.sum(blob_copy.c.size), 0)).where(waiting)
        size += int((await unit.fetch_all(total))[0][0])
        await unit.execute(update(blob_copy).where(waiting).values(state="trashed", purge_after=purge_after))
        await unit.execute(delete(blob).where(blob.c.digest.in_(part)))
    return size


async def doomed(unit: Unit, now: datetime, limit: int) -> list[tuple[str, int]]:
    """Keys and sizes of trashed copies whose time is over, from now on nobody's: their bytes may be removed.

    Given again until `removed` has been told, so that a crash between forgets none.
    """
    over = (blob_copy.c.state == "trashed") & (blob_copy.c.purge_after <= now)
    question = select(blob_copy.c.key, blob_copy.c.size).where(over).limit(limit).with_for_update(skip_locked=True)
    rows = [(row.key, int(row.size)) for row in await unit.fetch_all(question)]
    for part in _parts(key for key, _ in rows):
        await unit.execute(update(blob_copy).where(blob_copy.c.key.in_(part)).values(purge_after=DOOMED))
    return rows


async def removed(unit: Unit, keys: Iterable[str]) -> None:
    """The bytes of *keys* are gone."""
    for part in _parts(keys):
        await unit.execute(delete(blob_copy).where(blob_copy.c.key.in_(part), blob_copy.c.purge_after == DOOMED))


async def purge_now(unit: Unit, digests: Iterable[str], now: datetime) -> None:
    """Trashed copies of *digests* wait no longer."""
    for part in _parts(digests):
        waiting = (blob_copy.c.digest.in_(part)) & (blob_copy.c.state == "trashed") & (blob_copy.c.purge_after > now)
        await unit.execute(update(blob_copy).where(waiting).values(purge_after=now))


async def unverified(unit: Unit, before: datetime, limit: int) -> list[Copy]:
    """Good copies nobody has read and verified since *before*, those waiting longest first."""
    columns = (blob_copy.c.key, blob_copy.c.digest, blob_copy.c.size)
    old = or_(blob_copy.c.verified_at.is_(None), blob_copy.c.verified_at < before)
    question = select(*columns).where(blob_copy.c.state == "ready", old).order_by(blob_copy.c.verified_at).limit(limit)
    return [Copy(row.key, Digest.parse(row.digest), row.size) for row in await unit.fetch_all(question)]


async def verified(unit: Unit, key: str, now: datetime) -> None:
    """The copy *key* was read from end to end and is what it should be."""
    await unit.execute(update(blob_copy).where(blob_copy.c.key == key).values(verified_at=now))


async def sizes(unit: Unit, keys: Iterable[str]) -> dict[str, int]:
    """What those of *keys* that are copies should have, in bytes."""
    found: dict[str, int] = {}
    for part in _parts(keys):
        question = select(blob_copy.c.key, blob_copy.c.size).where(blob_copy.c.key.in_(part))
        found |= {row.key: row.size for row in await unit.fetch_all(question)}
    return found


async def totals(unit: Unit) -> tuple[int, int]:
    """How many copies there should be, and their bytes."""
    there = or_(blob_copy.c.purge_after.is_(None), blob_copy.c.purge_after != DOOMED)
    question = select(func.count().label("number"), func.coalesce(func.sum(blob_copy.c.size), 0).label("size"))
    (row,) = await unit.fetch_all(question.select_from(blob_copy).where(there))
    return int(row.number), int(row.size)


async def page(unit: Unit, after: str, limit: int) -> list[tuple[str, int]]:
    """Keys and sizes of copies behind the key *after*, whose bytes should be there."""
    there = or_(blob_copy.c.purge_after.is_(None), blob_copy.c.purge_after != DOOMED)
    question = select(blob_copy.c.key, blob_copy.c.size).where(blob_copy.c.key > after, there)
    return [(row.key, row.size) for row in await unit.fetch_all(question.order_by(blob_copy.c.key).limit(limit))]


async def suspect(unit: Unit, key: str) -> str | None:
    """Marks the copy *key* as not to be served; its digest, None if it was marked already."""
    change = update(blob_copy).where(blob_copy.c.key == key, blob_copy.c.state == "ready").values(state="suspect")
    row = await unit.fetch_one(change.returning(blob_copy.c.digest))
    return None if row is None else str(row.digest)


async def copy_key(unit: Unit, digest: Digest) -> tuple[str, int] | None:
    """Key and size of a good copy of *digest*; None if there is none."""
    question = (
        select(blob_copy.c.key, blob.c.size)
        .join(blob, blob.c.digest == blob_copy.c.digest)
        .where(blob_copy.c.digest == str(digest), blob_copy.c.state == "ready")
        .limit(1)
    )
    row = await unit.fetch_one(question)
    return None if row is None else (row.key, row.size)


def _parts(names: Iterable[str]) -> Iterator[list[str]]:
    ordered = sorted(set(names))
    return (ordered[start : start + PART] for start in range(0, len(ordered), PART))
