"""Upload sessions: rows that say how far an upload is, and who writes to it. Any process may take the next request."""

from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import delete, insert, select, update

from entrepot.content.model import Upload
from entrepot.content.tables import upload
from entrepot.runtime.unit_of_work import Unit

LEASE: Final = timedelta(seconds=30)


async def open_upload(unit: Unit, id_: str, repo_id: int, account_id: int, now: datetime) -> None:
    """A new, empty upload."""
    await unit.execute(
        insert(upload).values(id=id_, repo_id=repo_id, account_id=account_id, offset=0, epoch=0, touched_at=now)
    )


async def get_upload(unit: Unit, repo_id: int, id_: str) -> Upload | None:
    """The upload *id_* of the repository *repo_id*; None if there is none."""
    columns = (upload.c.id, upload.c.repo_id, upload.c.account_id, upload.c.offset, upload.c.epoch)
    row = await unit.fetch_one(select(*columns).where(upload.c.repo_id == repo_id, upload.c.id == id_))
    return None if row is None else Upload(row.id, row.repo_id, row.account_id, row.offset, row.epoch)


async def lease_upload(unit: Unit, id_: str, lease: str, now: datetime) -> bool:
    """Takes the upload for one writer; False while another has it."""
    free = (upload.c.lease_until.is_(None)) | (upload.c.lease_until < now)
    change = update(upload).where(upload.c.id == id_, free).values(lease=lease, lease_until=now + LEASE)
    return bool((await unit.execute(change)).rowcount)


async def renew_upload(unit: Unit, id_: str, lease: str, now: datetime) -> None:
    """The writer holding *lease* still writes."""
    change = update(upload).where(upload.c.id == id_, upload.c.lease == lease).values(lease_until=now + LEASE)
    await unit.execute(change)


async def move_upload(unit: Unit, id_: str, lease: str, offset: int, now: datetime) -> int | None:
    """The upload now holds *offset* bytes and is free; its new epoch. None if *lease* was lost meanwhile."""
    change = update(upload).where(upload.c.id == id_, upload.c.lease == lease)
    values = {"offset": offset, "epoch": upload.c.epoch + 1, "lease": "", "lease_until": None, "touched_at": now}
    row = await unit.fetch_one(change.values(values).returning(upload.c.epoch))
    return None if row is None else int(row.epoch)


async def free_upload(unit: Unit, id_: str, lease: str) -> None:
    """The upload may be taken again, as it was before *lease*."""
    change = update(upload).where(upload.c.id == id_, upload.c.lease == lease)
    await unit.execute(change.values(lease="", lease_until=None))


async def free_all(unit: Unit) -> None:
    """Every upload may be taken again: whoever wrote to one is gone."""
    await unit.execute(update(upload).where(upload.c.lease != "").values(lease="", lease_until=None))


async def end_upload(unit: Unit, id_: str) -> bool:
    """The upload is no more; False if it was not."""
    return bool((await unit.execute(delete(upload).where(upload.c.id == id_))).rowcount)


async def stale_uploads(unit: Unit, before: datetime) -> list[str]:
    """Uploads nobody touched since *before*, at most 1,000."""
    rows = await unit.fetch_all(select(upload.c.id).where(upload.c.touched_at < before).limit(1000))
    return [row.id for row in rows]
