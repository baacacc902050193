"""Disks at their limits: one request fails with 503, nothing acknowledged is lost, and the plain retry works.

Design: registry.md 11, block L: {full, quota, inodes, read-only} x {blob, manifest, database}, 12 cases; after each the
properties P1-P6 of registry.md 4 as far as a reader of rows and files can see them.
"""

import contextlib
import errno
import hashlib
import random
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import pytest

from tests.real.disks import Disk, in_memory, on_a_device, system_call_fails
from tests.real.protocol import OCI_CONFIG, OCI_LAYER, Answer, Registry, descriptor, encoded, sha256
from tests.real.server import Server, new_server, running

pytestmark = pytest.mark.xdist_group("disk-limits")

MIB: Final = 1 << 20
MOST_PUSHES: Final = 400  # before a database of this size must have met its limit
REPOSITORY: Final = "shop/web"
# The room that is always kept would make every small disk a full one.
SMALL_DISKS: Final = {"ENTREPOT_STORAGE__LEAST_FREE": "1", "ENTREPOT_STORAGE__LEAST_FREE_PERCENT": "0"}


@dataclass(slots=True)
class Pusher:
    """Pushes to *server*, and remembers what was acknowledged: blobs, and manifests by tag; and what was refused."""

    server: Server
    registry: Registry
    blobs: dict[str, bytes] = field(default_factory=dict)
    tags: dict[str, bytes] = field(default_factory=dict)
    refused: int = 0

    def push_blob(self, data: bytes) -> Answer:
        """The last answer: of the POST if that fails, else of the PUT."""
        answer = self.registry.ask("POST", f"/v2/{REPOSITORY}/blobs/uploads/", b"")
        if answer.status == 202:
            answer = self.registry.ask("PUT", f"{answer.header('Location')}&digest={sha256(data)}", data)
        if answer.status == 201:
            self.blobs[sha256(data)] = data
        else:
            self.refused += 1
        return answer

    def push_manifest(self, tag: str, body: bytes) -> Answer:
        answer = self.registry.put_manifest(REPOSITORY, tag, body)
        if answer.status == 201:
            self.tags[tag] = body
        else:
            self.refused += 1
        return answer

    def assert_all_is_there(self) -> None:
        """P1: every acknowledged object reads back with its digest."""
        for digest, data in self.blobs.items():
            answer = self.registry.ask("GET", f"/v2/{REPOSITORY}/blobs/{digest}")
            assert (answer.status, answer.body == data) == (200, True), (digest, answer.status)
        for tag, body in self.tags.items():
            answer = self.registry.ask("GET", f"/v2/{REPOSITORY}/manifests/{tag}")
            assert (answer.status, answer.body == body) == (200, True), (tag, answer.status)

    def assert_nothing_else_is(self) -> None:
        """P2: no tag, and no blob, that was not acknowledged."""
        listed = self.registry.ask("GET", f"/v2/{REPOSITORY}/tags/list").json["tags"]
        assert sorted(listed) == sorted(self.tags)


@dataclass(frozen=True, slots=True)
class Place:
    """A server whose disk is about to meet its limit. *tight*: while that is entered, it does."""

    pusher: Pusher
    tight: Callable[[], contextlib.AbstractContextManager[None]]
    device: Disk | None = None


def full(disk: Disk, _: Server) -> contextlib.AbstractContextManager[None]:
    return disk.full()


def without_inodes(disk: Disk, _: Server) -> contextlib.AbstractContextManager[None]:
    return disk.without_inodes()


def read_only(disk: Disk, _: Server) -> contextlib.AbstractContextManager[None]:
    return disk.read_only()


@contextlib.contextmanager
def over_quota(call: str, server: Server) -> Iterator[None]:
    pids = [pid for pid, command in server.processes().items() if "entrepot" in command]
    with system_call_fails(pids, call, errno.EDQUOT, server.log.with_name("strace")):
        yield


LIMITS: Final = {"full": full, "inodes": without_inodes, "read-only": read_only}
# What asks the disk for a block: room for a blob, the name of a manifest's file, a page of the database's log.
CALLS: Final = {"blob": "fallocate", "manifest": "rename", "database": "pwrite64"}


