"""Copies of blobs: rows that say where the bytes of a digest lie, and whether they are good."""

from datetime import datetime

from sqlalchemy import insert, select, update

from entrepot.content.model import Stored
from entrepot.content.tables import blob, blob_copy
from entrepot.ids import ulid
from entrepot.oci.digest import Digest
from entrepot.runtime.unit_of_work import Unit
from entrepot.runtime.upsert import insert_or


async def add_copy(unit: Unit, stored: Stored, now: datetime) -> bool:
    """Records *stored* as a copy of its digest; False, and nothing done, if a good copy is known already."""
    digest = str(stored.digest)
    await unit.execute(insert_or(blob).values(digest=digest, size=stored.size).on_conflict_do_nothing())
    known = select(blob_copy.c.id).where(blob_copy.c.digest == digest, blob_copy.c.state == "ready").limit(1)
    if await unit.fetch_one(known):
        return False
    await unit.execute(
        insert(blob_copy).values(id=ulid(), digest=digest, key=stored.key, state="ready", created_at=now)
    )
    return True


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
