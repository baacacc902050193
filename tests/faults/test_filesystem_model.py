"""The rules by which crash states are made: what was synced is in each of them, what was not is in some."""

import os
import random
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest

from tests.real.filesystem_model import Disk, Fate, Recorder, Tree, lay_out, tree_of

TRIES: Final = 400
DATA: Final = bytes(range(1, 251)) * 20
"""5,000 bytes: two pages, and none of them zero."""


def states(root: Path, action: Callable[[Path], None]) -> list[Tree]:
    """States of *root* that a crash after *action* may leave, equal ones too."""
    recorder = Recorder(root)
    with recorder.recording():
        action(root)
    disk = Disk.before(recorder)
    for step in recorder.steps:
        disk.apply(step)
    chance = random.Random(1)  # noqa: S311
    assert disk.crashed(Fate.KEPT, chance) == tree_of(root)
    return [disk.crashed(Fate.LOST, chance), *(disk.crashed(Fate.MIXED, chance) for _ in range(TRIES))]


def write(path: Path, *, synced: bool) -> None:
    descriptor = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_TRUNC)
    os.write(descriptor, DATA)
    if synced:
        os.fsync(descriptor)
    os.close(descriptor)


def sync_folder(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    os.fsync(descriptor)
    os.close(descriptor)


def test_what_was_not_synced_may_be_there_gone_short_or_zeros(tmp_path: Path) -> None:
    seen = [tree.get("a") for tree in states(tmp_path, lambda root: write(root / "a", synced=False))]

    assert {None, b"", DATA, bytes(4096) + DATA[4096:], DATA[:4096]} <= set(seen)


def test_a_new_file_that_was_synced_is_there_whole_under_its_name(tmp_path: Path) -> None:
    assert {tree.get("a") for tree in states(tmp_path, lambda root: write(root / "a", synced=True))} == {DATA}


def test_a_rename_is_never_half_done(tmp_path: Path) -> None:
    def renamed(root: Path) -> None:
        write(root / "a", synced=True)
        (root / "a").rename(root / "b")

    found = {("a" in tree, "b" in tree) for tree in states(tmp_path, renamed)}

    assert found == {(True, False), (False, True), (True, True)}


def test_a_rename_lasts_once_the_folder_was_synced(tmp_path: Path) -> None:
    def published(root: Path) -> None:
        write(root / "a", synced=True)
        (root / "a").rename(root / "b")
        sync_folder(root)

    assert {("a" in tree, tree.get("b")) for tree in states(tmp_path, published)} == {(False, DATA)}


def test_a_rename_over_another_file_leaves_the_old_or_the_new_one(tmp_path: Path) -> None:
    (tmp_path / "b").write_bytes(b"old")

    def replaced(root: Path) -> None:
        write(root / "a", synced=True)
        (root / "a").replace(root / "b")

    assert {tree.get("b") for tree in states(tmp_path, replaced)} == {b"old", DATA}


def test_a_rename_into_another_folder_lasts_with_the_sync_of_that_folder(tmp_path: Path) -> None:
    for name in ("from", "to"):
        (tmp_path / name).mkdir()

    def moved(root: Path) -> None:
        write(root / "from/a", synced=True)
        (root / "from/a").rename(root / "to/a")
        sync_folder(root / "to")

    found = states(tmp_path, moved)

    assert {tree.get("to/a") for tree in found} == {DATA}
    assert {"from/a" in tree for tree in found} == {True, False}


def test_a_removed_file_may_come_back_until_the_folder_was_synced(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"old")

    assert {tree.get("a") for tree in states(tmp_path, lambda root: (root / "a").unlink())} == {b"old", None}


def test_a_folder_that_was_not_synced_takes_what_is_in_it_along(tmp_path: Path) -> None:
    def made(root: Path) -> None:
        (root / "new").mkdir()
        write(root / "new/a", synced=True)

    found = states(tmp_path, made)

    assert {tree.get("new/a") for tree in found} == {DATA, None}
    assert all("new" in tree for tree in found if "new/a" in tree)


@pytest.mark.parametrize("number", range(5))
def test_a_state_is_laid_out_as_it_is(tmp_path: Path, number: int) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    for root in (source, target):
        root.mkdir()
    write(target / "left over", synced=False)

    def made(root: Path) -> None:
        (root / "new").mkdir()
        write(root / "new/a", synced=False)
        write(root / "b", synced=False)

    tree = states(source, made)[number]
    lay_out(tree, target)

    assert tree_of(target) == tree
