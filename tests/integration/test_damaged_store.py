"""Blob files that went missing, short, empty, or unreadable: never wrong bytes, and a plain push heals."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from typing import Final

import pytest

from entrepot.cli.demo.build import image, layer
from entrepot.cli.demo.registry import Registry
from entrepot.cli.http import Http
from entrepot.cli.http import Server as Address
from entrepot.oci.digest import Digest
from entrepot.oci.reference import Reference
from tests.real.programs import require_program
from tests.real.server import READY_SECONDS, Credential, Server, new_server, running

SIZE: Final = 300_000
RANGES: Final = ("bytes=0-0", "bytes=100-199", "bytes=-1", f"bytes={SIZE - 10}-")


def missing(path: Path) -> None:
    path.unlink()


def empty(path: Path) -> None:
    os.truncate(path, 0)


def truncated(path: Path) -> None:
    os.truncate(path, SIZE - 1)


def grown(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"x")


def flipped(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(SIZE // 2)
        byte = file.read(1)
        file.seek(SIZE // 2)
        file.write(bytes([byte[0] ^ 1]))


def a_directory(path: Path) -> None:
    path.unlink()
    path.mkdir()


def a_loop(path: Path) -> None:
    path.unlink()
    path.symlink_to(path)


DAMAGES: Final = (missing, empty, truncated, grown, a_directory, a_loop)


class Store:
    """A repository on a real server, and the files behind it."""

    def __init__(self, server: Server, project: str) -> None:
        self.server = server
        self.name = f"{project}/a"
        self.other = f"{project}/b"
        server.create_project(project)
        self.who: Credential = server.create_robot(project, "ci")
        self.registry = Registry(Http(Address.parse(server.url, insecure=True)), self.who.login, self.who.secret)

    def push(self, data: bytes) -> Digest:
        """A blob in the repository."""
        digest = Digest.of(data)
        self.registry.put_blob(self.name, digest, BytesIO(data), len(data))
        return digest

    def files(self, digest: Digest) -> list[Path]:
        """The files of the blob's copies, oldest first."""
        folder = self.server.data / "blobs" / digest.algorithm / digest.hex[:2]
        return sorted(folder.glob(f"{digest.hex}.*"))

    def ask(self, method: str, digest: Digest, **headers: str) -> tuple[int, bytes]:
        """Status and body of a request for the blob."""
        path = f"/v2/{self.name}/blobs/{digest}"
        answer = self.server.request(method, path, credential=self.who, headers=headers)
        return answer.status, answer.data

    def mount(self, digest: Digest) -> int:
        """The status of a mount into the other repository."""
        query = f"mount={digest}&from={self.name}"
        return self.server.request("POST", f"/v2/{self.other}/blobs/uploads/?{query}", credential=self.who).status

    def assert_absent(self, digest: Digest) -> None:
        """Every way to read the blob is the registry's own 404."""
        status, body = self.ask("GET", digest)
        assert (status, b'"BLOB_UNKNOWN"' in body) == (404, True)
        assert self.ask("HEAD", digest) == (404, b"")
        for wanted in RANGES:
            status, body = self.ask("GET", digest, range=wanted)
            assert (status, b'"BLOB_UNKNOWN"' in body) == (404, True)

    def assert_heals(self, data: bytes) -> None:
        """A plain push (HEAD, then the bytes) brings the blob back whole."""
        digest = Digest.of(data)
        assert not self.registry.has_blob(self.name, digest)
        self.push(data)
        self.assert_good(data)

    def assert_good(self, data: bytes) -> None:
        """The blob is whole, by every way to read it."""
        digest = Digest.of(data)
        assert self.ask("GET", digest) == (200, data)
        assert self.ask("HEAD", digest) == (200, b"")
        assert self.ask("GET", digest, range="bytes=100-199") == (206, data[100:200])


@pytest.fixture
def store(shared_server: Server, request: pytest.FixtureRequest) -> Store:
    return Store(shared_server, f"damaged{Digest.of(request.node.name.encode()).hex[:10]}")


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_blob_is_absent_and_a_plain_push_heals_it(store: Store, damage: Callable[[Path], None]) -> None:
    data = os.urandom(SIZE)
    digest = store.push(data)
    store.assert_good(data)
    damage(store.files(digest)[0])

    store.assert_absent(digest)
    store.assert_heals(data)


@pytest.mark.parametrize("first", ["GET", "HEAD", "Range"])
def test_the_first_to_ask_for_a_damaged_blob_already_hears_404(store: Store, first: str) -> None:
    digest = store.push(os.urandom(SIZE))
    truncated(store.files(digest)[0])

    method = "HEAD" if first == "HEAD" else "GET"
    headers = {"range": "bytes=5-9"} if first == "Range" else {}
    assert store.ask(method, digest, **headers)[0] == 404


