"""The collector beside pushes, for as long as it takes: `python -m tests.soak.collector --pushes 100000`.

Clients in processes of their own push images whose layers are partly old: what is there is not sent again, its lease
is renewed instead, as on a HEAD. They delete too, and let tags move on; the collector runs all the while. Time runs
faster, so that leases and trash end in seconds. Prints as JSON: manifests refused for a blob that was promised (must be
0), what was collected, and how long units had to wait. `--deletions N` measures instead how fast N dead blobs go, files
included.
"""

import argparse
import asyncio
import json
import os
import random
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from sqlalchemy import create_engine, insert, select

from entrepot.access.tables import account
from entrepot.audit.recorder import Recorder
from entrepot.catalog import blobs
from entrepot.catalog.errors import ManifestBlobUnknownError
from entrepot.catalog.tables import gc_review, repo_blob
from entrepot.content.backends.filesystem import FilesystemBlobs
from entrepot.content.tables import blob, blob_copy
from entrepot.errors import NotFoundError
from entrepot.lifecycle.collect import Collected, Collector
from entrepot.lifecycle.purge import EndTrash
from entrepot.oci.digest import Digest
from entrepot.runtime.database import open_database
from entrepot.runtime.events.model import Actor
from entrepot.runtime.migrations.run import migrate
from entrepot.runtime.unit_of_work import Unit, Work
from entrepot.schema import SCHEMA
from tests.fakes.catalog import IMAGE, Catalog, image

EPOCH: Final = datetime(2030, 1, 1, tzinfo=UTC)
OLD_LAYERS: Final = 40
TRASH: Final = timedelta(hours=1)
WRITTEN: Final = 500


@dataclass(slots=True)
class FastClock:
    """The same time in all processes, *factor* times as fast as the machine's, from *started* (seconds) on."""

    started: float
    factor: float

    def now(self) -> datetime:
        """The instant now."""
        return EPOCH + timedelta(seconds=(time.time() - self.started) * self.factor)


@dataclass(slots=True)
class TimedWork:
    """Units with how long each took, from asking for it to its end, in seconds."""

    work: Work
    taken: list[float] = field(default_factory=list)

    async def run(self, by: Actor, change: Any) -> Any:
        """See Work."""
        begun = time.monotonic()
        try:
            return await self.work.run(by, change)
        finally:
            self.taken.append(time.monotonic() - begun)

    def __call__(self, by: Actor) -> Any:
        """See Work."""
        return self.work(by)


async def main() -> None:
    """Parses, and plays the part named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pushes", type=int, default=2_000)
    parser.add_argument("--clients", type=int, default=2, help="processes that push")
    parser.add_argument("--factor", type=float, default=5_000, help="how much faster time runs: 5000 makes 24 h 17 s")
    parser.add_argument("--url", default="", help="a database without tables; else SQLite in a new folder")
    parser.add_argument("--deletions", type=int, default=0)
    parser.add_argument("--no-collector", action="store_true")
    parser.add_argument("--part", default="")
    parser.add_argument("--folder", default="")
    parser.add_argument("--started", type=float, default=0)
    parser.add_argument("--number", type=int, default=0)
    arguments = parser.parse_args()
    if arguments.part:
        parts = {"push": pushing, "collect": collecting}
        sys.stdout.write(json.dumps(await parts[arguments.part](arguments)) + "\n")
        return
    with tempfile.TemporaryDirectory(prefix="entrepot-soak-") as folder:
        arguments.folder, arguments.started = folder, time.time()
        arguments.url = arguments.url or f"sqlite:///{folder}/catalog.db"
        prepare(arguments.url, Path(folder))
        result = await (deletions(arguments) if arguments.deletions else soak(arguments))
    sys.stdout.write(json.dumps(result, indent=2) + "\n")


def prepare(url: str, folder: Path) -> None:
    """An empty database, and the folders of blobs."""
    if url.startswith("sqlite"):
        engine = create_engine(url)
        SCHEMA.create_all(engine)
        engine.dispose()
    else:
        migrate(url)
    (folder / "blobs" / "uploads").mkdir(parents=True)
    for number in range(256):
        (folder / "blobs" / "sha256" / f"{number:02x}").mkdir(parents=True)


def opened(arguments: argparse.Namespace) -> tuple[Catalog, TimedWork]:
    """This process's hold on the catalog, and the clock of its units."""
    clock = FastClock(arguments.started, arguments.factor)
    database = open_database(arguments.url, 4, timedelta(seconds=60))
    timed = TimedWork(Work(database, clock, (Recorder(clock),)))
    files = FilesystemBlobs(Path(arguments.folder) / "blobs")
    work: Any = timed
    collector = Collector(work, files, clock, TRASH, timedelta(0), 1_000)
    fast: Any = clock
    return Catalog(database, work, fast, files, Actor("soak", "person", 1), collector), timed


