"""The web role under the supervisor, with granian's own worker processes: they end with it, and drain in order."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest
import urllib3

from entrepot.runtime.exclusive import reserve_port

WORKERS: Final = 2
SECONDS: Final = 15.0
GONE_SECONDS: Final = 5.0
DRAIN_SECONDS: Final = 1

WEB: Final = """
import asyncio, os, sys
from datetime import timedelta
from pathlib import Path
from entrepot.runtime.lifeline import Lifeline
from entrepot.runtime.telemetry import logs
from entrepot.web.server import Draining, WebServer

folder, port, body_drain = Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
logs.configure("info")
line = Lifeline.take_stdin()
line.hold()
draining = Draining()

def load():
    (folder / f"pid-{os.getpid()}").touch()

    async def app(scope, receive, send):
        if scope["type"] == "lifespan":
            for step in ("startup", "shutdown"):
                await receive()
                await send({"type": f"lifespan.{step}.complete"})
            (folder / f"shutdown-{os.getpid()}").touch()
            return
        status, body = 200, str(os.getpid()).encode()
        if scope["path"] == "/readyz":
            status = 503 if draining() else 200
        if scope["method"] == "PUT":
            size = 0
            while (message := await receive()).get("more_body"):
                size += len(message["body"])
            body = str(size + len(message.get("body", b""))).encode()
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body", "body": body})

    return app

(folder / f"pid-{os.getpid()}").touch()
WebServer(
    load=load, host="127.0.0.1", port=port, workers=2, drain=timedelta(seconds=1),
    body_drain=timedelta(seconds=body_drain), draining=draining, lifeline=line,
).run()
"""
PARENT: Final = """
import asyncio, sys
from datetime import timedelta
from entrepot.runtime.supervisor import Child, Supervisor
from entrepot.runtime.telemetry import logs

logs.configure("info")

async def run():
    return await Supervisor([Child("web", (sys.executable, "-c", *sys.argv[1:]))], timedelta(seconds=30)).run()

sys.exit(asyncio.run(run()))
"""


@dataclass(frozen=True, slots=True)
class Web:
    """A supervisor with a granian of two workers, on *port*. *folder*: a file for each process and each shutdown."""

    folder: Path
    port: int
    process: subprocess.Popen[bytes]
    http: urllib3.PoolManager

    @property
    def alive(self) -> list[int]:
        return [pid for path in self.folder.glob("pid-*") if lives(pid := int(path.name[4:]))]

    def status(self, path: str = "/") -> int | None:
        """The status of a request on a new connection; None if nobody answers."""
        try:
            url = f"http://127.0.0.1:{self.port}{path}"
            return self.http.request("GET", url, headers={"connection": "close"}, timeout=2, retries=False).status
        except urllib3.exceptions.HTTPError:
            return None

    def upload(self) -> socket.socket:
        """A PUT of 20 bytes, of which the first 10 are sent."""
        client = socket.create_connection(("127.0.0.1", self.port), SECONDS)
        client.sendall(b"PUT /x HTTP/1.1\r\nHost: x\r\nContent-Length: 20\r\n\r\n0123456789")
        return client


def lives(pid: int) -> bool:
    """Whether the process runs; one that only waits to be collected does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def until(claim: Callable[[], object], seconds: float = SECONDS) -> float:
    """Waits until *claim* holds; gives the seconds it took."""
    begun = time.monotonic()
    while not claim():
        assert time.monotonic() - begun < seconds, "it never came"
        time.sleep(0.01)
    return time.monotonic() - begun


@pytest.fixture
def begin(tmp_path: Path) -> Iterator[Callable[..., Web]]:
    webs: list[Web] = []

    def started(body_drain: float = 20) -> Web:
        with reserve_port("127.0.0.1", 0) as reserved:
            port = reserved.getsockname()[1]
        arguments = [WEB, str(tmp_path), str(port), str(body_drain)]
        process = subprocess.Popen([sys.executable, "-c", PARENT, *arguments])
        web = Web(tmp_path, port, process, urllib3.PoolManager())
        webs.append(web)
        until(lambda: len(web.alive) == 1 + WORKERS and web.status() == 200)
        return web

    yield started
    for web in webs:
        web.http.clear()
        web.process.kill()
        web.process.wait()
        for pid in web.alive:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def test_no_worker_outlives_a_killed_parent_and_the_port_is_free(begin: Callable[..., Web]) -> None:
    web = begin()

    web.process.kill()
    took = until(lambda: not web.alive, GONE_SECONDS)

    print(f"granian and {WORKERS} workers gone {took * 1000:.0f} ms after kill -9 of the supervisor")
    reserve_port("127.0.0.1", web.port).close()


def test_no_worker_outlives_a_killed_granian_and_all_start_again(begin: Callable[..., Web]) -> None:
    web = begin()
    before = set(web.alive)
    granian = next(pid for pid in before if os.getpgid(pid) == pid)

    os.kill(granian, signal.SIGKILL)
    until(lambda: not any(map(lives, before)), GONE_SECONDS)

    until(lambda: len(web.alive) == 1 + WORKERS and web.status() == 200)


def test_a_killed_worker_is_replaced(begin: Callable[..., Web]) -> None:
    web = begin()
    before = set(web.alive)
    worker = next(pid for pid in before if os.getpgid(pid) != pid)

    os.kill(worker, signal.SIGKILL)

    until(lambda: len(web.alive) == 1 + WORKERS and set(web.alive) != before)
    assert len(before & set(web.alive)) == WORKERS


def test_a_stop_is_announced_while_requests_are_still_taken(begin: Callable[..., Web]) -> None:
    web = begin()

    web.process.terminate()
    until(lambda: web.status("/readyz") == 503, DRAIN_SECONDS)
    taken = web.status()

    assert taken == 200
    assert web.process.wait(SECONDS) == 0
    assert web.alive == []
    assert len(list(web.folder.glob("shutdown-*"))) == WORKERS


def test_an_open_upload_is_finished_before_the_end(begin: Callable[..., Web]) -> None:
    web = begin()
    with web.upload() as client:
        web.process.terminate()
        until(lambda: web.status() is None)
        client.sendall(b"0123456789")
        answer = client.recv(4096)

    assert answer.startswith(b"HTTP/1.1 200")
    assert answer.endswith(b"\r\n\r\n20")
    assert web.process.wait(SECONDS) == 0
    assert len(list(web.folder.glob("shutdown-*"))) == WORKERS


def test_an_upload_that_does_not_end_is_cut_off_after_the_drain(begin: Callable[..., Web]) -> None:
    web = begin(body_drain=1)
    with web.upload():
        begun = time.monotonic()
        web.process.terminate()
        status = web.process.wait(SECONDS)

    assert status == 0
    assert 2 <= time.monotonic() - begun < 6
    assert web.alive == []


def test_an_idle_connection_does_not_delay_the_end(begin: Callable[..., Web]) -> None:
    web = begin()
    with socket.create_connection(("127.0.0.1", web.port), SECONDS) as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        client.recv(4096)
        begun = time.monotonic()
        web.process.terminate()
        web.process.wait(SECONDS)

    assert time.monotonic() - begun < 3
