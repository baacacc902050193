"""The registry's real parts on a folder, without a socket: those of a web process, and the worker's ingest."""

import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from entrepot.access.authorize import authorize
from entrepot.access.model import Grant, Permission, Principal, Role
from entrepot.access.model import Site as WholeSite
from entrepot.audit.ingest import Ingest
from entrepot.audit.spool import Spool
from entrepot.ids import ulid
from entrepot.runtime.events.model import Actor
from entrepot.settings import Settings
from entrepot.web.services import Services
from entrepot.wiring import web_app

ADMIN_ID: Final = 1
PROJECT: Final = "faults"


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
        await self.services.create_project(
            authorize(self.principal(), Permission.PROJECT_CREATE, WholeSite()), PROJECT
        )

    async def ingest(self) -> int:
        """What the worker does with spooled lines: how many it moved."""
        self.spool.rotate()
        return await Ingest(self.services.put_manifest.work, self.spool.folder).once()


def settings_of(folder: Path) -> Settings:
    """The default settings, on *folder*."""
    return Settings(data=folder)


@asynccontextmanager
async def open_site(folder: Path) -> AsyncIterator[Site]:
    """The parts on *folder*, which is prepared. One disk thread: the same run makes the same calls in the same order."""
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(1))
    services = web_app(settings_of(folder), lambda: False).services
    await services.reads.hot.open()
    site = Site(folder, services)
    try:
        yield site
    finally:
        site.spool.rotate()
        await services.put_manifest.work.database.close()
        await services.reads.hot.close()
