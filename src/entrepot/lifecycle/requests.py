"""What people may ask the worker to do at once."""

from dataclasses import dataclass

from entrepot.access.model import Site
from entrepot.access.scoped import Scoped
from entrepot.lifecycle.jobs import CheckStorage, Collect
from entrepot.runtime.jobs.model import Job
from entrepot.runtime.unit_of_work import Work


@dataclass(frozen=True, slots=True)
class RequestWork:
    """Starts work that else comes by itself."""

    work: Work

    async def check(self, site: Scoped[Site]) -> None:
        """The store's listing is compared with the rows."""
        await self._start(site, CheckStorage())

    async def collect(self, site: Scoped[Site]) -> None:
        """What is due is collected, and bytes whose time is over are removed."""
        await self._start(site, Collect())

    async def _start(self, site: Scoped[Site], job: Job) -> None:
        async with self.work(site.principal.actor) as unit:
            unit.enqueue(job)
