"""Promotes an image on a database, and dies by SIGKILL at the statement it is told; says how many there were.

Called with the database's address, the repository, the tag, and the number of the statement (counted from 1; 0: none).
"""

import asyncio
import os
import signal
import sys
from typing import Any, Final

from sqlalchemy.ext.asyncio import AsyncConnection

from entrepot.access.authorize import authorize
from entrepot.access.hot import AccessReads
from entrepot.access.hot_sql import access_statements
from entrepot.access.model import Permission, Principal
from entrepot.audit.recorder import Recorder
from entrepot.clock import SystemClock
from entrepot.lifecycle.promote import RequestPromotion, Wish
from entrepot.registry.hot import RegistryReads
from entrepot.registry.hot_sql import registry_statements
from entrepot.runtime.database import Alone, open_database
from entrepot.runtime.database_url import Kind, database_path, libpq_url
from entrepot.runtime.events.model import Actor
from entrepot.runtime.hot import HotReader
from entrepot.runtime.hot_postgres import PostgresReader
from entrepot.runtime.hot_sqlite import SqliteReader
from entrepot.runtime.inline import InlineConnection
from entrepot.runtime.unit_of_work import Work

CONNECTIONS: Final = 2


class Counter:
    """Counts statements, and dies before the one that is *last*."""

    def __init__(self, last: int) -> None:
        self.last = last
        self.seen = 0

    def plant(self, kind: Kind) -> None:
        """From now on each statement of a unit on a database of *kind* is counted, and its commit too."""
        steps: tuple[tuple[type, str], ...] = ((InlineConnection, "execute"), (InlineConnection, "commit"))
        if kind is Kind.POSTGRESQL:
            steps = ((AsyncConnection, "execute"), (Alone, "commit"))
        for owner, name in steps:
            setattr(owner, name, self._counted(getattr(owner, name)))

    def _counted(self, method: Any) -> Any:
        async def counted(*arguments: Any) -> Any:
            self.seen += 1
            if self.seen == self.last:
                os.kill(os.getpid(), signal.SIGKILL)
            return await method(*arguments)

        return counted


async def promote(url: str, name: str, tag: str, counter: Counter) -> None:
    """The admin asks that the image go to production."""
    database = open_database(url)
    kind = database.kind
    hot: HotReader = (
        SqliteReader(database_path(url)) if kind is Kind.SQLITE else PostgresReader(libpq_url(url), CONNECTIONS)
    )
    await hot.open()
    access = AccessReads(hot, access_statements(kind))
    holder = await access.holder_of_name("admin")
    repository = await RegistryReads(hot, registry_statements(kind)).repository(name)
    if holder is None or repository is None:
        raise SystemExit("nothing to promote")
    actor = Actor(holder.name, holder.kind, holder.account_id, holder.credential)
    principal = Principal(actor, await access.grants(holder.account_id))
    clock = SystemClock()
    request = RequestPromotion(Work(database, clock, (Recorder(clock),)), clock)
    counter.plant(kind)
    await request(authorize(principal, Permission.PROMOTION_REQUEST, repository), [Wish(tag)], "production")
    await hot.close()
    await database.close()


if __name__ == "__main__":
    counted = Counter(int(sys.argv[4]))
    asyncio.run(promote(sys.argv[1], sys.argv[2], sys.argv[3], counted))
    sys.stdout.write(f"{counted.seen}\n")
