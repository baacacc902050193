"""A program to break: stays loaded, and for each line on its input forks a child that pushes and pulls in a folder.

The child builds its parts, says so, waits for a byte on its gate (so that a tracer can take hold of it), and then
works as a server would: what fails is a refused request, and the client tries again. What it was told goes into shared
memory, which needs no system call and outlives a SIGKILL.
"""

import asyncio
import json
import mmap
import os
import signal
import struct
import sys
import traceback
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from entrepot.errors import EntrepotError
from tests.faults.client import Client, Direct, manifest_of
from tests.faults.site import PROJECT, Site, open_site
from tests.faults.world import Said, World

TOLD_BYTES: Final = 1 << 20
LONGEST_SECONDS: Final = 120
PASSES: Final = 4
"""How often the client asks: a fault of the nth call meets each thread once."""


@dataclass(frozen=True, slots=True)
class Order:
    """What one child is to do. told: its shared memory; gate: a FIFO; short: the write that is cut, 0: none."""

    folder: str
    told: str
    gate: str
    number: int
    short: int = 0

    def line(self) -> str:
        """The order as the program reads it."""
        return json.dumps(asdict(self)) + "\n"


class Told:
    """What a child has been told so far, in a file mapped into memory."""

    def __init__(self, path: Path) -> None:
        with path.open("r+b") as file:
            self._memory = mmap.mmap(file.fileno(), TOLD_BYTES)

    def add(self, kind: str, value: Any) -> None:
        """One note more; it is whole or not there."""
        (used,) = struct.unpack_from("<Q", self._memory)
        data = json.dumps([kind, value]).encode() + b"\n"
        self._memory[8 + used : 8 + used + len(data)] = data
        struct.pack_into("<Q", self._memory, 0, used + len(data))

    def notes(self) -> list[tuple[str, Any]]:
        """All notes, oldest first."""
        (used,) = struct.unpack_from("<Q", self._memory)
        return [tuple(json.loads(line)) for line in self._memory[8 : 8 + used].splitlines()]

    def hear(self, said: Said) -> None:
        """Notes *said*."""
        self.add("said", [said.key, list(said.allowed)])

    @staticmethod
    def make(path: Path) -> "Told":
        """An empty one at *path*."""
        with path.open("wb") as file:
            file.truncate(TOLD_BYTES)
        return Told(path)


def content(number: int) -> tuple[str, bytes, bytes, bytes, bytes]:
    """Repository, two layers, a config and their manifest: those of case *number* alone."""
    one, two = (bytes([part]) + number.to_bytes(4) * 2500 for part in (1, 2))
    config = number.to_bytes(4) * 70
    return f"{PROJECT}/case-{number}", one, two, config, manifest_of(config, one, two)


async def push_and_pull(client: Client, site: Site, number: int) -> None:
    """One layer in one body, one in chunks beside an upload that is cancelled, their image, and its pull."""
    repo, one, two, config, image = content(number)
    await client.finish(repo, await client.begin(repo), one, one)
    chunked, cancelled = await client.begin(repo), await client.begin(repo)
    await client.add(repo, chunked, two[:6_000])
    await client.cancel(repo, cancelled)
    await client.finish(repo, chunked, two, two[6_000:])
    await client.push_blob(repo, config)
    await client.push_manifest(repo, image, "v1")
    await client.pull(repo, "v1")
    site.spool.rotate()
    await client.pull(repo, "v1")


async def work(order: Order, told: Told, gate: int) -> None:
    """What the child does."""
    async with open_site(Path(order.folder)) as site:
        await site.services.reads.project(PROJECT)
        async with site.services.put_manifest.work(site.principal().actor):
            await asyncio.to_thread(int)  # every thread is there before the count begins
        if order.short:
            _cut_write(order.short, told)
        told.add("ready", None)
        os.read(gate, 1)
        client = Client(Direct(site), World(), told.hear)
        for _ in range(PASSES):
            try:
                await push_and_pull(client, site, order.number)
            except EntrepotError as error:
                told.add("refused", repr(error))
            except Exception:  # noqa: BLE001  the server would answer 500: a finding
                told.add("broke", traceback.format_exc())
            else:
                told.add("done", None)
                break


def _cut_write(count: int, told: Told) -> None:
    """Write number *count* from now takes half of what it is given, as a disk that runs full does."""
    real, left = os.write, [count]

    def write(descriptor: int, data: Any) -> int:
        left[0] -= 1
        if left[0] == 0 and len(data) > 1:
            told.add("short", len(data))
            return real(descriptor, data[: len(data) // 2])
        return real(descriptor, data)

    os.write = write


def _child(order: Order) -> None:
    signal.alarm(LONGEST_SECONDS)  # a child whose test has gone must not wait for it for ever
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # where the log would go
    told = Told(Path(order.told))
    gate = os.open(order.gate, os.O_RDWR)
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    with suppress(BaseException):  # whatever ends it is what the case is about; the notes tell
        loop.run_until_complete(work(order, told, gate))
    os._exit(0)


def main() -> None:
    """Forks a child per line; answers its process id."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    print("loaded", flush=True)
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            _child(Order(**json.loads(line)))
        print(child, flush=True)


if __name__ == "__main__":
    main()
