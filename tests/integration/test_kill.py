"""kill -9 of the parent alone, in the middle of pushes: nothing lives on, and nothing that was acknowledged is lost."""

import os
import random
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Final

import pytest

from entrepot.cli.demo.build import Image, Layer, image, layer
from entrepot.cli.demo.registry import Registry
from entrepot.cli.http import Http, basic
from entrepot.cli.http import Server as Address
from entrepot.errors import UnavailableError
from entrepot.oci.digest import Digest
from entrepot.oci.reference import Reference
from tests.real.server import CHILDREN_GONE_SECONDS, Credential, Server, new_server, running

ROUNDS: Final = 20
CLIENTS: Final = 3
LAYERS: Final = 3
LAYER_BYTES: Final = 300_000
LATEST_KILL_SECONDS: Final = 0.5
ANALYSER: Final = "entrepot.scanning.layers.child"


@dataclass(slots=True)
class Acknowledged:
    """What the server said it has: blobs by repository, and manifests by reference."""

    blobs: dict[tuple[str, Digest], bytes] = field(default_factory=dict)
    manifests: dict[tuple[str, str], bytes] = field(default_factory=dict)


@dataclass(slots=True)
class Pusher:
    """A client that pushes one image after another until the server is gone, and notes each answer.

    At the end *last* is the push that was cut off, to be repeated.
    """

    registry: Registry
    repository: str
    images: Iterator[Image]
    acknowledged: Acknowledged = field(default_factory=Acknowledged)
    last: tuple[str, Image] | None = None

    def run(self) -> None:
        """Push until the server is gone."""
        with suppress(UnavailableError):
            for number, item in enumerate(self.images):
                self.last = (f"v{number}", item)
                self.push(*self.last)

    def push(self, tag: str, item: Image) -> None:
        """One push, as a plain client does it."""
        for blob in item.blobs():
            if not self.registry.has_blob(self.repository, blob.digest):
                self.registry.put_blob(self.repository, blob.digest, BytesIO(blob.data), blob.size)
            self.acknowledged.blobs[self.repository, blob.digest] = blob.data
        self.registry.put_manifest(self.repository, tag, item.manifest)
        self.acknowledged.manifests[self.repository, tag] = item.manifest.data
        self.acknowledged.manifests[self.repository, str(item.digest)] = item.manifest.data


def client(server: Server, who: Credential) -> Registry:
    return Registry(Http(Address.parse(server.url, insecure=True)), who.login, who.secret)


def images(seed: int, base: Layer) -> Iterator[Image]:
    """Images without end, all on *base*, no two alike."""
    chance = random.Random(seed)  # noqa: S311
    while True:
        own = [layer({f"srv/{n}": chance.randbytes(LAYER_BYTES)}) for n in range(LAYERS)]
        yield image([base, *own])


def analysers_of(server: Server) -> list[Path]:
    """The analyser children: they carry no mark, so they are found by their parent, the worker."""
    parents = {str(pid) for pid, command in server.processes().items() if "--role worker" in command}
    found = []
    for folder in Path("/proc").iterdir():
        with suppress(OSError):
            words = (folder / "cmdline").read_bytes().decode().split("\0")
            if ANALYSER in words and parents & set(words):
                found.append(folder)
    return found


def assert_whole(server: Server, who: Credential, acknowledged: Acknowledged) -> None:
    registry = client(server, who)
    for (name, digest), data in acknowledged.blobs.items():
        assert b"".join(registry.blob(name, digest)) == data
    for (name, reference), data in acknowledged.manifests.items():
        is_digest = ":" in reference
        named = Reference(name, None if is_digest else reference, Digest.parse(reference) if is_digest else None)
        assert registry.manifest(named)[0] == data


@pytest.fixture
def kill_server(tmp_path: Path) -> Iterator[Server]:
    with running(new_server(tmp_path / "server", ENTREPOT_SERVER__DRAIN="0s")) as started:
        yield started


def kill_parent(server: Server) -> float:
    """Kill the parent alone, and see every other process of the server end; seconds until the last one had."""
    children = analysers_of(server)
    started = time.monotonic()
    server.kill()
    server.assert_no_process_is_left()
    server.wait_until("the analysers ended", lambda: not any(map(is_alive, children)), CHILDREN_GONE_SECONDS)
    return time.monotonic() - started


def is_alive(process: Path) -> bool:
    with suppress(OSError):
        return ANALYSER.encode() in (process / "cmdline").read_bytes()
    return False


