"""The power goes, at any moment: whatever the disk then holds, the next start keeps every promise.

Each flow runs once over the real parts while the recorder notes what it does to the folder. From the notes come crash
states, sampled by a seed; each is laid out, started on, read back, and pushed to again. `ENTREPOT_TEST_CRASH_STATES`
says how many there are of each flow.
"""

import asyncio
import os
import random
import secrets
import shutil
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest
from sqlalchemy import event

from entrepot.access.keys import HMAC_KEY, load_keys
from entrepot.access.passwords import hasher
from entrepot.content.errors import UploadUnknownError
from entrepot.runtime.groups import Groups
from tests.faults.client import Client, Direct
from tests.faults.crashes import CrashState, Recording, Versions, crash_states, database_of
from tests.faults.flows import FLOWS, LARGE, before_all, monolithic
from tests.faults.site import Site, open_site, settings_of, start
from tests.faults.world import GONE, KEY, UPLOAD, World, broken_promises
from tests.real.filesystem_model import Fate, Recorder, lay_out

PER_FLOW: Final = int(os.environ.get("ENTREPOT_TEST_CRASH_STATES", "60"))
FEW: Final = {"key replaced": 10}
"""Flows that can't leave as many different states as are asked for, and how many at least."""
pytestmark = pytest.mark.timeout(300 + 2 * PER_FLOW)


@dataclass(frozen=True, slots=True)
class Base:
    """A folder with some content, and what is promised of it."""

    folder: Path
    world: World


@pytest.fixture(scope="session")
def base(memory: Path) -> Base:
    folder, world = memory / "base", World()
    folder.mkdir()
    start(folder)

    async def fill() -> None:
        async with open_site(folder) as site:
            await site.create_project()
            await before_all(Client(Direct(site), world))

    asyncio.run(fill())
    still_open = {key: allowed for key, allowed in world.allowed.items() if key[0] != UPLOAD}
    return Base(folder, World(still_open, world.content))


def record(base: Base, folder: Path, flow: str) -> Recording:
    """Runs *flow* on a copy of *base*."""
    shutil.copytree(base.folder, folder)
    database, versions = database_of(folder), Versions(folder / "entrepot.db")
    world = World(dict(base.world.allowed), dict(base.world.content))

    async def run() -> Recorder:
        async with open_site(folder) as site:
            versions.look()
            recorder = versions.recorder = Recorder(folder, versions.look)
            see_each_commit(site, versions, recorder)
            with recorder.recording():
                await FLOWS[flow](Client(Direct(site), world, recorder.mark), site)
                recorder.mark(None)
                assert Recording(recorder, database, base.world, world).is_complete(folder)
        return recorder

    recorder = asyncio.run(run())
    versions.close()
    return Recording(recorder, database, base.world, world)


def record_first_start(folder: Path) -> Recording:
    """A start on an empty folder, and a first push."""
    folder.mkdir()
    world, versions = World(), Versions(folder / "entrepot.db")
    recorder = versions.recorder = Recorder(folder, versions.look)
    with recorder.recording():
        start(folder)
        client = Client(Direct.__new__(Direct), world, recorder.mark)
        client.say((KEY, HMAC_KEY, ""), load_keys(settings_of(folder).keys).hmac)

        async def push() -> None:
            async with open_site(folder) as site:
                see_each_commit(site, versions, recorder)
                client.requests = Direct(site)
                await site.create_project()
                await monolithic(client, site)
                recorder.mark(None)
                assert Recording(recorder, b"", World(), world).is_complete(folder)

        asyncio.run(push())
    versions.close()
    return Recording(recorder, b"", World(), world)


def see_each_commit(site: Site, versions: Versions, recorder: Recorder) -> None:
    """Looks ahead of each commit, so that no two are taken for one."""
    writers = site.services.put_manifest.work.database.writers
    assert isinstance(writers, Groups)

    @event.listens_for(writers.engine, "commit")
    def look(_: Any) -> None:
        with recorder.lock:
            versions.look()