async def soak(arguments: argparse.Namespace) -> dict[str, Any]:
    """Pushes beside the collector; what came of it."""
    shop, _ = opened(arguments)
    async with shop.work(Actor("setup", "system")) as unit:
        values = {"uid": "soak", "kind": "person", "name": "soak", "created_at": EPOCH}
        await unit.execute(insert(account).values(id=1, **values))
    for number in range(OLD_LAYERS):
        await shop.push_blob("shop/base", old_layer(number))
    begun = time.monotonic()
    clients = [await start("push", arguments, number) for number in range(arguments.clients)]
    collector = None if arguments.no_collector else await start("collect", arguments, 0)
    pushed = [last_line(await client.communicate()) for client in clients]
    seconds = time.monotonic() - begun
    (Path(arguments.folder) / "stop").touch()
    collected = last_line(await collector.communicate()) if collector else {}
    dangling = await shop.dangling()
    queued, kept = await shop.count(gc_review), await shop.count(blob_copy)
    await shop.database.close()
    waits = sorted(wait for each in pushed for wait in each["waits"])
    return {
        "pushes": sum(each["pushes"] for each in pushed),
        "pushes_per_second": round(sum(each["pushes"] for each in pushed) / seconds, 1),
        "blob_unknown": sum(each["blob_unknown"] for each in pushed),
        "renewed": sum(each["renewed"] for each in pushed),
        "sent": sum(each["sent"] for each in pushed),
        "dangling": len(dangling),
        "unit_ms": {name: round(at(waits, part) * 1000, 1) for name, part in PARTS.items()},
        "collector": collected,
        "reviews_left": queued,
        "copies_left": kept,
        "cores": os.cpu_count(),
        "load": os.getloadavg()[0],
    }


def last_line(output: tuple[bytes, bytes]) -> dict[str, Any]:
    """What a part says at its end, behind its log."""
    found: dict[str, Any] = json.loads(output[0].splitlines()[-1])
    return found


PARTS: Final = {"p50": 0.5, "p99": 0.99, "p99.9": 0.999, "max": 1.0}


def at(ordered: list[float], part: float) -> float:
    """The value below which *part* of the *ordered* ones lie."""
    return ordered[min(len(ordered) - 1, int(len(ordered) * part))] if ordered else 0.0