def test_a_blob_whose_file_vanishes_between_requests_is_absent_from_then_on(store: Store) -> None:
    data = os.urandom(SIZE)
    digest = store.push(data)
    for _ in range(5):
        assert store.ask("GET", digest) == (200, data)
    missing(store.files(digest)[0])

    for _ in range(5):
        store.assert_absent(digest)


def test_a_file_that_comes_back_after_the_damage_was_seen_is_not_trusted(store: Store) -> None:
    data = os.urandom(SIZE)
    path = store.files(digest := store.push(data))[0]
    truncated(path)
    assert store.ask("GET", digest)[0] == 404
    path.write_bytes(bytes(SIZE))

    store.assert_absent(digest)
    store.assert_heals(data)


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_blob_is_not_mounted(store: Store, damage: Callable[[Path], None]) -> None:
    data = os.urandom(SIZE)
    digest = store.push(data)
    damage(store.files(digest)[0])

    assert store.mount(digest) == 202
    store.push(data)
    assert store.mount(digest) == 201


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_push_that_asks_nothing_first_heals_too(store: Store, damage: Callable[[Path], None]) -> None:
    data = os.urandom(SIZE)
    digest = store.push(data)
    damage(store.files(digest)[0])

    store.push(data)

    store.assert_good(data)


def test_the_log_tells_of_the_damage_once(store: Store) -> None:
    digest = store.push(os.urandom(SIZE))
    empty(store.files(digest)[0])
    for _ in range(3):
        store.assert_absent(digest)

    events = store.server.items(f"/audit?action=copy.suspected&digest={digest}")
    assert [(each["actor"], each["outcome"]) for each in events] == [("system", "failed")]


def test_an_image_is_not_pushed_over_a_damaged_layer(store: Store) -> None:
    item = image([layer({"srv/data": os.urandom(SIZE)})])
    store.registry.push(Reference(store.name, "1", None), item)
    missing(store.files(item.layers[0].digest)[0])

    pushed = store.registry.push(Reference(store.name, "2", None), item)

    assert (pushed.sent_blobs, pushed.skipped_blobs) == (1, 1)
    assert store.registry.pull(Reference(store.name, "2", None)).digest == item.digest


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[Server]:
    with running(new_server(tmp_path / "server", ENTREPOT_SERVER__DRAIN="0s")) as started:
        yield started


@pytest.fixture
def humble_server(tmp_path: Path) -> Iterator[Server]:
    """A server that can't read what permissions forbid, also as root."""
    if os.geteuid() != 0:
        with running(new_server(tmp_path / "server", ENTREPOT_SERVER__DRAIN="0s")) as started:
            yield started
        return
    server = new_server(tmp_path / "server")
    prefix = [require_program("setpriv"), "--bounding-set=-dac_override,-dac_read_search"]
    yield from _started_by(prefix, server)


def _started_by(prefix: list[str], server: Server) -> Iterator[Server]:
    entrepot = str(Path(sys.executable).parent / "entrepot")
    with server.log.open("ab") as log:
        server.process = subprocess.Popen(
            [*prefix, entrepot, "serve", "--data", str(server.data), "--listen", server.host],
            env={name: value for name, value in os.environ.items() if not name.startswith("ENTREPOT_")}
            | {"ENTREPOT_SERVER__DRAIN": "0s"},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        server.wait_until("the server is ready", server._is_ready, READY_SECONDS)
        yield server
    finally:
        server.stop()
        server.http.clear()
        server.assert_no_process_is_left()


def test_an_unreadable_blob_is_absent_and_a_plain_push_heals_it(humble_server: Server) -> None:
    store = Store(humble_server, "humble")
    data = os.urandom(SIZE)
    digest = store.push(data)
    store.assert_good(data)
    store.files(digest)[0].chmod(0)

    store.assert_absent(digest)
    store.assert_heals(data)


@pytest.mark.parametrize("damage", [missing, truncated, flipped])
def test_a_layer_damaged_before_it_was_read_is_never_judged_by_what_is_left_of_it(
    own_server: Server, damage: Callable[[Path], None]
) -> None:
    store = Store(own_server, "unread")
    item = image([layer({"srv/data": os.urandom(SIZE)})])
    (worker,) = (pid for pid, command in own_server.processes().items() if "--role worker" in command)
    os.kill(worker, signal.SIGSTOP)
    store.registry.push(Reference(store.name, "1", None), item)
    damage(store.files(item.layers[0].digest)[0])
    os.kill(worker, signal.SIGCONT)
    tried = "/jobs?name=scan.layer&state=waiting"
    own_server.wait_until("it was tried", lambda: any(job["attempts"] for job in own_server.items(tried)), 30)
    assert own_server.artifact(store.name, "1", "/scan")["outcome"] == "pending"

    pushed = store.registry.push(Reference(store.name, "1", None), item)

    assert pushed.sent_blobs == 1
    scan = own_server.wait_for_scan(store.name, "1")
    assert (scan["status"], scan["outcome"]) == ("complete", "pass")
