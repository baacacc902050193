"""Upload sessions: rows that say how far an upload is, and who writes to it. Any process may take the next request.

Where the store keeps the bytes of each request apart, there is a row for each such part, made before the first byte is
sent: whatever an upload left behind, its parts are the record by which it is found and removed.
"""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import ColumnElement, bindparam, delete, func, insert, select, update

from entrepot.content.errors import ChunksExhaustedError
from entrepot.content.model import Part, Upload
from entrepot.content.tables import blob_copy, upload, upload_part
from entrepot.runtime.unit_of_work import Unit

LEASE: Final = timedelta(seconds=30)
MOST_PARTS: Final = 10_240
"""50 GiB in chunks of 5 MiB, the smallest that a client of an object store is told to send."""
AT_ONCE: Final = 1_000


# Statements of each push stand built: building one and finding its compiled text again takes longer than running it.
OPEN: Final = insert(upload)
COUNT: Final = {
    column: select(func.count()).select_from(upload).where(upload.c[column] == bindparam("owner"))
    for column in ("repo_id", "account_id")
}
GET: Final = select(
    upload.c.id, upload.c.repo_id, upload.c.account_id, upload.c.offset, upload.c.epoch, upload.c.algorithm
).where(upload.c.repo_id == bindparam("repo"), upload.c.id == bindparam("upload"))
GET_LOCKED: Final = GET.with_for_update()
TAKE: Final = (
    update(upload)
    .where(
        upload.c.id == bindparam("upload"),
        (upload.c.lease_until.is_(None)) | (upload.c.lease_until < bindparam("now")),
    )
    .values(lease=bindparam("holder"), lease_until=bindparam("until"), reserved=bindparam("length"))
)
END: Final = delete(upload).where(upload.c.id == bindparam("upload"))
END_HELD: Final = END.where(upload.c.lease == bindparam("holder"), upload.c.epoch == bindparam("seen"))


async def open_upload(unit: Unit, id_: str, repo_id: int, account_id: int, algorithm: str, now: datetime) -> None:
    """A new, empty upload, probably of a blob whose digest is by *algorithm*."""
    values = {"id": id_, "repo_id": repo_id, "account_id": account_id, "algorithm": algorithm, "touched_at": now}
    await unit.execute(OPEN, {**values, "offset": 0, "epoch": 0})


async def make_room(unit: Unit, column: str, owner: int, most: int, idle_since: datetime) -> str | None:
    """Sees that *owner* has fewer than *most* uploads, counted by *column* (`repo_id` or `account_id`).

    If need be ends the one that was not touched for longest, if that was before *idle_since* and nobody writes to it.
    Gives what was ended, None if there was room; raises LookupError if there is none.
    """
    counted = await unit.fetch_one(COUNT[column], {"owner": owner})
    if counted is None or counted[0] < most:
        return None
    mine = upload.c[column] == owner
    oldest = select(upload.c.id).where(mine, _idle(idle_since)).order_by(upload.c.touched_at).limit(1)
    row = await unit.fetch_one(oldest.with_for_update(skip_locked=True))
    if row is None:
        raise LookupError(column)
    await end_upload(unit, row.id)
    return str(row.id)


async def get_upload(unit: Unit, repo_id: int, id_: str, *, locked: bool = False) -> Upload | None:
    """The upload *id_* of the repository *repo_id* without its parts; None if there is none. locked: it stays so."""
    row = await unit.fetch_one(GET_LOCKED if locked else GET, {"repo": repo_id, "upload": id_})
    if row is None:
        return None
    return Upload(row.id, row.repo_id, row.account_id, row.offset, row.epoch, row.algorithm)


async def with_parts(unit: Unit, found: Upload) -> Upload:
    """*found* with its durable parts."""
    return replace(found, parts=tuple(part for part in await parts_of(unit, found.id) if part.size))


async def parts_of(unit: Unit, id_: str) -> list[Part]:
    """All parts of an upload, in order, whether it is still there or not."""
    question = select(upload_part.c.key, upload_part.c.size).where(upload_part.c.upload_id == id_)
    return [Part(row.key, row.size) for row in await unit.fetch_all(question.order_by(upload_part.c.number))]


async def lease_upload(unit: Unit, id_: str, lease: str, reserved: int, now: datetime) -> bool:
    """Takes the upload for one writer, who will bring it to *reserved* bytes; False while another has it."""
    values = {"upload": id_, "now": now, "holder": lease, "until": now + LEASE, "length": reserved}
    return bool((await unit.execute(TAKE, values)).rowcount)


