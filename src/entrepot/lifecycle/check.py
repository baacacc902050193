"""Compares the store's listing with the rows, and reports. It deletes nothing: a listing is late and partial.

An object is an orphan only when it is older than anything that could still get a row: it was listed, then its key was
asked for, so a row that came between is seen.
"""

from collections import Counter
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

import structlog

from entrepot.clock import Clock
from entrepot.content import copies
from entrepot.content.model import Listed
from entrepot.content.ports import StoredBytes, StoredKeys
from entrepot.lifecycle.model import StorageChecked
from entrepot.runtime.events.model import SYSTEM
from entrepot.runtime.unit_of_work import Work

GRACE: Final = timedelta(hours=24)
BATCH: Final = 500
EXAMPLES: Final = 20

log = structlog.get_logger("lifecycle")


@dataclass(frozen=True, slots=True)
class CheckStorage:
    """Reads the whole listing, then every row; what it finds is an event."""

    work: Work
    store: StoredKeys
    content: StoredBytes
    clock: Clock

    async def __call__(self) -> StorageChecked:
        """What was found."""
        found: Counter[str] = Counter()
        examples: list[str] = []
        batch: list[Listed] = []
        async for each in self.store.copies():
            batch.append(each)
            if len(batch) == BATCH:
                await self._objects(batch, found, examples)
                batch = []
        await self._objects(batch, found, examples)
        await self._rows(found, examples)
        event = StorageChecked(
            objects=found["objects"],
            bytes=found["bytes"],
            rows=found["rows"],
            row_bytes=found["row_bytes"],
            orphans=found["orphans"],
            orphan_bytes=found["orphan_bytes"],
            missing=found["missing"],
            missing_bytes=found["missing_bytes"],
            resized=found["resized"],
            examples=tuple(examples[:EXAMPLES]),
        )
        async with self.work(SYSTEM) as unit:
            unit.emit(event)
        report = log.error if found["orphans"] or found["missing"] or found["resized"] else log.info
        report("lifecycle.storage_checked", **event.detail())
        return event

    async def _objects(self, listed: list[Listed], found: Counter[str], examples: list[str]) -> None:
        old = self.clock.now() - GRACE
        async with self.work(SYSTEM) as unit:
            sizes = await copies.sizes(unit, [each.key for each in listed])
        for each in listed:
            found["objects"] += 1
            found["bytes"] += each.size
            known = sizes.get(each.key)
            found["matched"] += known is not None
            if known is None and each.written_at < old:
                found["orphans"] += 1
                found["orphan_bytes"] += each.size
                examples.append(f"orphan {each.key}")
            elif known is not None and known != each.size:
                found["resized"] += 1
                examples.append(f"resized {each.key}")

    async def _rows(self, found: Counter[str], examples: list[str]) -> None:
        """All rows; only if the listing had fewer is each asked for by name, so that a late listing accuses none."""
        async with self.work(SYSTEM) as unit:
            found["rows"], found["row_bytes"] = await copies.totals(unit)
        after: str | None = "" if found["matched"] < found["rows"] else None
        while after is not None:
            place = after
            async with self.work(SYSTEM) as unit:
                rows = await copies.page(unit, place, BATCH)
            for key, size in rows:
                if await self.content.size(key) is None and await self._is_still_there(key):
                    found["missing"] += 1
                    found["missing_bytes"] += size
                    examples.append(f"missing {key}")
            after = rows[-1][0] if len(rows) == BATCH else None

    async def _is_still_there(self, key: str) -> bool:
        async with self.work(SYSTEM) as unit:
            return bool(await copies.sizes(unit, [key]))