def test_nothing_acknowledged_is_lost_when_the_parent_is_killed_in_the_middle_of_pushes(kill_server: Server) -> None:
    server, seed = kill_server, secrets.randbits(32)
    chance = random.Random(seed)  # noqa: S311
    server.create_project("kill")
    who = server.create_robot("kill", "ci")
    base = layer({"etc/base": chance.randbytes(LAYER_BYTES)})
    blobs = manifests = cut = 0
    slowest_end = restart = 0.0
    began = time.monotonic()
    for number in range(ROUNDS):
        pushers = [
            Pusher(client(server, who), f"kill/r{number}-{each}", images(chance.getrandbits(32), base))
            for each in range(CLIENTS)
        ]
        with ThreadPoolExecutor(CLIENTS) as pool:
            pushes = [pool.submit(pusher.run) for pusher in pushers]
            threading.Event().wait(chance.uniform(0, LATEST_KILL_SECONDS))
            slowest_end = max(slowest_end, kill_parent(server))
            for each in pushes:
                each.result()
        started = time.monotonic()
        server.start()
        restart = max(restart, time.monotonic() - started)

        for pusher in pushers:
            assert_whole(server, who, pusher.acknowledged)
            blobs += len(pusher.acknowledged.blobs)
            manifests += len(pusher.acknowledged.manifests) // 2
            if pusher.last is not None:
                tag, item = pusher.last
                cut += (pusher.repository, tag) not in pusher.acknowledged.manifests
                again = client(server, who)
                assert again.push(Reference(pusher.repository, tag, None), item).digest == item.digest
                assert again.pull(Reference(pusher.repository, tag, None)).digest == item.digest
    print(
        f"\nseed {seed}: {ROUNDS} kills in {time.monotonic() - began:.0f} s; acknowledged and whole: {blobs} blobs, "
        f"{manifests} manifests; {cut} pushes cut off and repeated; last child gone after {slowest_end * 1000:.0f} ms; "
        f"slowest restart {restart:.1f} s"
    )
    assert blobs > ROUNDS
    assert cut > ROUNDS


def begin(server: Server, who: Credential, name: str) -> str:
    answer = server.request("POST", f"/v2/{name}/blobs/uploads/", credential=who)
    assert answer.status == 202
    return answer.headers["Location"]


def test_a_chunk_that_was_acknowledged_survives_and_the_upload_goes_on(kill_server: Server) -> None:
    server = kill_server
    server.create_project("kill")
    who = server.create_robot("kill", "ci")
    data = os.urandom(1_000_000)
    location = begin(server, who, "kill/chunks")
    answer = server.request("PATCH", location, data[:600_000], credential=who, headers={"Content-Range": "0-599999"})
    assert answer.status == 202
    location = answer.headers["Location"]
    server.kill()
    server.assert_no_process_is_left()
    server.start()

    assert server.request("GET", location, credential=who).headers["Range"] == "0-599999"
    headers = {"Content-Range": "600000-999999"}
    answer = server.request("PATCH", location, data[600_000:], credential=who, headers=headers)
    assert answer.status == 202
    digest = Digest.of(data)
    assert server.request("PUT", f"{answer.headers['Location']}&digest={digest}", credential=who).status == 201
    assert server.request("GET", f"/v2/kill/chunks/blobs/{digest}", credential=who).data == data


def half_sent(server: Server, who: Credential, location: str, data: bytes, wait: Callable[[], None]) -> None:
    """Send half of *data* in a PATCH that announces all of it, and *wait* before the connection breaks."""
    with suppress(UnavailableError):
        Http(Address.parse(server.url, insecure=True)).send(
            "PATCH",
            location,
            headers={
                "Authorization": basic(who.login, who.secret),
                "Content-Type": "application/octet-stream",
                "Content-Length": str(len(data)),
            },
            body=HalfBody(data[: len(data) // 2], wait),
        )


class HalfBody(BytesIO):
    """A body that gives its bytes, and then calls *wait* before its end."""

    def __init__(self, data: bytes, wait: Callable[[], None]) -> None:
        super().__init__(data)
        self.wait = wait

    def read(self, size: int | None = -1) -> bytes:
        piece = super().read(size)
        if not piece:
            self.wait()
        return piece


def test_an_upload_cut_in_the_middle_of_a_chunk_can_be_continued_at_once_and_its_bytes_are_never_served(
    kill_server: Server,
) -> None:
    server = kill_server
    server.create_project("kill")
    who = server.create_robot("kill", "ci")
    data = os.urandom(4_000_000)
    location = begin(server, who, "kill/half")
    identity = location.partition("?")[0].rpartition("/")[2]
    half = data[: len(data) // 2]

    def kill_once_some_is_on_disk() -> None:
        file = server.data / "blobs" / "uploads" / identity
        server.wait_until("some bytes are on the disk", lambda: file.exists() and file.stat().st_size > 0, 10)
        server.kill()

    half_sent(server, who, location, data, kill_once_some_is_on_disk)
    server.assert_no_process_is_left()
    server.start()

    for digest in (Digest.of(half), Digest.of(data)):
        assert server.request("GET", f"/v2/kill/half/blobs/{digest}", credential=who).status == 404
    answer = server.request("PATCH", location, data, credential=who)
    assert answer.status == 202, answer.data
    done = server.request("PUT", f"{answer.headers['Location']}&digest={Digest.of(data)}", credential=who)
    assert done.status == 201
    assert server.request("GET", f"/v2/kill/half/blobs/{Digest.of(data)}", credential=who).data == data
