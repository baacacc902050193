"""What is measured at each scrape of `/metrics`: of rows, of files, of keys. Nothing of it is on the way of a pull."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from entrepot.access.keys import HMAC_KEY, TOKEN_KEY
from entrepot.audit.spool import DAMAGED, SUFFIX
from entrepot.clock import Clock
from entrepot.errors import UnavailableError
from entrepot.lifecycle.gauge import StorageGauge
from entrepot.lifecycle.promotion_lists import PromotionLists
from entrepot.policy.queries import PolicyQueries
from entrepot.runtime.jobs.ports import JobReader
from entrepot.runtime.telemetry import families
from entrepot.runtime.telemetry.families import Reading
from entrepot.scanning.queries import ScanQueries

KEPT: Final = timedelta(minutes=5)
"""How old what takes a look at many rows may be."""

OVERDUE: Final = "overdue"
KEYS: Final = {"token": TOKEN_KEY, "hmac": HMAC_KEY}


@dataclass(slots=True)
class Gauges:
    """Measures. spool: folder of pulls not in the log yet; keys: folder of the registry's keys."""

    jobs: JobReader
    storage: StorageGauge
    scans: ScanQueries
    policy: PolicyQueries
    promotions: PromotionLists
    spool: Path
    keys: Path
    clock: Clock
    version: str
    _counted: tuple[Reading, ...] = ()
    _at: datetime | None = None

    async def __call__(self) -> list[Reading]:
        """Every reading there is; where the database does not answer, those without it: then they are needed most."""
        readings = await asyncio.to_thread(self._files)
        try:
            readings += await self._rows()
            up = 1
        except UnavailableError:
            up = 0
        return [*readings, Reading(families.DATABASE_UP, up), Reading(families.BUILD, 1, (self.version,))]

    async def _rows(self) -> list[Reading]:
        now = self.clock.now()
        oldest = await self.jobs.oldest()
        feeds = sorted(((now - row.imported_at).total_seconds(), row.source) for row in await self.scans.feeds())
        storage = await self.storage()
        waiting, longest = await self.promotions.waiting()
        if self._at is None or now - self._at >= KEPT:
            self._counted = tuple([reading async for reading in self._count()])
            self._at = now
        return [
            *(Reading(families.JOBS, number, key) for key, number in (await self.jobs.counts()).items()),
            *(
                Reading(families.JOBS_OLDEST, (now - oldest[queue]).total_seconds() if queue in oldest else 0, (queue,))
                for queue in families.QUEUES
            ),
            *(Reading(families.SCANS, number, (status,)) for status, number in (await self.scans.by_status()).items()),
            *(Reading(families.FEED_AGE, age, (feed,)) for age, feed in feeds[-families.MOST_FEEDS :]),
            *(Reading(families.STORAGE, storage[kind], (kind,)) for kind in families.STORAGE.labels[0].values),
            Reading(families.REVIEW_OVERDUE, storage[OVERDUE]),
            Reading(families.PROMOTIONS, waiting),
            Reading(families.PROMOTIONS_OLDEST, longest),
            *self._counted,
        ]

    async def _count(self) -> AsyncIterator[Reading]:
        for (severity, fixable), number in (await self.scans.by_severity()).items():
            yield Reading(families.FINDINGS, number, (severity, "true" if fixable else "false"))
        for outcome, number in (await self.policy.by_outcome()).items():
            yield Reading(families.GATES, number, (outcome,))

    def _files(self) -> list[Reading]:
        now = self.clock.now().timestamp()
        waiting = [now - changed for changed in _changed(self.spool.glob(f"*{SUFFIX}"))]
        damaged = sum(1 for _ in self.spool.glob(f"*{DAMAGED}"))
        return [
            Reading(families.SPOOL_OLDEST, max([0.0, *waiting])),
            Reading(families.SPOOL_DAMAGED, damaged),
            *(
                Reading(families.KEY_AGE, now - made, (key,))
                for key, name in KEYS.items()
                for made in _changed([self.keys / name])
            ),
        ]


def _changed(paths: Iterable[Path]) -> Iterator[float]:
    """When each of *paths* was changed last, Unix seconds, of those that are still there."""
    for path in paths:
        try:
            yield path.stat().st_mtime
        except FileNotFoundError:
            continue
