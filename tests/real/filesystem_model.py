"""A file system that forgets: records what a program does to a folder, and gives the states a crash may leave of it.

The program's calls are real; beside each the recorder notes what it changed. A crash state is then made of any prefix
of those notes, by rules that ext4, XFS and Btrfs keep, and keep better than POSIX demands:

- a file's data last once `fsync` of the file returned, and with them the name it was made under. Before, each 4 KiB
  page of each write, each cut and each growth may have come through or not, whatever became of the others; a page may
  also be cut short, or have its length but zeros in it;
- any other change of a name (renamed, removed) lasts once its folder was synced. Before, each name may stand as it did
  after any of the steps that touched it;
- a rename is one step: the old name never goes without the new one being there.

Worked example: create `a`, write 5,000 bytes, rename `a` to `b`, nothing synced. Then there may be neither name, `a`,
`b`, or both, with 0 to 5,000 bytes, of which any page may be zeros.
"""

import os
import random
import stat
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Final, TypeAlias

import pytest

PAGE_BYTES: Final = 4096
DATABASE: Final = ("entrepot.db", "entrepot.db-wal", "entrepot.db-shm", "entrepot.db-journal")
"""What the database does with its files is its own business: a commit that returned is durable."""


@dataclass(frozen=True, slots=True, eq=False)
class Named:
    """*path* names the file *node* now; None: nothing. is_born: the file was made under this name. *with_*: the step is
    one with that of another name.
    """

    path: str
    node: int | None
    is_born: bool = False
    with_: "Named | None" = None


@dataclass(frozen=True, slots=True)
class Folder:
    """The folder *path* was made (or removed)."""

    path: str
    made: bool


@dataclass(frozen=True, slots=True)
class Written:
    """*data* at *offset* of *node*: at most one page."""

    node: int
    offset: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Sized:
    """*node* has *size* bytes now: cut, or grown by zeros."""

    node: int
    size: int


@dataclass(frozen=True, slots=True)
class FileSynced:
    """The data of *node* are on the disk."""

    node: int


@dataclass(frozen=True, slots=True)
class FolderSynced:
    """The names in *path* are on the disk."""

    path: str


@dataclass(frozen=True, slots=True)
class Marked:
    """Something the test noted between two steps."""

    value: object


Step: TypeAlias = Named | Folder | Written | Sized | FileSynced | FolderSynced | Marked
Tree: TypeAlias = Mapping[str, bytes | None]
"""A folder's content by path: bytes of a file, None for a folder."""


class Fate(StrEnum):
    """What becomes of what was not synced."""

    LOST = "lost"
    KEPT = "kept"
    MIXED = "mixed"


@dataclass(slots=True)
class _OpenFile:
    node: int
    appends: bool
    identity: tuple[int, int]


def tree_of(root: Path) -> dict[str, bytes | None]:
    """What lies under *root* now, without the database's own files."""
    found: dict[str, bytes | None] = {}
    for folder, folders, files in os.walk(root):
        here = "" if Path(folder) == root else f"{os.path.relpath(folder, root)}/"
        found |= {f"{here}{name}": None for name in folders}
        found |= {f"{here}{name}": Path(folder, name).read_bytes() for name in files if name not in DATABASE}
    return found


