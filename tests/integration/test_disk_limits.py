"""Disks at their limits: one request fails with 503, nothing acknowledged is lost, and the plain retry works.

Design: registry.md 11, block L: {full, quota, inodes, read-only} x {blob, manifest, database}, 12 cases; after each the
properties P1-P6 of registry.md 4 as far as a reader of rows and files can see them.
"""

import contextlib
import errno
import hashlib
import random
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import pytest

from tests.real.disks import Disk, in_memory, on_a_device, system_call_fails
from tests.real.protocol import OCI_CONFIG, OCI_LAYER, Answer, Registry, descriptor, encoded, sha256
from tests.real.server import Server, new_server, running

pytestmark = pytest.mark.xdist_group("disk-limits")

MIB: Final = 1 << 20
MOST_PUSHES: Final = 400  # of 60 KB or more: by then a small disk must have met its limit
# The room that is always kept would make every small disk a full one.
SMALL_DISKS: Final = {"ENTREPOT_STORAGE__LEAST_FREE": "1", "ENTREPOT_STORAGE__LEAST_FREE_PERCENT": "0"}


@dataclass(slots=True)
class Pusher:
    """Pushes to *server*, and remembers what was acknowledged: blobs, and manifests by tag; and what was refused."""

    server: Server
    registry: Registry
    repository: str
    blobs: dict[str, bytes] = field(default_factory=dict)
    tags: dict[str, bytes] = field(default_factory=dict)
    refused: int = 0

    def push_blob(self, data: bytes) -> Answer:
        """The last answer: of the POST if that fails, else of the PUT."""
        answer = self.registry.ask("POST", f"/v2/{self.repository}/blobs/uploads/", b"")
        if answer.status == 202:
            answer = self.registry.ask("PUT", f"{answer.header('Location')}&digest={sha256(data)}", data)
        if answer.status == 201:
            self.blobs[sha256(data)] = data
        else:
            self.refused += 1
        return answer

    def push_manifest(self, tag: str, body: bytes) -> Answer:
        answer = self.registry.put_manifest(self.repository, tag, body)
        if answer.status == 201:
            self.tags[tag] = body
        else:
            self.refused += 1
        return answer

    def unreadable(self) -> dict[str, str]:
        """P1: every acknowledged object reads back; those that do not, with what was said instead."""
        objects = {f"blobs/{digest}": data for digest, data in self.blobs.items()}
        objects |= {f"manifests/{tag}": body for tag, body in self.tags.items()}
        answers = {name: self.registry.ask("GET", f"/v2/{self.repository}/{name}") for name in objects}
        return {
            name: f"{answer.status} {answer.body[:200]!r}"
            for name, answer in answers.items()
            if (answer.status, answer.body) != (200, objects[name])
        }

    def assert_nothing_else_is(self) -> None:
        """P2: no tag, and no blob, that was not acknowledged."""
        listed = self.registry.ask("GET", f"/v2/{self.repository}/tags/list").json["tags"]
        assert sorted(listed) == sorted(self.tags)


LIMITS: Final = {"full": Disk.full, "inodes": Disk.without_inodes, "read-only": Disk.read_only}
# What asks the disk for a block: room for a blob, the name of a manifest's file, a page of the database's log.
CALLS: Final = {"blob": "fallocate", "manifest": "rename", "database": "pwrite64"}
# Here the limit meets the log of who pulled what, too, and what can't be told is not served.
AUDIT_TOO: Final = {("full", "database"), ("quota", "manifest")}
NOT_AUDITED: Final = "the audit log can\\'t be written, so nothing is served"