@contextlib.contextmanager
def place(folder: Path, limit: str, target: str) -> Iterator[Place]:
    """A server where the disk of *target*, and only that, will meet *limit*."""
    folder.mkdir()
    server = new_server(folder, **SMALL_DISKS)
    with contextlib.ExitStack() as stack:
        device, disk = None, None
        if limit != "quota":
            if target != "database":
                disk = stack.enter_context(in_memory(server.data / "blobs"))
            elif limit == "read-only":
                device = stack.enter_context(on_a_device(server.data, folder / "image"))
                (server.data / "lost+found").rmdir()
            else:
                disk = stack.enter_context(in_memory(server.data, inodes=400))
            if target == "database":
                stack.enter_context(in_memory(server.data / "blobs"))
        stack.enter_context(running(server))
        server.create_project("shop")
        robot = server.create_robot("shop", "ci")
        pusher = Pusher(server, Registry(server.host).as_(robot))
        if limit == "quota":
            yield Place(pusher, lambda: over_quota(CALLS[target], server))
        elif disk is not None:
            yield Place(pusher, lambda: LIMITS[limit](disk, server))
        else:
            yield Place(pusher, contextlib.nullcontext, device)


def noise(seed: object, size: int) -> bytes:
    return random.Random(str(seed)).randbytes(size)  # noqa: S311 - nothing to guess


def manifest(number: int, layer: bytes, padding: int = 60_000) -> bytes:
    """A manifest that is *number*'s alone, and not small: the database keeps its bytes too."""
    text = noise(number, padding // 2).hex()
    return encoded(
        {
            "schemaVersion": 2,
            "config": descriptor(b"{}", OCI_CONFIG),
            "layers": [descriptor(layer, OCI_LAYER)],
            "annotations": {"n": text},
        }
    )


def push_until_refused(pusher: Pusher, target: str, layer: bytes) -> tuple[Answer, Callable[[], Answer]]:
    """The first answer that is no success, and the same push once more."""
    for number in range(MOST_PUSHES):
        if target == "blob":
            data = noise(f"blob {number}", 2 * MIB)
            push = lambda data=data: pusher.push_blob(data)  # noqa: E731
        else:
            body = manifest(number, layer)
            push = lambda number=number, body=body: pusher.push_manifest(f"v{number}", body)  # noqa: E731
        answer = push()
        if answer.status != 201:
            return answer, push
    raise AssertionError(f"{MOST_PUSHES} pushes, and no limit")


def assert_rows_and_files_agree(server: Server, refused: int) -> None:
    """Whatever a row calls ready is a file of those very bytes; beside them lie at most what refused pushes left."""
    with contextlib.closing(sqlite3.connect(server.data / "entrepot.db")) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
        rows = connection.execute("SELECT digest, key, size FROM blob_copy WHERE state = 'ready'").fetchall()
    files = {str(path.relative_to(server.data / "blobs")) for path in (server.data / "blobs/sha256").rglob("*.*")}
    assert {key for _, key, _ in rows} <= files
    for digest, key, size in rows:
        data = (server.data / "blobs" / key).read_bytes()
        assert (f"sha256:{hashlib.sha256(data).hexdigest()}", len(data)) == (digest, size)
    assert len(files) - len(rows) <= refused


@pytest.mark.parametrize("target", ["blob", "manifest", "database"])
@pytest.mark.parametrize("limit", ["full", "quota", "inodes", "read-only"])
def test_a_disk_at_its_limit_fails_that_request_only_and_the_retry_works(
    tmp_path: Path, limit: str, target: str
) -> None:
    if (limit, target) in {("read-only", "database"), ("inodes", "database")}:
        pytest.skip("a case of its own, below")
    layer = noise("layer", 300_000)
    with place(tmp_path / "site", limit, target) as at:
        pusher, server = at.pusher, at.pusher.server
        for data in (b"{}", layer):
            assert pusher.push_blob(data).status == 201
        assert pusher.push_manifest("before", manifest(-1, layer)).status == 201
        processes = set(server.processes())

        with at.tight():
            refused, push = push_until_refused(pusher, target, layer)
            again = push()
            pusher.assert_all_is_there()
            pusher.assert_nothing_else_is()
            ready = server.http.request("GET", f"{server.url}/livez", timeout=10).status

        after = push()
        print(f"\n{limit} x {target}: {len(pusher.blobs) + len(pusher.tags)} acknowledged, then {refused.body!r}")
        assert refused.refusal == again.refusal == (503, "UNAVAILABLE")
        assert ready == 200
        assert after.status == 201
        assert set(server.processes()) == processes, "nothing was started anew"
        pusher.assert_all_is_there()
        pusher.assert_nothing_else_is()
        assert server.stop() == 0
        assert_rows_and_files_agree(server, pusher.refused)
        server.start()
        pusher.assert_all_is_there()
        pusher.assert_nothing_else_is()
