"""What the store holds, for those who ask often: counted every few minutes at most, as it takes a look at every row."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from entrepot.clock import Clock
from entrepot.lifecycle.queries import StorageQueries

KEPT: Final = timedelta(minutes=5)


@dataclass(slots=True)
class StorageGauge:
    """The numbers of `StorageQueries.storage` by name, up to five minutes old, and how late reviews are, in seconds."""

    queries: StorageQueries
    clock: Clock
    _at: datetime | None = None
    _numbers: Mapping[str, int] = field(default_factory=dict)

    async def __call__(self) -> Mapping[str, int]:
        """Bytes: physical, live, trash, reclaimable, logical, uploading; `waiting` reviews; seconds: `overdue`."""
        now = self.clock.now()
        if self._at is None or now - self._at >= KEPT:
            found = await self.queries.storage()
            classes = ("physical", "live", "trash", "reclaimable", "logical", "uploading", "waiting")
            overdue = await self.queries.overdue(now)
            self._numbers = {name: getattr(found, name) for name in classes} | {"overdue": int(overdue.total_seconds())}
            self._at = now
        return self._numbers
