"""Crash states of flows: what a flow did to a folder and its database, and what a crash at any moment leaves of it.

The database is copied at each commit, since a commit that returned is durable (WAL, synced in full) and one that did
not return is there or not: both are states of the moments around it.
"""

import hashlib
import random
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.faults.world import BLOB, MANIFEST, TAG, Said, World
from tests.real.filesystem_model import Disk, Fate, Marked, Recorder, tree_of

BARREN_TRIES: Final = 300
"""After so many states in a row that are known already, a flow has no others."""


@dataclass(frozen=True, slots=True)
class Committed:
    """The database as of a commit that returned."""

    database: bytes


@dataclass(slots=True)
class Versions:
    """Notes a copy of the database at *path* for each commit, in the recorder's order of things."""

    path: Path
    recorder: Recorder | None = None
    _watching: sqlite3.Connection | None = None
    _seen: int = -1

    def look(self) -> None:
        """Notes a commit that was made since the last look."""
        if self._watching is None:
            if not self.path.exists() or not self.path.stat().st_size:
                return
            self._watching = sqlite3.connect(self.path, check_same_thread=False)
        seen = int(self._watching.execute("PRAGMA data_version").fetchone()[0])
        if seen != self._seen and self.recorder is not None:
            self.recorder.steps.append(Marked(Committed(self._watching.serialize())))
        self._seen = seen

    def close(self) -> None:
        """No more."""
        if self._watching is not None:
            self._watching.close()


@dataclass(frozen=True, slots=True)
class Recording:
    """What a flow did to the folder, from what state (an empty *database*: there was none), and what it was told."""

    recorder: Recorder
    database: bytes
    before: World
    final: World

    def wanted(self) -> World:
        """What the flow's client asked for, of things that can be asked for again."""
        kinds, notes = {BLOB, MANIFEST, TAG}, [step.value for step in self.recorder.steps if isinstance(step, Marked)]
        asked = dict.fromkeys(note.key for note in notes if isinstance(note, Said) and note.key[0] in kinds)
        return World({key: self.final.allowed[key] for key in asked}, dict(self.final.content))

    def is_complete(self, root: Path) -> bool:
        """Whether all that *root* holds came about by what was noted."""
        disk = Disk.before(self.recorder)
        for step in self.recorder.steps:
            disk.apply(step)
        return disk.crashed(Fate.KEPT, random.Random(0)) == tree_of(root)  # noqa: S311  nothing is drawn


@dataclass(frozen=True, slots=True)
class CrashState:
    """A folder after a crash, and what had been promised until then."""

    tree: dict[str, bytes | None]
    database: bytes
    world: World
    fate: Fate
    step: int

    def fingerprint(self) -> bytes:
        """Equal for states that are."""
        name = hashlib.sha256(repr(sorted(self.tree.items())).encode() + self.database)
        name.update(repr(sorted(self.world.allowed.items(), key=repr)).encode())
        return name.digest()


def database_of(folder: Path) -> bytes:
    """The database in *folder* as it is."""
    with closing(sqlite3.connect(folder / "entrepot.db")) as connection:
        return connection.serialize()


def crash_states(recording: Recording, wanted: int, chance: random.Random) -> Iterator[CrashState]:
    """Up to *wanted* different states: at first of moments that lost all or kept all, then mixed ones."""
    seen: set[bytes] = set()
    moments = [*range(len(recording.recorder.steps) + 1)]
    plan = [(moment, fate) for moment in moments for fate in (Fate.LOST, Fate.KEPT)]
    chance.shuffle(plan)
    del plan[wanted // 2 :]
    barren = 0
    while len(seen) < wanted and barren < BARREN_TRIES:
        moment, fate = plan.pop() if plan else (chance.choice(moments), Fate.MIXED)
        state = _crashed(recording, moment, fate, chance)
        name = state.fingerprint()
        barren = barren + 1 if name in seen else 0
        if name not in seen:
            seen.add(name)
            yield state


def _crashed(recording: Recording, moment: int, fate: Fate, chance: random.Random) -> CrashState:
    disk, database = Disk.before(recording.recorder), recording.database
    world = World(dict(recording.before.allowed), dict(recording.final.content))
    for step in recording.recorder.steps[:moment]:
        disk.apply(step)
        if isinstance(step, Marked):
            match step.value:
                case Said():
                    world.hear(step.value)
                case Committed():
                    database = step.value.database
    return CrashState(disk.crashed(fate, chance), database, world, fate, moment)
