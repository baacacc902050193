"""SC4: whatever feeds came in which order, findings are those that a scan from nothing would give."""

import asyncio
import json
import tempfile
from pathlib import Path

from hypothesis import Phase, example, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from entrepot.clock import SystemClock
from entrepot.content.backends.filesystem import FilesystemBlobs
from entrepot.content.model import INCOMING
from entrepot.ids import ulid
from entrepot.runtime.database import Database, open_database
from entrepot.runtime.events.model import SYSTEM
from entrepot.runtime.unit_of_work import Work
from entrepot.scanning import store
from entrepot.scanning.feeds.apply import ApplyFeeds
from entrepot.scanning.feeds.read import read_feed
from entrepot.scanning.index.match import match
from entrepot.scanning.jobs import ApplyFeed, Rematch
from entrepot.scanning.reevaluate import Reevaluate
from entrepot.scanning.tables import pv, pv_finding
from tests.real.memory import memory
from tests.real.sqlite import new_database

NAMES = ("openssl", "zlib", "curl")
VERSIONS = ("1.0-1", "1.0-2", "1.1-1", "2.0-1", "not a version")
Record = dict[str, object]
Step = tuple[str, list[Record]]


def record(number: int, package: str, fixed: str | None, *, withdrawn: bool, touched: int) -> Record:
    events: list[dict[str, str]] = [{"introduced": "0"}]
    if fixed is not None:
        events.append({"fixed": fixed})
    entry = {
        "package": {"ecosystem": "Debian:12", "name": package},
        "ranges": [{"type": "ECOSYSTEM", "events": events}],
    }
    document: Record = {"id": f"CVE-2024-{number}", "modified": f"2024-01-{touched:02}T00:00:00Z", "affected": [entry]}
    return document | ({"withdrawn": "2024-02-01T00:00:00Z"} if withdrawn else {})


RECORDS = st.lists(
    st.builds(
        record,
        st.integers(1, 6),
        st.sampled_from(NAMES),
        st.none() | st.sampled_from(VERSIONS[:4]),
        withdrawn=st.booleans(),
        touched=st.integers(1, 28),
    ),
    min_size=1,
    max_size=6,
    unique_by=lambda item: str(item["id"]),
)
STEPS = st.lists(st.tuples(st.sampled_from(["first", "second"]), RECORDS), min_size=1, max_size=5)
INVENTORY = st.sets(st.tuples(st.sampled_from(NAMES), st.sampled_from(VERSIONS)), min_size=1, max_size=8)


GONE: list[Step] = [
    ("first", [record(1, "openssl", "1.1-1", withdrawn=False, touched=1)]),
    ("first", [record(2, "zlib", None, withdrawn=False, touched=2)]),
]


# Each example is a database of its own, a third of a second long: shrinking would take minutes.
@settings(max_examples=25, phases=(Phase.explicit, Phase.reuse, Phase.generate))
@example(GONE, {("openssl", "1.0-1")}, {("zlib", "1.0-1")})
@given(STEPS, INVENTORY, INVENTORY)
def test_reevaluation_gives_what_a_scan_from_nothing_gives(
    steps: list[Step], early: set[tuple[str, str]], late: set[tuple[str, str]]
) -> None:
    with tempfile.TemporaryDirectory(dir=memory()) as folder:
        found, expected = asyncio.run(_both(Path(folder), steps, early, early | late))

    assert found == expected


async def _both(
    folder: Path, steps: list[Step], early: set[tuple[str, str]], late: set[tuple[str, str]]
) -> tuple[set[tuple[str, str, str]], set[tuple[str, str, str]]]:
    """Open findings after all steps, with some versions there before and some after; and those of brute force."""
    database, clock = open_database(new_database(folder / "db")), SystemClock()
    work = Work(database, clock)
    await _add(database, work, early)
    last: dict[str, Path] = {}
    for source, records in steps:
        last[source] = await _apply(folder, work, source, records)
    await _add(database, work, late)
    async with database.reading() as connection:
        question = select(pv.c.name, pv.c.version, pv_finding.c.id).join(pv, pv.c.id == pv_finding.c.pv_id)
        rows = await connection.execute(question.where(pv_finding.c.closed_at.is_(None)))
        found = {(row[0], row[1], row[2]) for row in rows}
    await database.close()
    advisories = [advisory for path in last.values() for advisory in read_feed(path)[1]]
    expected = {
        (name, version, finding.id)
        for name, version in early | late
        for finding in match("debian:12", name, version, [each for each in advisories if each.package == name])
    }
    return found, expected


async def _apply(folder: Path, work: Work, source: str, records: list[Record]) -> Path:
    text = "".join(json.dumps(each) + "\n" for each in records)
    upload = ulid()
    files = FilesystemBlobs(folder)
    await files.prepare()
    await files.put(f"{INCOMING}/{upload}", text.encode())
    kept = folder / f"{source}.jsonl"
    kept.write_text(text)
    await ApplyFeeds(work, files, SystemClock())(ApplyFeed(upload, source, force=True, actor="admin"))
    await Reevaluate(work, SystemClock())(Rematch())
    return kept


async def _add(database: Database, work: Work, versions: set[tuple[str, str]]) -> None:
    """What an image's assessment does with versions it sees for the first time."""
    wanted = sorted(("debian:12", name, version) for name, version in versions)
    async with database.reading() as connection:
        known = await store.known_versions(connection, wanted)
        advisories = await store.advisories(connection, [("debian:12", name) for name in NAMES])
    async with work(SYSTEM) as unit:
        ids = await store.add_versions(unit, wanted)
        for version in wanted:
            if version not in known:
                findings = match(*version, advisories.get(version[:2], []))
                await store.put_findings(unit, ids[version], findings, SystemClock().now())