@dataclass(slots=True)
class Site:
    """A server on small disks: *data* is that of the database and *blobs* that of the bytes."""

    server: Server
    blobs: Disk
    data: Disk | None = None
    pushers: list[Pusher] = field(default_factory=list)

    def pusher(self) -> Pusher:
        """One with a repository of its own in a new project, where a config and a layer are."""
        project = f"p{len(self.pushers)}"
        self.server.create_project(project)
        robot = self.server.create_robot(project, "ci")
        made = Pusher(self.server, Registry(self.server.host).as_(robot), f"{project}/web")
        self.pushers.append(made)
        for data in (b"{}", LAYER):
            assert made.push_blob(data).status == 201
        assert made.push_manifest("before", manifest(-1)).status == 201
        return made

    def roles(self) -> set[int]:
        """The processes that serve and work; the analysers come and go."""
        return {pid for pid, command in self.server.processes().items() if "--role" in command}

    def tight(self, limit: str, target: str) -> contextlib.AbstractContextManager[None]:
        """While that is entered, *limit* is met where bytes of *target* go."""
        if limit == "quota":
            log = self.server.log.with_name("strace")
            return system_call_fails(sorted(self.roles()), CALLS[target], errno.EDQUOT, log)
        disk = self.data if target == "database" else self.blobs
        assert disk is not None
        return LIMITS[limit](disk)

    def assert_whole(self) -> None:
        """P1 to P3: what was acknowledged is there and nothing else, and rows and files agree, also after a restart."""
        self._assert_all_reads_back()
        assert self.server.stop() == 0
        self.server.assert_no_process_is_left()
        assert_rows_and_files_agree(self.server, sum(pusher.refused for pusher in self.pushers))
        self.server.start()
        self._assert_all_reads_back()

    def _assert_all_reads_back(self) -> None:
        for pusher in self.pushers:
            assert pusher.unreadable() == {}
            pusher.assert_nothing_else_is()


@contextlib.contextmanager
def site(folder: Path, data: str = "") -> Iterator[Site]:
    """Blobs are on a small disk. *data*: `memory` or `device` is the small disk of the database, empty for none."""
    server = new_server(folder, **SMALL_DISKS)
    with contextlib.ExitStack() as stack:
        disk = None
        if data == "device":
            disk = stack.enter_context(on_a_device(server.data, folder / "image"))
            (server.data / "lost+found").rmdir()
        elif data:
            disk = stack.enter_context(in_memory(server.data, inodes=400))
        else:
            server.data.mkdir()
        blobs = stack.enter_context(in_memory(folder / "blobs"))
        (server.data / "blobs").symlink_to(blobs.folder)  # a mount below the other would keep that from being repaired
        yield Site(stack.enter_context(running(server)), blobs, disk)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """For all cases but those of the database's own disk; at the end all that was acknowledged is still there."""
    with site(tmp_path_factory.mktemp("disks") / "site") as made:
        yield made
        made.assert_whole()


def noise(seed: object, size: int) -> bytes:
    return random.Random(str(seed)).randbytes(size)  # noqa: S311 - nothing to guess


LAYER: Final = noise("layer", 300_000)


def manifest(number: int) -> bytes:
    """A manifest that is *number*'s alone, and not small: the database keeps its bytes too."""
    return encoded(
        {
            "schemaVersion": 2,
            "config": descriptor(b"{}", OCI_CONFIG),
            "layers": [descriptor(LAYER, OCI_LAYER)],
            "annotations": {"n": noise(number, 30_000).hex()},
        }
    )


def push(pusher: Pusher, target: str, number: int) -> Answer:
    """The answer to the push of the *number*th thing whose bytes go where those of *target* go."""
    if target == "blob":
        return pusher.push_blob(noise(f"{pusher.repository} {number}", 2 * MIB))
    return pusher.push_manifest(f"v{number}", manifest(number))


def first_refused(pusher: Pusher, target: str) -> tuple[int, Answer]:
    """The first push that is no success: its number and answer."""
    for number in range(MOST_PUSHES):
        answer = push(pusher, target, number)
        if answer.status != 201:
            return number, answer
    raise AssertionError(f"{MOST_PUSHES} pushes, and no limit")