class Recorder:
    """Notes every change below *root* that is made through `os` (pathlib's calls too) while `recording`.

    before: called ahead of each note, from whichever thread, with this recorder's lock held.
    """

    def __init__(self, root: Path, before: Callable[[], None] = lambda: None) -> None:
        self.start: dict[str, bytes | None] = tree_of(root)
        self.steps: list[Step] = []
        self.lock = threading.RLock()
        self._root = f"{root}/"
        self._before = before
        self._nodes: dict[str, int] = {}
        self._files: dict[int, _OpenFile] = {}
        self._folders: dict[int, str] = {}
        self._count = 0
        for path, data in self.start.items():
            if data is not None:
                self._nodes[path] = self._new_node()
        self.first_nodes = dict(self._nodes)

    def mark(self, value: object) -> None:
        """Notes *value* behind all that was done before."""
        with self.lock:
            self._note(Marked(value))

    @contextmanager
    def recording(self) -> Iterator[None]:
        """While inside, what is done to the folder is noted."""
        with pytest.MonkeyPatch.context() as patch:
            for name in ("open", "close", "write", "pwrite", "ftruncate", "truncate", "posix_fallocate"):
                self._watch(patch, name)
            for name in ("fsync", "fdatasync", "rename", "replace", "link", "unlink", "remove", "mkdir", "rmdir"):
                self._watch(patch, name)
            yield

    def _watch(self, patch: pytest.MonkeyPatch, name: str) -> None:
        real, note = getattr(os, name), getattr(self, f"_{name}")

        def watched(*given: Any, **named: Any) -> Any:
            with self.lock:
                return note(real, *given, **named)

        patch.setattr(os, name, watched)

    def _note(self, step: Step) -> None:
        self._before()
        self.steps.append(step)

    def _new_node(self) -> int:
        self._count += 1
        return self._count

    def _inside(self, path: Any) -> str | None:
        """*path* relative to the root; None if it is elsewhere, or the database's."""
        if isinstance(path, int):
            return None
        text = os.path.abspath(os.fsdecode(path))  # noqa: PTH100  pathlib's own calls come through here
        if f"{text}/" == self._root:
            return ""
        inside = text.removeprefix(self._root)
        return None if inside == text or inside in DATABASE else inside

    def _known(self, descriptor: int) -> _OpenFile | None:
        file = self._files.get(descriptor)
        if file is None:
            return None
        seen = os.fstat(descriptor)
        return file if (seen.st_dev, seen.st_ino) == file.identity else None

    # the calls

    def _open(self, real: Any, path: Any, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
        descriptor: int = real(path, flags, mode, dir_fd=dir_fd)
        inside = self._inside(path) if dir_fd is None else None
        if inside is None:
            return descriptor
        seen = os.fstat(descriptor)
        if stat.S_ISDIR(seen.st_mode):
            self._folders[descriptor] = inside
            return descriptor
        node = self._nodes.get(inside)
        if node is None:
            node = self._nodes[inside] = self._new_node()
            self._note(Named(inside, node, is_born=True))
        elif flags & os.O_TRUNC:
            self._note(Sized(node, 0))
        self._files[descriptor] = _OpenFile(node, bool(flags & os.O_APPEND), (seen.st_dev, seen.st_ino))
        return descriptor

    def _close(self, real: Any, descriptor: int) -> None:
        self._files.pop(descriptor, None)
        self._folders.pop(descriptor, None)
        real(descriptor)

    def _write(self, real: Any, descriptor: int, data: Any) -> int:
        file = self._known(descriptor)
        if file is None:
            return int(real(descriptor, data))
        offset = os.fstat(descriptor).st_size if file.appends else os.lseek(descriptor, 0, os.SEEK_CUR)
        count = int(real(descriptor, data))
        self._note_data(file.node, offset, bytes(data[:count]))
        return count

    def _pwrite(self, real: Any, descriptor: int, data: Any, offset: int) -> int:
        file = self._known(descriptor)
        count = int(real(descriptor, data, offset))
        if file is not None:
            self._note_data(file.node, offset, bytes(data[:count]))
        return count

    def _note_data(self, node: int, offset: int, data: bytes) -> None:
        """One note for each page, since each may be lost alone."""
        start = 0
        while start < len(data):
            end = min(len(data), start + PAGE_BYTES - (offset + start) % PAGE_BYTES)
            self._note(Written(node, offset + start, data[start:end]))
            start = end

    def _ftruncate(self, real: Any, descriptor: int, size: int) -> None:
        real(descriptor, size)
        if (file := self._known(descriptor)) is not None:
            self._note(Sized(file.node, size))

    def _truncate(self, real: Any, path: Any, size: int) -> None:
        real(path, size)
        inside = self._inside(path)
        if inside is not None:
            self._note(Sized(self._nodes[inside], size))

    def _posix_fallocate(self, real: Any, descriptor: int, offset: int, length: int) -> None:
        before = os.fstat(descriptor).st_size
        real(descriptor, offset, length)
        if (file := self._known(descriptor)) is not None and offset + length > before:
            self._note(Sized(file.node, offset + length))

    def _fsync(self, real: Any, descriptor: int) -> None:
        real(descriptor)
        if (file := self._known(descriptor)) is not None:
            self._note(FileSynced(file.node))
        elif descriptor in self._folders:
            self._note(FolderSynced(self._folders[descriptor]))

    _fdatasync = _fsync  # it syncs the size too, where the size is needed to read the data back

    def _rename(self, real: Any, source: Any, target: Any) -> None:
        real(source, target)
        old, new = self._inside(source), self._inside(target)
        if old is not None and new is not None:
            node = self._nodes.pop(old)
            self._nodes[new] = node
            come = Named(new, node)
            self._note(come)
            self.steps.append(Named(old, None, with_=come))

    _replace = _rename

    def _link(self, real: Any, source: Any, target: Any) -> None:
        real(source, target)
        old, new = self._inside(source), self._inside(target)
        if old is not None and new is not None:
            self._nodes[new] = self._nodes[old]
            self._note(Named(new, self._nodes[old]))

    def _unlink(self, real: Any, path: Any, *, dir_fd: int | None = None) -> None:
        real(path, dir_fd=dir_fd)
        inside = self._inside(path) if dir_fd is None else None
        if inside is not None:
            self._nodes.pop(inside, None)
            self._note(Named(inside, None))

    _remove = _unlink

    def _mkdir(self, real: Any, path: Any, mode: int = 0o777, *, dir_fd: int | None = None) -> None:
        real(path, mode, dir_fd=dir_fd)
        inside = self._inside(path) if dir_fd is None else None
        if inside is not None:
            self._note(Folder(inside, made=True))

    def _rmdir(self, real: Any, path: Any, *, dir_fd: int | None = None) -> None:
        real(path, dir_fd=dir_fd)
        inside = self._inside(path) if dir_fd is None else None
        if inside is not None:
            self._note(Folder(inside, made=False))


Change: TypeAlias = Written | Sized


@dataclass(slots=True)
class Disk:
    """What has reached the disk for certain, and what may have. Feed it steps, ask it for crash states."""

    names: dict[str, int]
    data: dict[int, bytes]
    folders: set[str]
    open_names: dict[str, list[Named]] = field(default_factory=dict)
    open_data: dict[int, list[Change]] = field(default_factory=dict)
    open_folders: dict[str, bool] = field(default_factory=dict)

    @classmethod
    def before(cls, recorder: Recorder) -> "Disk":
        """All that lay there before the recording, safe."""
        nodes = recorder.first_nodes
        data = {nodes[path]: content for path, content in recorder.start.items() if content is not None}
        return cls(dict(nodes), data, {path for path, content in recorder.start.items() if content is None})

    def apply(self, step: Step) -> None:
        """*step* was done."""
        match step:
            case Named():
                self.open_names.setdefault(step.path, []).append(step)
            case Written() | Sized():
                self.open_data.setdefault(step.node, []).append(step)
            case Folder():
                self.open_folders[step.path] = step.made
            case FileSynced():
                changes = self.open_data.pop(step.node, [])
                self.data[step.node] = _changed(self.data.get(step.node, b""), changes)
                for born in [each for steps in self.open_names.values() for each in steps if each.is_born]:
                    if born.node == step.node:
                        self._settle(born)
            case FolderSynced():
                self._sync_folder(step.path)
            case Marked():
                pass

    def _sync_folder(self, folder: str) -> None:
        for path in [path for path in self.open_folders if os.path.dirname(path) == folder]:  # noqa: PTH120  text
            (self.folders.add if self.open_folders.pop(path) else self.folders.discard)(path)
        for path in [path for path in self.open_names if os.path.dirname(path) == folder]:  # noqa: PTH120  text
            while path in self.open_names:
                self._settle(self.open_names[path][0])

    def _settle(self, step: Named) -> None:
        """The steps of a name up to *step* have reached the disk, and what is one with them."""
        steps = self.open_names.get(step.path, [])
        while step in steps:
            done = steps.pop(0)
            if done.node is None:
                self.names.pop(done.path, None)
            else:
                self.names[done.path] = done.node
            if done.with_ is not None:
                self._settle(done.with_)
        if not steps:
            self.open_names.pop(step.path, None)

    def crashed(self, fate: Fate, chance: random.Random) -> dict[str, bytes | None]:
        """The folder as a crash now may leave it; *chance* decides where *fate* is MIXED."""
        names = self._names(fate, chance)
        folders = set(self.folders)
        for path, made in self.open_folders.items():
            if fate is Fate.KEPT or (fate is Fate.MIXED and chance.random() < 0.5):
                (folders.add if made else folders.discard)(path)
        found: dict[str, bytes | None] = dict.fromkeys(sorted(folders))
        contents: dict[int, bytes] = {}
        for path, node in sorted(names.items()):
            parent = os.path.dirname(path)  # noqa: PTH120  text
            if parent and parent not in folders:
                continue
            if node not in contents:
                contents[node] = _changed(self.data.get(node, b""), self._fates(node, fate, chance))
            found[path] = contents[node]
        return {path: data for path, data in found.items() if _has_parents(path, folders)}

    def _names(self, fate: Fate, chance: random.Random) -> dict[str, int]:
        reached: dict[str, int] = {}
        for path, steps in self.open_names.items():
            reached[path] = {Fate.LOST: 0, Fate.KEPT: len(steps)}.get(fate, chance.randint(0, len(steps)))
        again = True
        while again:
            again = False
            for path, steps in self.open_names.items():
                for done in steps[: reached[path]]:
                    other = done.with_
                    if other is not None and other in self.open_names.get(other.path, ()):
                        needed = self.open_names[other.path].index(other) + 1
                        if reached[other.path] < needed:
                            reached[other.path], again = needed, True
        names = dict(self.names)
        for path, count in reached.items():
            if count:
                last = self.open_names[path][count - 1].node
                if last is None:
                    names.pop(path, None)
                else:
                    names[path] = last
        return names

    def _fates(self, node: int, fate: Fate, chance: random.Random) -> list[Change]:
        changes = self.open_data.get(node, [])
        if fate is Fate.LOST:
            return []
        if fate is Fate.KEPT:
            return changes
        return [kept for change in changes if (kept := _fate(change, chance)) is not None]


def _fate(change: Change, chance: random.Random) -> Change | None:
    pick = chance.random()
    if pick < 0.3:
        return None
    if isinstance(change, Written) and pick < 0.5:
        return Written(change.node, change.offset, change.data[: chance.randrange(len(change.data))])
    if isinstance(change, Written) and pick < 0.6:
        return Written(change.node, change.offset, bytes(len(change.data)))
    return change


def _changed(data: bytes, changes: list[Change]) -> bytes:
    result = bytearray(data)
    for change in changes:
        if isinstance(change, Sized):
            del result[change.size :]
            result.extend(bytes(change.size - len(result)))
        else:
            result.extend(bytes(max(0, change.offset - len(result))))
            result[change.offset : change.offset + len(change.data)] = change.data
    return bytes(result)


def _has_parents(path: str, folders: set[str]) -> bool:
    parent = os.path.dirname(path)  # noqa: PTH120  text
    return not parent or (parent in folders and _has_parents(parent, folders))


def lay_out(tree: Tree, root: Path) -> None:
    """Makes *root* hold *tree* and nothing else, save the database's own files."""
    there: set[str] = set()
    for folder, folders, files in os.walk(root, topdown=False):
        here = f"{folder}/".removeprefix(f"{root}/")
        for name in files:
            if name not in DATABASE:
                os.unlink(f"{folder}/{name}")  # noqa: PTH108  twice as fast, and there are thousands
        for name in folders:
            if f"{here}{name}" in tree:
                there.add(f"{here}{name}")
            else:
                os.rmdir(f"{folder}/{name}")  # noqa: PTH106  see above
    for path in sorted(path for path, data in tree.items() if data is None and path not in there):
        (root / path).mkdir(mode=0o700)
    for path, data in tree.items():
        if data is not None:
            (root / path).write_bytes(data)
            (root / path).chmod(0o600)
