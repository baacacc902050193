"""The power goes, at any moment: whatever the disk then holds, the next start keeps every promise.

Each flow runs once over the real parts while the recorder notes what it does to the folder, and the database is copied
at each commit, since a commit that returned is durable. From the notes come crash states, sampled by a seed; each is
laid out, started on, read back, and pushed to again. `ENTREPOT_TEST_CRASH_STATES` says how many per flow.
"""

import asyncio
import hashlib
import os
import random
import secrets
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pytest
from sqlalchemy import event

from entrepot.access.keys import load_keys
from entrepot.wiring import prepare
from tests.faults.client import Client, Direct
from tests.faults.flows import FLOWS, LARGE, before_all
from tests.faults.site import Site, open_site, settings_of
from tests.faults.world import BLOB, GONE, KEY, MANIFEST, TAG, UPLOAD, Said, World, broken_promises
from tests.real.filesystem_model import Disk, Fate, Marked, Recorder, lay_out, tree_of

PER_FLOW: Final = int(os.environ.get("ENTREPOT_TEST_CRASH_STATES", "60"))
LEAST: Final = {"key replaced": 6, "recorded": 20}
"""Flows that can't leave as many different states as are asked for leave at least these."""

BARREN_TRIES: Final = 2_000


@dataclass(frozen=True, slots=True)
class Committed:
    """The database as of a commit that returned."""

    database: bytes


@dataclass(slots=True)
class Versions:
    """Copies of the database at each commit, noted as they happen."""

    path: Path
    recorder: Recorder | None = None
    _watching: sqlite3.Connection | None = None
    _seen: int = -1

    def open(self) -> None:
        """From now on commits are seen."""
        self._watching = sqlite3.connect(self.path, check_same_thread=False)
        self._seen = self._version()

    def look(self) -> None:
        """Notes a commit that was made since the last look."""
        assert self._watching is not None
        assert self.recorder is not None
        seen = self._version()
        if seen != self._seen:
            self._seen = seen
            self.recorder.steps.append(Marked(Committed(self._watching.serialize())))

    def _version(self) -> int:
        assert self._watching is not None
        return int(self._watching.execute("PRAGMA data_version").fetchone()[0])

    def close(self) -> None:
        """No more."""
        if self._watching is not None:
            self._watching.close()


@dataclass(frozen=True, slots=True)
class Recording:
    """What a flow did to the folder, from what state, and what it was told."""

    recorder: Recorder
    database: bytes
    before: World
    final: World

    def wanted(self) -> World:
        """What the flow's client asked for, of things that can be asked for again."""
        kinds, notes = {BLOB, MANIFEST, TAG}, [step.value for step in self.recorder.steps if isinstance(step, Marked)]
        asked = dict.fromkeys(note.key for note in notes if isinstance(note, Said) and note.key[0] in kinds)
        return World({key: self.final.allowed[key] for key in asked}, dict(self.final.content))


@dataclass(frozen=True, slots=True)
class CrashState:
    """A folder after a crash, and what had been promised until then."""

    tree: dict[str, bytes | None]
    database: bytes
    world: World
    fate: Fate
    step: int


@dataclass(frozen=True, slots=True)
class Base:
    """A folder with some content, and what is promised of it."""

    folder: Path
    world: World


@pytest.fixture(scope="session")
def base(memory: Path) -> Base:
    folder, world = memory / "base", World()
    folder.mkdir()
    prepare(settings_of(folder))

    async def fill() -> None:
        async with open_site(folder) as site:
            await site.create_project()
            await before_all(Client(Direct(site), world))

    asyncio.run(fill())
    return Base(folder, World({key: allowed for key, allowed in world.allowed.items() if key[0] != UPLOAD}, world.content))


def copy_of(world: World) -> World:
    return World(dict(world.allowed), dict(world.content))


def record(base: Base, folder: Path, flow: str) -> Recording:
    """Runs *flow* on a copy of *base*."""
    shutil.copytree(base.folder, folder)
    versions = Versions(folder / "entrepot.db")
    world = copy_of(base.world)

    async def run() -> Recorder:
        async with open_site(folder) as site:
            engine = site.services.put_manifest.work.database.writer.sync_engine
            versions.open()
            recorder = versions.recorder = Recorder(folder, versions.look)

            @event.listens_for(engine, "commit")
            def one_before_another(_: Any) -> None:
                with recorder.lock:
                    versions.look()

            client = Client(Direct(site), world, recorder.mark)
            with recorder.recording():
                await FLOWS[flow](client, site)
                with recorder.lock:
                    versions.look()
                assert disk_after(recorder).crashed(Fate.KEPT, random.Random(0)) == tree_of(folder)  # noqa: S311
        return recorder

    with closing(sqlite3.connect(folder / "entrepot.db")) as connection:
        database = connection.serialize()
    recorder = asyncio.run(run())
    versions.close()
    return Recording(recorder, database, base.world, world)