async def begin_part(unit: Unit, id_: str, key: str) -> None:
    """The bytes of a request will go to *key*. Raises ChunksExhaustedError."""
    question = select(func.coalesce(func.max(upload_part.c.number), 0)).where(upload_part.c.upload_id == id_)
    row = await unit.fetch_one(question)
    last = int(row[0]) if row else 0
    if last >= MOST_PARTS:
        raise ChunksExhaustedError(MOST_PARTS)
    await unit.execute(insert(upload_part).values(upload_id=id_, number=last + 1, key=key, size=0))


async def keep_part(unit: Unit, key: str, size: int) -> None:
    """The part *key* is durable, with *size* bytes; of none, no part is left."""
    mine = upload_part.c.key == key
    await unit.execute(update(upload_part).where(mine).values(size=size) if size else delete(upload_part).where(mine))


async def renew_upload(unit: Unit, id_: str, lease: str, now: datetime) -> bool:
    """The writer holding *lease* still writes; False if it holds it no more."""
    change = update(upload).where(upload.c.id == id_, upload.c.lease == lease)
    return bool((await unit.execute(change.values(lease_until=now + LEASE))).rowcount)


async def move_upload(unit: Unit, id_: str, lease: str, offset: int, now: datetime) -> int | None:
    """The upload now holds *offset* bytes and is free; its new epoch. None if *lease* was lost meanwhile."""
    change = update(upload).where(upload.c.id == id_, upload.c.lease == lease)
    values = {
        "offset": offset,
        "epoch": upload.c.epoch + 1,
        "lease": "",
        "lease_until": None,
        "reserved": offset,
        "touched_at": now,
    }
    row = await unit.fetch_one(change.values(values).returning(upload.c.epoch))
    return None if row is None else int(row.epoch)


async def free_upload(unit: Unit, id_: str, lease: str) -> None:
    """The upload may be taken again, as it was before *lease*."""
    change = update(upload).where(upload.c.id == id_, upload.c.lease == lease)
    await unit.execute(change.values(lease="", lease_until=None, reserved=upload.c.offset))


async def free_all(unit: Unit) -> None:
    """Every upload may be taken again: whoever wrote to one is gone."""
    await unit.execute(update(upload).where(upload.c.lease != "").values(lease="", lease_until=None))


async def end_upload(unit: Unit, id_: str) -> bool:
    """The upload is no more, but its parts' rows; False if it was not."""
    return bool((await unit.execute(END, {"upload": id_})).rowcount)


async def end_held(unit: Unit, held: Upload, lease: str) -> bool:
    """The upload is no more, but its parts' rows; False if it is no longer as *held* and leased by *lease*.

    lease empty: by nobody.
    """
    values = {"upload": held.id, "holder": lease, "seen": held.epoch}
    return bool((await unit.execute(END_HELD, values)).rowcount)


async def stale_uploads(unit: Unit, before: datetime) -> list[str]:
    """Uploads nobody touched or wrote to since *before*, at most 1,000."""
    rows = await unit.fetch_all(select(upload.c.id).where(_idle(before)).limit(AT_ONCE))
    return [row.id for row in rows]


async def forget_parts(unit: Unit, keys: Iterable[str]) -> None:
    """Nobody looks for the parts *keys* any more: they are gone, or are copies now."""
    wanted = list(keys)
    for start in range(0, len(wanted), AT_ONCE):
        await unit.execute(delete(upload_part).where(upload_part.c.key.in_(wanted[start : start + AT_ONCE])))


async def orphaned_parts(unit: Unit, begun_before: str) -> list[str]:
    """Keys of parts whose upload is gone, at most 1,000: durable ones, and of others those begun before.

    begun_before: a ULID, as keys end with one. Keys that are copies now are not among them.
    """
    is_over = (upload_part.c.size > 0) | (
        func.substr(upload_part.c.key, func.length(upload_part.c.key) - 25) < begun_before
    )
    question = (
        select(upload_part.c.key)
        .outerjoin(upload, upload.c.id == upload_part.c.upload_id)
        .outerjoin(blob_copy, blob_copy.c.key == upload_part.c.key)
        .where(upload.c.id.is_(None), blob_copy.c.key.is_(None), is_over)
        .limit(AT_ONCE)
    )
    return [row.key for row in await unit.fetch_all(question)]


def _idle(since: datetime) -> ColumnElement[bool]:
    return (upload.c.touched_at < since) & (upload.c.lease_until.is_(None) | (upload.c.lease_until < since))
