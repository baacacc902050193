"""Promotes an image on a database file, and dies by SIGKILL at the statement it is told; says how many there were.

Called with the file, the repository, the tag, and the number of the statement (counted from 1; 0: none).
"""

import asyncio
import os
import signal
import sys
from pathlib import Path
from typing import Any

from entrepot.access.authorize import authorize
from entrepot.access.hot import AccessReads
from entrepot.access.hot_sql import access_statements
from entrepot.access.model import Permission, Principal
from entrepot.audit.recorder import Recorder
from entrepot.clock import SystemClock
from entrepot.lifecycle.promote import RequestPromotion, Wish
from entrepot.registry.hot import RegistryReads
from entrepot.registry.hot_sql import registry_statements
from entrepot.runtime.database import open_database
from entrepot.runtime.database_url import Kind
from entrepot.runtime.events.model import Actor
from entrepot.runtime.hot_sqlite import SqliteReader
from entrepot.runtime.inline import InlineConnection
from entrepot.runtime.unit_of_work import Work


class Counter:
    """Counts statements, and dies before the one that is *last*."""

    def __init__(self, last: int) -> None:
        self.last = last
        self.seen = 0

    def plant(self) -> None:
        """From now on each statement of a unit is counted, and its commit too."""
        for name in ("execute", "commit"):
            setattr(InlineConnection, name, self._counted(getattr(InlineConnection, name)))

    def _counted(self, method: Any) -> Any:
        async def counted(*arguments: Any) -> Any:
            self.seen += 1
            if self.seen == self.last:
                os.kill(os.getpid(), signal.SIGKILL)
            return await method(*arguments)

        return counted


async def promote(file: Path, name: str, tag: str, counter: Counter) -> None:
    """The admin asks that the image go to production."""
    database, hot = open_database(f"sqlite:///{file}"), SqliteReader(file)
    access = AccessReads(hot, access_statements(Kind.SQLITE))
    holder = await access.holder_of_name("admin")
    repository = await RegistryReads(hot, registry_statements(Kind.SQLITE)).repository(name)
    if holder is None or repository is None:
        raise SystemExit("nothing to promote")
    actor = Actor(holder.name, holder.kind, holder.account_id, holder.credential)
    principal = Principal(actor, await access.grants(holder.account_id))
    clock = SystemClock()
    request = RequestPromotion(Work(database, clock, (Recorder(clock),)), clock)
    counter.plant()
    await request(authorize(principal, Permission.PROMOTION_REQUEST, repository), [Wish(tag)], "production")


if __name__ == "__main__":
    counted = Counter(int(sys.argv[4]))
    asyncio.run(promote(Path(sys.argv[1]), sys.argv[2], sys.argv[3], counted))
    sys.stdout.write(f"{counted.seen}\n")
