"""Spooled pulls come into the log of either database once, however often they are taken over."""

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import func, select

from entrepot.audit.ingest import BATCH, Ingest
from entrepot.audit.spool import Spool
from entrepot.audit.tables import audit_event, last_pull
from entrepot.clock import FixedClock
from entrepot.runtime.database import Database, open_database
from entrepot.runtime.events.model import Actor
from entrepot.runtime.unit_of_work import Work

BY = Actor("shop+ci", "robot", 7, "01M8", "192.0.2.1", "podman/4 – „é“", "01M9")
CLOCK = FixedClock()


@pytest.fixture
async def database(url: str) -> AsyncIterator[Database]:
    """An empty database of each kind."""
    opened = open_database(url)
    yield opened
    await opened.close()


async def test_each_line_is_a_row_once_and_the_last_pull_of_each_repository_is_known(
    database: Database, tmp_path: Path
) -> None:
    later = FixedClock(CLOCK.at + timedelta(seconds=1, microseconds=7))
    first, second = Spool(tmp_path / "spool", CLOCK), Spool(tmp_path / "spool", later)
    for number in range(BATCH + 5):
        first.pulled(BY, "manifest.pulled", f"shop/app{number % 3}", str(number), "sha256:ab", "it's \\ 100% \u2028")
    second.pulled(BY, "manifest.pulled", "shop/app1", "x", "sha256:ab", "")
    second.pulled(BY, "blob.pulled", "shop/app2", "sha256:cd", "sha256:cd", "")
    first.rotate()
    second.rotate()
    files = {path: path.read_bytes() for path in (tmp_path / "spool").iterdir()}
    ingest = Ingest(Work(database, CLOCK), tmp_path / "spool")

    moved = await ingest.once()
    for path, data in files.items():
        path.write_bytes(data)  # as if the worker had been killed between its commit and this
    again = await ingest.once()

    assert (moved, again) == (BATCH + 7, BATCH + 7)
    async with database.reading() as connection:
        count = (await connection.execute(select(func.count()).select_from(audit_event))).scalar_one()
        pulls = (await connection.execute(select(last_pull).order_by(last_pull.c.repository))).all()
        row = (await connection.execute(select(audit_event).where(audit_event.c.reference == "7"))).one()
    assert count == BATCH + 7
    assert [tuple(each) for each in pulls] == [
        ("shop/app0", CLOCK.at),
        ("shop/app1", later.at),
        ("shop/app2", CLOCK.at),
    ]
    assert (row.at, row.actor, row.user_agent, row.reason) == (
        CLOCK.at,
        "shop+ci",
        BY.user_agent,
        "it's \\ 100% \u2028",
    )
    assert (row.project, row.repository, row.outcome, row.detail) == ("shop", "shop/app1", "ok", "{}")
