"""One server for the clients that keep no rules: with times and numbers set low, and looked after between the cases."""

import contextlib
import json
import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import pytest

from tests.real.protocol import Registry, basic
from tests.real.raw import SECONDS, Reply, Wire, request
from tests.real.server import Credential, Server, new_server, running

IDLE: Final = 2.0
WINDOW: Final = 1.5
SEND: Final = 2.0
RATE: Final = 10_000
PRINCIPAL: Final = 6
ADDRESS: Final = 4
STEADY: Final = 20
MIB: Final = 1 << 20
SMALL: Final = b"layer" * 1_000
BLOB: Final = os.urandom(64) * (16 * MIB // 64)
LIMITS: Final = {
    "WEB_WORKERS": "1",
    "LIMITS__IDLE": f"{IDLE:.0f}s",
    "LIMITS__BODY_WINDOW": f"{WINDOW * 1000:.0f}ms",
    "LIMITS__SEND_WINDOW": f"{SEND:.0f}s",
    "LIMITS__QUEUE": "300ms",
    "LIMITS__IN_FLIGHT_PRINCIPAL": str(PRINCIPAL),
    "LIMITS__IN_FLIGHT_ADDRESS": str(ADDRESS),
}


@dataclass(frozen=True)
class World:
    """The server, a robot of the project `shop`, the web worker, and how many sockets that has open with no client."""

    server: Server
    robot: Credential
    worker: int
    open: int = 0

    @property
    def port(self) -> int:
        return self.server.port

    @property
    def auth(self) -> str:
        return f"Authorization: {basic(self.robot.login, self.robot.secret)}"

    @property
    def registry(self) -> Registry:
        return Registry(self.server.host).as_(self.robot)

    def wire(self, *data: bytes) -> Wire:
        """A new connection, on which *data* was sent."""
        made = Wire(self.port)
        for each in data:
            made.send(each)
        return made

    def ask(self, method: str, target: str, *headers: str, body: bytes = b"", version: str = "HTTP/1.1") -> bytes:
        """A request of the robot."""
        return request(method, target, self.auth, *headers, body=body, version=version)

    def uploads(self) -> int:
        """Uploads that somebody is writing to."""
        with contextlib.closing(sqlite3.connect(self.server.data / "entrepot.db")) as database:
            return int(database.execute("SELECT count(*) FROM upload WHERE lease != ''").fetchone()[0])

    def files(self) -> int:
        """Sockets and files of the store that the web worker has open."""
        found = 0
        for link in Path(f"/proc/{self.worker}/fd").iterdir():
            with contextlib.suppress(OSError):
                target = str(link.readlink())
                found += target.startswith("socket:") or "/blobs/" in target
        return found

    def breaches(self, limit: str) -> float:
        """How often a limit was passed, as the server counts it."""
        with self.wire(request("GET", "/metrics")) as wire:
            lines = wire.reply().body.decode().splitlines()
        name = f'entrepot_limit_breaches_total{{limit="{limit}"}} '
        return sum(float(line.removeprefix(name)) for line in lines if line.startswith(name))


@pytest.fixture(scope="session")
def whole_world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    limits = {f"ENTREPOT_SERVER__{name}": value for name, value in LIMITS.items()}
    with running(
        new_server(tmp_path_factory.mktemp("hostile"), ENTREPOT_ACCESS__LOGIN_DELAY="15m", **limits)
    ) as server:
        server.create_project("shop")
        robot = server.create_robot("shop", "ci")
        workers = [pid for pid, command in server.processes().items() if "--role web" in command]
        registry = Registry(server.host).as_(robot)
        registry.push_image("shop/web", "v1", [SMALL, BLOB])
        server.http.clear()
        world = World(server, robot, max(workers, key=lambda pid: len(ancestors(pid))))
        seen = list(range(STEADY))

        def steady() -> bool:
            seen.append(world.files())
            return len(set(seen[-STEADY:])) == 1

        until("no client is left", steady)
        yield replace(world, open=seen[-1])
        assert faults(server.log) == []


@pytest.fixture
def world(whole_world: World) -> Iterator[World]:
    """The server, which is as it was when the test is over."""
    yield whole_world
    with whole_world.wire(request("GET", "/readyz")) as wire:
        assert wire.reply().status == 200
    until("every file and socket is closed", lambda: whole_world.files() <= whole_world.open)
    until("no upload is held", lambda: whole_world.uploads() == 0)


def faults(log: Path) -> list[str]:
    """What no case may come to: an error that nobody had thought of."""
    lines = [json.loads(line) for line in log.read_text().splitlines() if line.startswith("{")]
    failed = [str(line) for line in lines if line["event"] == "request.failed" or line["level"] == "error"]
    return failed + [str(line) for line in lines if line["event"] == "request" and line["status"] >= 500]


def ancestors(pid: int) -> list[int]:
    """The parents of a process, up to the first."""
    found = []
    while pid > 1:
        pid = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
        found.append(pid)
    return found


def until(claim: str, holds: Callable[[], bool], seconds: float = SECONDS) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, f"not within {seconds} s: {claim}"
        time.sleep(0.02)


def message(reply: Reply) -> str:
    """The text of a refusal, on either face."""
    document = reply.json
    return str(document["errors"][0]["message"] if "detail" not in document else document["detail"])