def disk_after(recorder: Recorder) -> Disk:
    disk = Disk.before(recorder)
    for step in recorder.steps:
        disk.apply(step)
    return disk


def crash_states(recording: Recording, wanted: int, chance: random.Random) -> Iterator[CrashState]:
    """Up to *wanted* different states: of each moment the one that kept all and the one that lost all first."""
    seen: set[bytes] = set()
    steps = recording.recorder.steps
    moments = [*range(len(steps) + 1)]
    chance.shuffle(moments)
    plan = [(moment, fate) for fate in (Fate.LOST, Fate.KEPT) for moment in moments][: wanted // 2]
    barren = 0
    while len(seen) < wanted and barren < BARREN_TRIES:
        if not plan:
            plan = [(chance.choice(moments), Fate.MIXED) for _ in range(wanted)]
            plan.sort(reverse=True)
        moment, fate = plan.pop()
        state = crashed(recording, moment, fate, chance)
        name = hashlib.sha256(repr(sorted(state.tree.items())).encode() + state.database)
        name.update(repr(sorted(state.world.allowed.items(), key=str)).encode())
        if name.digest() in seen:
            barren += 1
            continue
        seen.add(name.digest())
        yield state


def crashed(recording: Recording, moment: int, fate: Fate, chance: random.Random) -> CrashState:
    disk, world, database = Disk.before(recording.recorder), copy_of(recording.before), recording.database
    world.content |= recording.final.content
    for step in recording.recorder.steps[:moment]:
        disk.apply(step)
        if isinstance(step, Marked):
            match step.value:
                case Said():
                    world.hear(step.value)
                case Committed():
                    database = step.value.database
    return CrashState(disk.crashed(fate, chance), database, world, fate, moment)


async def faults_after(folder: Path, state: CrashState, wanted: World) -> list[str]:
    """What the next start on *state* does not keep, or refuses to a client that simply tries again."""
    async with open_site(folder) as site:
        await site.ingest()
        found = await broken_promises(site, state.world, power=state.fate is not Fate.KEPT)
        found += [line async for line in uploads_stuck(site, state.world)]
        client = Client(Direct(site), World())
        try:
            await client.again(wanted)
        except Exception as error:  # noqa: BLE001  whatever it is, it is a finding
            found.append(f"P5: the retry failed: {error!r}")
        return found + await broken_promises(site, wanted, power=False)


async def uploads_stuck(site: Site, world: World):  # type: ignore[no-untyped-def]
    """P5: an upload that is there goes on from where it stands to its end."""
    for repo, id_, allowed in world.of(UPLOAD):
        offset = max((int(str(each)) for each in allowed if each is not GONE), default=None)
        if offset is None:
            continue
        try:
            state = await site.services.uploads.state(site.principal(), repo, id_)
        except Exception as error:
            if GONE not in allowed:
                yield f"P5: upload {id_} is gone: {error!r}"
            continue
        client = Client(Direct(site), World())
        client.offsets[id_] = state.offset
        try:
            await client.finish(repo, id_, LARGE, LARGE[state.offset :])
        except Exception as error:
            yield f"P5: upload {id_} can't go on from {state.offset} (allowed {allowed}): {error!r}"


def keys_at_fault(folder: Path, world: World) -> list[str]:
    keys = load_keys(settings_of(folder).keys)
    return [
        f"P1: the key {name} is another"
        for name, _, allowed in world.of(KEY)
        if keys.hmac not in allowed
    ]


@pytest.mark.parametrize("flow", sorted(FLOWS))
def test_whatever_a_crash_leaves_of_a_flow_the_next_start_keeps_every_promise(
    flow: str, base: Base, memory: Path
) -> None:
    seed = int(os.environ.get("ENTREPOT_TEST_SEED") or secrets.randbits(32))
    chance = random.Random(seed)  # noqa: S311
    recording = record(base, memory / f"flow-{flow}", flow)
    folder = memory / f"state-{flow}"
    folder.mkdir()
    wanted = recording.wanted()
    count = 0
    faults: list[str] = []
    for state in crash_states(recording, PER_FLOW, chance):
        for name in ("entrepot.db-wal", "entrepot.db-shm"):
            (folder / name).unlink(missing_ok=True)
        lay_out(state.tree, folder)
        (folder / "entrepot.db").write_bytes(state.database)
        prepare(settings_of(folder))
        found = keys_at_fault(folder, state.world)
        found += asyncio.run(faults_after(folder, state, wanted))
        count += 1
        if found:
            faults += [f"{state.fate} at step {state.step}: {line}" for line in found]
    print(f"\n{flow}: {count} crash states of {len(recording.recorder.steps)} steps, seed {seed}")
    assert not faults, "\n".join(faults[:40])
    assert count >= min(PER_FLOW, LEAST.get(flow, PER_FLOW))
