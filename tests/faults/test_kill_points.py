"""kill -9 of a server, at named points of each request and at moments by chance: the next start keeps every promise.

A web role runs with a point before and after each of its steps (`points.py`). For each of twelve requests the points it
passes are listed once, and then it is killed at twelve of them, drawn by a seed. `ENTREPOT_TEST_KILL_POINTS` and
`ENTREPOT_TEST_KILL_MOMENTS` say how many kills there are in all.
"""

import asyncio
import json
import os
import random
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, TypeAlias

import pytest
import urllib3

from tests.faults.client import Client, index_of, manifest_of
from tests.faults.points import LISTING, Points
from tests.faults.remote import Remote
from tests.faults.site import PROJECT, open_site, start
from tests.faults.world import LINE, Said, World, broken_promises

KILLS: Final = int(os.environ.get("ENTREPOT_TEST_KILL_POINTS", "36"))
MOMENTS: Final = int(os.environ.get("ENTREPOT_TEST_KILL_MOMENTS", "12"))
CLIENTS: Final = 3
MOST_HEARD: Final = 300
JITTER_SECONDS: Final = 0.02
CASES_PER_FOLDER: Final = 40
ROOT: Final = Path(__file__).parents[2]
READY_SECONDS: Final = 30.0
POLL_SECONDS: Final = 0.005
pytestmark = pytest.mark.timeout(300 + 5 * (KILLS + MOMENTS))


@dataclass(frozen=True, slots=True)
class Content:
    """What one case pushes, like no other: a config and two layers, and two images of them, under an index."""

    number: int

    @property
    def repo(self) -> str:
        """Where it goes."""
        return f"{PROJECT}/kill-{self.number}"

    @property
    def source(self) -> str:
        """Where it may be mounted from."""
        return f"{self.repo}-source"

    @property
    def config(self) -> bytes:
        """A small blob."""
        return b"config %d" % self.number * 20

    @property
    def layers(self) -> tuple[bytes, bytes]:
        """Larger blobs."""
        one, two = (b"layer %d %d" % (part, self.number) * 700 for part in (1, 2))
        return one, two

    @property
    def images(self) -> tuple[bytes, bytes]:
        """Manifests."""
        one, two = (manifest_of(self.config, layer) for layer in self.layers)
        return one, two


Step: TypeAlias = Callable[[Client, Content], Coroutine[None, None, None]]


@dataclass(frozen=True, slots=True)
class Request:
    """A request to be killed in, and what comes before it. An upload it works on is kept in the client's world."""

    before: Step
    act: Step


async def nothing(client: Client, content: Content) -> None:
    del client, content


async def blobs(client: Client, content: Content) -> None:
    for data in (content.config, *content.layers):
        await client.push_blob(content.repo, data)


async def source_blob(client: Client, content: Content) -> None:
    await client.push_blob(content.source, content.layers[0])


async def images(client: Client, content: Content) -> None:
    await blobs(client, content)
    for image in content.images:
        await client.push_manifest(content.repo, image)
    await client.push_manifest(content.repo, content.images[0], "v1")


async def half_upload(client: Client, content: Content) -> None:
    upload = await client.begin(content.repo)
    await client.add(content.repo, upload, content.layers[0][:3_000])


def the_upload(client: Client) -> str:
    return next(reversed(client.offsets))


async def begin(client: Client, content: Content) -> None:
    await client.begin(content.repo)


async def append(client: Client, content: Content) -> None:
    await client.add(content.repo, the_upload(client), content.layers[0][3_000:5_000])


async def finish(client: Client, content: Content) -> None:
    await client.finish(content.repo, the_upload(client), content.layers[0], content.layers[0][3_000:])


async def cancel(client: Client, content: Content) -> None:
    await client.cancel(content.repo, the_upload(client))


async def mount(client: Client, content: Content) -> None:
    await client.mount(content.repo, content.layers[0], content.source)


async def manifest(client: Client, content: Content) -> None:
    await client.push_manifest(content.repo, content.images[0], "v1")


async def index(client: Client, content: Content) -> None:
    await client.push_manifest(content.repo, index_of(*content.images), "all")


async def move_tag(client: Client, content: Content) -> None:
    await client.push_manifest(content.repo, content.images[1], "v1")


async def delete_tag(client: Client, content: Content) -> None:
    await client.delete_tag(content.repo, "v1")


async def delete_manifest(client: Client, content: Content) -> None:
    await client.delete_manifest(content.repo, content.images[0])


async def delete_blob(client: Client, content: Content) -> None:
    await client.delete_blob(content.repo, content.layers[0])


REQUESTS: Final[Mapping[str, Request]] = {
    "upload begins": Request(nothing, begin),
    "upload goes on": Request(half_upload, append),
    "upload is finished": Request(half_upload, finish),
    "upload is cancelled": Request(half_upload, cancel),
    "blob is mounted": Request(source_blob, mount),
    "manifest is new": Request(blobs, manifest),
    "manifest comes again": Request(images, manifest),
    "index is new": Request(images, index),
    "tag is moved": Request(images, move_tag),
    "tag is deleted": Request(images, delete_tag),
    "manifest is deleted": Request(images, delete_manifest),
    "blob is deleted": Request(blobs, delete_blob),
}