async def start(part: str, arguments: argparse.Namespace, number: int) -> asyncio.subprocess.Process:
    """A process that plays *part*."""
    given = ["--part", part, "--number", str(number), "--folder", arguments.folder, "--url", arguments.url]
    given += ["--started", str(arguments.started), "--factor", str(arguments.factor)]
    given += ["--pushes", str(arguments.pushes // arguments.clients)]
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.soak.collector", *given, stdout=asyncio.subprocess.PIPE
    )


async def pushing(arguments: argparse.Namespace) -> dict[str, Any]:
    """A client: images with an old layer that is renewed or sent again, and one of their own."""
    shop, timed = opened(arguments)
    chosen = random.Random(arguments.number)  # noqa: S311  no secret
    counts: Counter[str] = Counter()
    name, earlier = f"shop/web{arguments.number}", []
    for number in range(arguments.pushes):
        old, own = old_layer(chosen.randrange(OLD_LAYERS)), f"own {arguments.number} {number}".encode()
        config = b'{"of":"' + own + b'"}'
        for data in (old, config, own):
            promised = await renewed(shop, name, data)
            counts["renewed" if promised else "sent"] += 1
            if not promised:
                await shop.push_blob(name, data)
        try:
            digest = await shop.push(name, image(config, [old, own]), IMAGE, f"t{number % 50}")
        except ManifestBlobUnknownError:
            counts["blob_unknown"] += 1
            continue
        counts["pushes"] += 1
        earlier.append(digest)
        if len(earlier) > 20:
            try:
                await shop.delete(name, earlier.pop(chosen.randrange(10)))
            except NotFoundError:
                counts["gone"] += 1
    await shop.database.close()
    return {**{key: counts[key] for key in ("pushes", "blob_unknown", "renewed", "sent")}, "waits": timed.taken}


async def renewed(shop: Catalog, name: str, data: bytes) -> bool:
    """As on a HEAD with push scope: whether the blob is there, and stays for half a lease at least."""
    digest, repository = Digest.of(data), await shop.repository(name)
    if not repository.resource.id:
        return False
    there = (repo_blob.c.repo_id == repository.resource.id) & (repo_blob.c.digest == str(digest))
    question = select(repo_blob.c.leased_until).where(there, repo_blob.c.hidden_at.is_(None))
    async with shop.database.reading() as connection:
        row = (await connection.execute(question)).one_or_none()
    if row is None:
        return False
    now = shop.clock.now()
    if row.leased_until - now >= timedelta(hours=12):
        return True
    return bool(await shop.work.run(shop.actor, lambda unit: blobs.renew(unit, repository.resource.id, digest, now)))


async def collecting(arguments: argparse.Namespace) -> dict[str, Any]:
    """The worker: trash ends, reviews are worked off, keys go, until told to stop."""
    shop, timed = opened(arguments)
    total, runs, worked = Collected(), 0, 0.0
    end = EndTrash(shop.work, shop.clock)
    while not (Path(arguments.folder) / "stop").exists():
        begun = time.monotonic()
        await end()
        total += await shop.collector()
        worked += time.monotonic() - begun
        runs += 1
        await asyncio.sleep(0.2)
    await shop.database.close()
    taken = sorted(timed.taken)
    return {
        "runs": runs,
        "seconds": round(worked, 1),
        **{name: getattr(total, name) for name in Collected.__slots__},
        "unit_ms": {name: round(at(taken, part) * 1000, 1) for name, part in PARTS.items()},
    }


async def deletions(arguments: argparse.Namespace) -> dict[str, Any]:
    """How fast dead blobs go: link, blob, copy and file of each."""
    shop, timed = opened(arguments)
    repository = await shop.repository("shop/web")
    await shop.push_blob("shop/web", b"first")
    repository = await shop.repository("shop/web")
    for first in range(0, arguments.deletions, WRITTEN):
        await written(shop, repository.resource.id, range(first, min(first + WRITTEN, arguments.deletions)))
    long_after = FastClock(time.time() - 40 * 24 * 3600, 1)
    collector = replace(shop.collector, clock=long_after)
    timed.taken.clear()
    begun = time.monotonic()
    first_run = await collector()
    seconds = time.monotonic() - begun
    begun = time.monotonic()
    keys = await replace(collector, clock=FastClock(time.time() - 80 * 24 * 3600, 1)).remove_keys()
    key_seconds = time.monotonic() - begun
    await shop.database.close()
    taken = sorted(timed.taken)
    return {
        "links": first_run.links,
        "links_per_second": round(first_run.links / seconds),
        "keys": keys.keys,
        "keys_per_second": round(keys.keys / key_seconds),
        "deletions_per_second": round(first_run.links / (seconds + key_seconds)),
        "unit_ms": {name: round(at(taken, part) * 1000, 1) for name, part in PARTS.items()},
        "cores": os.cpu_count(),
        "load": os.getloadavg()[0],
    }


async def written(shop: Catalog, repo_id: int, numbers: range) -> None:
    """Blobs whose leases are over, in one unit: rows as a push leaves them, and a file each."""
    past = EPOCH
    rows: list[tuple[str, int, str]] = []
    for number in numbers:
        data = f"dead {number}".encode()
        digest = Digest.of(data)
        key = shop.files.new_key(digest)
        shop.files.path(key).write_bytes(data)
        rows.append((str(digest), len(data), key))

    async def change(unit: Unit) -> None:
        there = {"state": "ready", "created_at": past}
        lease = {"repo_id": repo_id, "linked_at": past, "leased_until": past}
        due = {"kind": "link", "repo_id": repo_id, "review_after": past, "cause": "lease"}
        await unit.execute(insert(blob), [{"digest": digest, "size": size} for digest, size, _ in rows])
        copies = [{"digest": digest, "size": size, "key": key, "id": key[-26:]} | there for digest, size, key in rows]
        await unit.execute(insert(blob_copy), copies)
        await unit.execute(insert(repo_blob), [{"digest": digest, "size": size} | lease for digest, size, _ in rows])
        await unit.execute(insert(gc_review), [{"key": digest} | due for digest, _, _ in rows])

    await shop.work.run(shop.actor, change)


def old_layer(number: int) -> bytes:
    """A layer that many images share."""
    return f"old layer {number}".encode() * 50


if __name__ == "__main__":
    asyncio.run(main())