def assert_rows_and_files_agree(server: Server, refused: int) -> None:
    """Whatever a row calls ready is a file of those very bytes; beside them lie at most what refused pushes left."""
    with contextlib.closing(sqlite3.connect(server.data / "entrepot.db")) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
        rows = connection.execute("SELECT digest, key, size FROM blob_copy WHERE state = 'ready'").fetchall()
    blobs = server.data / "blobs"
    files = {str(path.relative_to(blobs)) for path in blobs.glob("sha256/*/*")}
    assert {key for _, key, _ in rows} <= files
    for digest, key, size in rows:
        data = (blobs / key).read_bytes()
        assert (f"sha256:{hashlib.sha256(data).hexdigest()}", len(data)) == (digest, size)
    assert len(files) - len(rows) <= refused


def assert_only_that_push_fails(site: Site, limit: str, target: str) -> None:
    pusher, processes = site.pusher(), site.roles()

    with site.tight(limit, target):
        number, refused = first_refused(pusher, target)
        again = push(pusher, target, number)
        unreadable = pusher.unreadable()
        healthy = site.server.http.request("GET", f"{site.server.url}/healthz", timeout=10).status
    after = push(pusher, target, number)

    print(f"\n{limit} x {target}: {len(pusher.blobs) + len(pusher.tags)} acknowledged, then {refused.body!r}")
    assert refused.refusal == again.refusal == (503, "UNAVAILABLE")
    assert healthy == 200
    if (limit, target) in AUDIT_TOO:
        assert all(NOT_AUDITED in said for said in unreadable.values()), unreadable
    else:
        assert unreadable == {}
    assert after.status == 201
    assert site.roles() == processes, "nothing was started anew"
    assert pusher.unreadable() == {}
    pusher.assert_nothing_else_is()


@pytest.mark.parametrize("target", ["blob", "manifest"])
@pytest.mark.parametrize("limit", ["full", "quota", "inodes", "read-only"])
def test_a_disk_at_its_limit_fails_that_push_only_and_the_retry_works(small: Site, limit: str, target: str) -> None:
    assert_only_that_push_fails(small, limit, target)


def test_a_database_over_its_quota_fails_that_push_only_and_the_retry_works(small: Site) -> None:
    assert_only_that_push_fails(small, "quota", "database")


def test_a_database_on_a_full_disk_fails_that_push_only_and_the_retry_works(tmp_path: Path) -> None:
    """Nor does it end a process: what counted requests through a map of a file there was killed by SIGBUS."""
    with site(tmp_path / "site", "memory") as full:
        assert_only_that_push_fails(full, "full", "database")
        full.assert_whole()


def test_a_database_needs_no_inode_to_go_on(tmp_path: Path) -> None:
    """Its files are open; the log of pulls may need one, and then says so."""
    with site(tmp_path / "site", "memory") as without:
        pusher, processes = without.pusher(), without.roles()

        with without.tight("inodes", "database"):
            answers = [push(pusher, "database", number).status for number in range(20)]
            unreadable = pusher.unreadable()
        retried = [push(pusher, "database", number).status for number in range(20)]

        print(f"\ninodes x database: {answers}, {len(unreadable)} unreadable")
        assert set(answers) <= {201, 503}
        assert all(NOT_AUDITED in said for said in unreadable.values()), unreadable
        assert set(retried) == {201}
        assert without.roles() == processes, "nothing was started anew"
        without.assert_whole()


def test_a_database_on_a_disk_that_became_read_only_loses_nothing(tmp_path: Path) -> None:
    """The kernel does that to a disk on which it finds an error. Only here is a restart needed: by the disk."""
    with site(tmp_path / "site", "device") as broken:
        pusher, processes = broken.pusher(), broken.roles()
        assert broken.data is not None

        broken.data.abort()
        refused = [push(pusher, "database", number) for number in range(3)]
        unreadable = pusher.unreadable()
        still = broken.roles()
        broken.server.stop()
        broken.server.assert_no_process_is_left()
        broken.data.repair()
        broken.server.start()

        print(f"\nread-only x database: {refused[0].body!r}, {len(unreadable)} unreadable")
        assert {answer.refusal for answer in refused} == {(503, "UNAVAILABLE")}
        assert all(NOT_AUDITED in said for said in unreadable.values()), unreadable
        assert still == processes, "nothing was started anew"
        assert {push(pusher, "database", number).status for number in range(3)} == {201}
        broken.assert_whole()