@dataclass(slots=True)
class Mortal:
    """A server that is killed and started again, on one folder after another."""

    loader: subprocess.Popen[str]
    memory: Path
    port: int
    points: Points
    process: int = 0
    number: int = 0
    folder: Path = field(default_factory=Path)

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Forks a server and waits until it is ready."""
        self.points.arm(0)
        assert self.loader.stdin is not None
        assert self.loader.stdout is not None
        self.loader.stdin.write(json.dumps([str(self.folder), self.port, str(self.memory / "points")]) + "\n")
        self.loader.stdin.flush()
        self.process = int(self.loader.stdout.readline())
        with urllib3.PoolManager(retries=False, timeout=5) as http:
            self._wait(lambda: self._is_ready(http), "the server is ready")

    def _is_ready(self, http: urllib3.PoolManager) -> bool:
        with suppress(urllib3.exceptions.HTTPError):
            return http.request("GET", f"{self.url}/readyz").status == 200
        return False

    def kill(self) -> None:
        """SIGKILL for all its processes at once; none is left."""
        with suppress(ProcessLookupError):
            os.killpg(self.process, signal.SIGKILL)
        self.gone()

    def gone(self) -> None:
        """Waits until none of its processes is left."""
        self._wait(lambda: not self._alive(), "every process has ended")

    def _alive(self) -> bool:
        for folder in Path("/proc").iterdir():
            if folder.name.isdecimal():
                with suppress(OSError):
                    state, _, group = (folder / "stat").read_text().rpartition(")")[2].split()[:3]
                    if int(group) == self.process and state != "Z":
                        return True
        return False

    def _wait(self, holds: Callable[[], bool], claim: str) -> None:
        deadline = time.monotonic() + READY_SECONDS
        while not holds():
            assert time.monotonic() < deadline, f"{claim}\n{(self.memory / 'server.log').read_text()[-3000:]}"
            time.sleep(POLL_SECONDS)

    def next_case(self) -> Content:
        """Content for one case more, on a running server; now and then on a fresh folder."""
        if self.number % CASES_PER_FOLDER == 0:
            if self.process:
                self.kill()
            shutil.rmtree(self.folder) if self.number else None
            self.folder = self.memory / f"data-{self.number}"
            shutil.copytree(self.memory / "base", self.folder)
            self.start()
        self.number += 1
        return Content(self.number)

    def client(self, *repos: str) -> Client:
        """One that may do everything in *repos*."""
        remote = Remote(self.url, (self.folder / "admin-password").read_text().strip())
        remote.sign_in(*repos)
        return Client(remote, World())


@pytest.fixture(scope="module")
def mortal(memory: Path) -> Iterator[Mortal]:
    folder = memory / "kill"
    folder.mkdir()
    start(folder / "base")

    async def fill() -> None:
        async with open_site(folder / "base") as site:
            await site.create_project()

    asyncio.run(fill())
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    command = [sys.executable, "-m", "tests.faults.failing_server", str(folder)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT) as loader:
        assert loader.stdout is not None
        assert loader.stdout.readline() == "loaded\n"
        server = Mortal(loader, folder, port, Points(folder / "points"))
        try:
            yield server
        finally:
            if server.process:
                server.kill()
            loader.kill()


def faults_of(folder: Path, world: World) -> list[str]:
    async def look() -> list[str]:
        async with open_site(folder) as site:
            await site.ingest()
            return await broken_promises(site, world, power=False)

    return asyncio.run(look())


def settled(world: World) -> World:
    """*world* without the lines of pulls: the server lives, and still holds them in its spool."""
    return World({key: allowed for key, allowed in world.allowed.items() if key[0] != LINE}, world.content)


def listed_points(mortal: Mortal, request: Request) -> list[str]:
    """Each point that *request* passes, in order, as its name and which passage of it."""
    content = mortal.next_case()
    client = mortal.client(content.repo, content.source)
    asyncio.run(request.before(client, content))
    mortal.points.arm(LISTING)
    asyncio.run(request.act(client, content))
    time.sleep(0.05)  # a few come behind the answer
    names, seen = mortal.points.passed(), Counter[str]()
    mortal.points.arm(0)
    numbered = []
    for name in names:
        seen[name] += 1
        numbered.append(f"{name} #{seen[name]}")
    return numbered


def kill_in(mortal: Mortal, request: Request, point: int) -> tuple[bool, list[str]]:
    """Whether the server died in *request* at *point* (from 1), and what it then does not keep."""
    content = mortal.next_case()
    client = mortal.client(content.repo, content.source)
    asyncio.run(request.before(client, content))
    mortal.points.arm(point)
    died = False
    try:
        asyncio.run(request.act(client, content))
    except urllib3.exceptions.HTTPError:
        died = True
    mortal.kill()  # it may have answered, and died then
    mortal.start()
    faults = faults_of(mortal.folder, client.world)
    again = mortal.client(content.repo, content.source)
    try:
        asyncio.run(retry(again, request, content))
    except Exception as error:  # noqa: BLE001  whatever it is, it is a finding
        faults.append(f"P5: the retry failed: {error!r}")
    return died, faults + faults_of(mortal.folder, settled(again.world))


async def retry(client: Client, request: Request, content: Content) -> None:
    """The same once more from the start, as a client does that knows nothing of before."""
    await request.before(client, content)
    await request.act(client, content)


def drawn(points: list[str], count: int, chance: random.Random) -> list[int]:
    """Numbers of *count* of *points* (from 1), of as many names as there are."""
    order = list(range(len(points)))
    chance.shuffle(order)
    order.sort(key=lambda number: int(points[number].rpartition("#")[2]))
    return sorted(number + 1 for number in order[:count])


def test_a_server_killed_at_any_named_point_keeps_every_promise(mortal: Mortal) -> None:
    seed = int(os.environ.get("ENTREPOT_TEST_SEED") or secrets.randbits(32))
    chance = random.Random(seed)  # noqa: S311
    began, killed, faults = time.monotonic(), Counter[str](), []
    kinds: set[str] = set()
    for name, request in REQUESTS.items():
        points = listed_points(mortal, request)
        for point in drawn(points, -(-KILLS // len(REQUESTS)), chance):
            died, found = kill_in(mortal, request, point)
            killed[name] += 1
            kinds.add(points[point - 1].rpartition(" #")[0])
            faults += [f"{name}, at {points[point - 1]} ({'died' if died else 'answered'}): {line}" for line in found]
    print(
        f"\n{killed.total()} kills at {len(kinds)} kinds of points in {time.monotonic() - began:.0f} s, seed {seed}: "
        f"{dict(killed)}"
    )
    assert not faults, "\n".join(faults[:40])
    assert killed.total() >= KILLS


class Heard:
    """Counts what clients are told, so that a kill comes among it however slow the machine is."""

    def __init__(self) -> None:
        self._count = 0
        self._more = threading.Condition()

    def __call__(self, _: Said) -> None:
        with self._more:
            self._count += 1
            self._more.notify_all()

    def wait_for(self, count: int) -> None:
        """Waits until *count* things were said."""
        with self._more:
            assert self._more.wait_for(lambda: self._count >= count, READY_SECONDS)


async def all_requests(client: Client, content: Content) -> None:
    """One request after the other, of every kind."""
    await source_blob(client, content)
    await client.mount(content.repo, content.layers[0], content.source)
    await half_upload(client, content)
    await cancel(client, content)
    upload = await client.begin(content.repo)
    await client.add(content.repo, upload, content.layers[1][:3_000])
    await client.finish(content.repo, upload, content.layers[1], content.layers[1][3_000:])
    await images(client, content)
    await client.pull(content.repo, "v1")
    await index(client, content)
    await move_tag(client, content)
    await delete_tag(client, content)
    await client.push_manifest(content.repo, content.images[1], "v1")


def push_until_killed(client: Client, content: Content, turns: threading.Event) -> None:
    with suppress(urllib3.exceptions.HTTPError):
        while not turns.is_set():
            asyncio.run(all_requests(client, content))


def test_a_server_killed_at_any_moment_under_load_keeps_every_promise(mortal: Mortal) -> None:
    seed = int(os.environ.get("ENTREPOT_TEST_SEED") or secrets.randbits(32))
    chance = random.Random(seed)  # noqa: S311
    began, said, faults = time.monotonic(), 0, []
    for _ in range(MOMENTS):
        contents = [mortal.next_case() for _ in range(CLIENTS)]
        clients = [mortal.client(content.repo, content.source) for content in contents]
        over, heard = threading.Event(), Heard()
        for client in clients:
            client.hear = heard
        with ThreadPoolExecutor(CLIENTS) as pool:
            work = [
                pool.submit(push_until_killed, client, content, over)
                for client, content in zip(clients, contents, strict=True)
            ]
            heard.wait_for(chance.randint(1, MOST_HEARD))
            threading.Event().wait(chance.uniform(0, JITTER_SECONDS))
            mortal.kill()
            over.set()
            for each in work:
                each.result()
        mortal.start()
        for client, content in zip(clients, contents, strict=True):
            said += len(client.world.allowed)
            faults += faults_of(mortal.folder, client.world)
            again = mortal.client(content.repo, content.source)
            try:
                asyncio.run(all_requests(again, content))
            except Exception as error:  # noqa: BLE001  whatever it is, it is a finding
                faults.append(f"P5: the retry failed: {error!r}")
            faults += faults_of(mortal.folder, settled(again.world))
    print(f"\n{MOMENTS} kills under load in {time.monotonic() - began:.0f} s, {said} promises kept, seed {seed}")
    assert not faults, "\n".join(faults[:40])
    assert said > MOMENTS