def start_on(state: CrashState, folder: Path) -> None:
    """Lays *state* out in *folder*, and starts there as a server does."""
    for name in ("entrepot.db", "entrepot.db-wal", "entrepot.db-shm"):
        (folder / name).unlink(missing_ok=True)
    lay_out(state.tree, folder)
    if state.database:
        (folder / "entrepot.db").write_bytes(state.database)
    start(folder)


def keys_at_fault(folder: Path, world: World) -> list[str]:
    hmac = load_keys(settings_of(folder).keys).hmac
    return [f"P1: the key {name} is another" for name, _, allowed in world.of(KEY) if hmac not in allowed]


async def faults_after(folder: Path, state: CrashState, wanted: World) -> list[str]:
    """What the next start on *state* does not keep, or refuses to a client that simply tries again."""
    async with open_site(folder) as site:
        if await site.services.reads.project("faults") is None:
            await site.create_project()
        await site.ingest()
        found = await broken_promises(site, state.world, power=state.fate is not Fate.KEPT)
        found += [line async for line in uploads_stuck(site, state.world)]
        try:
            await Client(Direct(site), World()).again(wanted)
        except Exception as error:  # noqa: BLE001  whatever it is, it is a finding
            found.append(f"P5: the retry failed: {error!r}")
        return found + await broken_promises(site, wanted, power=False)


async def uploads_stuck(site: Site, world: World) -> AsyncIterator[str]:
    """P5: an upload that is there goes on from where it stands to its end; or it is gone, if its end was under way."""
    for repo, id_, allowed in world.of(UPLOAD):
        if allowed == {GONE}:
            continue
        try:
            offset = (await site.services.uploads.state(site.principal(), repo, id_)).offset
            await Client(Direct(site), World(), offsets={id_: offset}).finish(repo, id_, LARGE, LARGE[offset:])
        except UploadUnknownError as error:
            if GONE not in allowed:
                yield f"P1: upload {id_} is gone: {error!r}"
        except Exception as error:  # noqa: BLE001  whatever it is, it is a finding
            yield f"P5: upload {id_} can't go on: {error!r}"


def admin_at_fault(folder: Path) -> list[str]:
    password = (folder / "admin-password").read_text().strip()
    with closing(sqlite3.connect(folder / "entrepot.db")) as connection:
        (stored,) = connection.execute("SELECT password_hash FROM account WHERE name = 'admin'").fetchone()
    return [] if hasher().verify(stored, password) else ["P5: the first admin can't sign in"]


def faults_in(
    recording: Recording, folder: Path, most: int = PER_FLOW, *, is_first_start: bool = False
) -> tuple[int, list[str]]:
    """How many crash states of *recording*, at most *most*, were tried in *folder*, and what they showed."""
    seed = int(os.environ.get("ENTREPOT_TEST_SEED") or secrets.randbits(32))
    folder.mkdir()
    wanted, count, faults = recording.wanted(), 0, list[str]()
    for state in crash_states(recording, most, random.Random(seed)):  # noqa: S311
        start_on(state, folder)
        found = keys_at_fault(folder, state.world)
        found += admin_at_fault(folder) if is_first_start else []
        found += asyncio.run(faults_after(folder, state, wanted))
        count += 1
        faults += [f"{state.fate} at step {state.step}: {line}" for line in found]
    print(f"\n{folder.name}: {count} crash states of {len(recording.recorder.steps)} steps, seed {seed}")
    return count, faults


@pytest.mark.parametrize("flow", sorted(FLOWS))
def test_whatever_a_crash_leaves_of_a_flow_the_next_start_keeps_every_promise(
    flow: str, base: Base, memory: Path
) -> None:
    count, faults = faults_in(record(base, memory / f"{flow}, recorded", flow), memory / flow)

    assert not faults, "\n".join(faults[:40])
    assert count >= min(PER_FLOW, FEW.get(flow, PER_FLOW))


def test_whatever_a_crash_leaves_of_the_first_start_the_next_one_goes_on(memory: Path) -> None:
    recording = record_first_start(memory / "first start, recorded")
    most = -(-PER_FLOW // 5)  # each migrates a database
    count, faults = faults_in(recording, memory / "first start", most, is_first_start=True)

    assert not faults, "\n".join(faults[:40])
    assert count == most
