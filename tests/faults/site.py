"""The registry's real parts on a folder, without a socket: those of a web process, and the worker's ingest."""

import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

import pytest
from sqlalchemy import BigInteger, type_coerce, update

from entrepot import wiring
from entrepot.access.authorize import authorize
from entrepot.access.hot_sql import access_statements
from entrepot.access.model import Grant, Permission, Principal, Role
from entrepot.access.model import Site as WholeSite
from entrepot.audit.ingest import Ingest
from entrepot.audit.spool import Spool
from entrepot.clock import SystemClock
from entrepot.content.backends.filesystem import FilesystemBlobs
from entrepot.ids import ulid
from entrepot.lifecycle import tasks as lifecycle
from entrepot.lifecycle.jobs import Collect
from entrepot.registry.hot_sql import registry_statements
from entrepot.runtime.events.model import SYSTEM, Actor
from entrepot.runtime.tables import METADATA, Instant
from entrepot.runtime.telemetry.work import WorkMetrics
from entrepot.runtime.unit_of_work import Work
from entrepot.settings import Settings
from entrepot.web.services import Services

ADMIN_ID: Final = 1
PROJECT: Final = "faults"
DAY_US: Final = 86_400_000_000
STATEMENTS: Final = {
    "access_statements": cache(access_statements),
    "registry_statements": cache(registry_statements),
}
"""What is the same in every process is compiled once for all of them: it takes longer than a restart."""


@dataclass(frozen=True, slots=True)
class Site:
    """The parts on *folder*."""

    folder: Path
    services: Services

    @property
    def spool(self) -> Spool:
        """Where pulls go first."""
        log = self.services.pull.log
        assert isinstance(log, Spool)
        return log

    def principal(self, request: str = "") -> Principal:
        """An administrator, in the request named *request*."""
        actor = Actor("admin", "person", ADMIN_ID, request_id=request or ulid())
        return Principal(actor, (Grant(Role.ADMIN, None),))

    async def create_project(self) -> None:
        """The project of all tests here."""
        await self.services.create_project(authorize(self.principal(), Permission.PROJECT_CREATE, WholeSite()), PROJECT)

    @property
    def work(self) -> Work:
        """What opens transactions."""
        return self.services.put_manifest.work

    async def let_days_pass(self, days: int) -> None:
        """All that is on record happened, and ends, *days* days earlier: time passes for rows, not for clocks."""
        async with self.work(SYSTEM) as unit:
            for table in METADATA.sorted_tables:
                instants = [column for column in table.c if isinstance(column.type, Instant)]
                if instants:
                    earlier = {column: type_coerce(column, BigInteger) - days * DAY_US for column in instants}
                    await unit.execute(update(table).values(earlier))

    async def collect(self) -> None:
        """What the worker does with what was deleted and with what nothing needs."""
        settings = settings_of(self.folder).lifecycle
        store = FilesystemBlobs(self.folder / "blobs")
        tasks = lifecycle.tasks(self.work, store, SystemClock(), settings, WorkMetrics())
        (collect,) = (task for task in tasks if task.job is Collect)
        await collect.run(Collect())

    async def ingest(self) -> int:
        """What the worker does with spooled lines: how many it moved."""
        self.spool.rotate()
        return await Ingest(self.work, self.spool.folder).once()


def settings_of(folder: Path) -> Settings:
    """The default settings, on *folder*."""
    return Settings(data=folder)


def start(folder: Path, settings: Settings | None = None) -> None:
    """What a server does first on *folder*; the store's part in this process too, not in a fork, to be seen."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(wiring, "ProcessPoolExecutor", lambda size, _: ThreadPoolExecutor(size))
        wiring.prepare(settings or settings_of(folder))


@asynccontextmanager
async def open_site(folder: Path) -> AsyncIterator[Site]:
    """The parts on *folder*, which is prepared. One disk thread: equal runs make equal calls in equal order."""
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(1))
    with pytest.MonkeyPatch.context() as patch:
        for name, remembered in STATEMENTS.items():
            patch.setattr(wiring, name, remembered)
        services = wiring.web_app(settings_of(folder), lambda: False).services
    await services.reads.hot.open()
    site = Site(folder, services)
    try:
        yield site
    finally:
        site.spool.rotate()
        await site.work.database.close()
        await services.reads.hot.close()
