"""The rows of the table: what is asked of each server, and what is read off the outcome."""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from benchmarks.registry.content import GIB, KIB, MANIFEST, MIB, Blob, Contents, Image
from benchmarks.registry.http1 import Connection
from benchmarks.registry.load import (
    Downloads,
    Images,
    Outcome,
    Pages,
    Requests,
    Uploads,
    download,
    list_pages,
    pull_images,
    push_images,
    repeat,
    upload,
)
from benchmarks.registry.servers import PROJECT, Server

CONNECTIONS: Final = 16
PARALLEL: Final = 8
PAGE: Final = 100
TAG: Final = "v1"
LAYER_BYTES: Final = MIB
RANGE_BYTES: Final = 8 * MIB
READS: Final = f"{PROJECT}/app"


@dataclass(frozen=True, slots=True)
class Scale:
    """How much of each: *seconds* for what is repeated, sizes in bytes, images per client at so many clients."""

    seconds: float
    large: int
    put_large: int
    put_larges: int
    put_smalls: int
    images: dict[int, int]
    tags: tuple[int, ...]
    pages: int


FULL: Final = Scale(3.0, GIB, 200 * MIB, 2, 128, {1: 4, 8: 2, 32: 1}, (1_000, 10_000, 100_000), 300)
QUICK: Final = Scale(1.0, 64 * MIB, 32 * MIB, 1, 16, {1: 1, 8: 1, 32: 1}, (1_000,), 50)

Job = tuple[Callable[[Any], Outcome], Any]


@dataclass(slots=True)
class Stock:
    """What the rows push and pull, made when first needed and put on each server once."""

    contents: Contents
    scale: Scale
    peer_tags: int
    _blobs: dict[tuple[str, int], Blob] = field(default_factory=dict)
    _images: dict[str, Image] = field(default_factory=dict)
    _there: set[tuple[str, str]] = field(default_factory=set)

    def blob(self, name: str, size: int) -> Blob:
        """The blob of that name and size, always the same."""
        if (name, size) not in self._blobs:
            self._blobs[name, size] = self.contents.blob(name, size)
        return self._blobs[name, size]

    def image(self, name: str, *, system: bool = False) -> Image:
        """The image of that name, always the same."""
        if name not in self._images:
            self._images[name] = self.contents.image(name, LAYER_BYTES, system=system)
        return self._images[name]

    def once(self, server: Server, what: str, put: Callable[[], None]) -> None:
        """*put* is called if *what* is not on *server* yet."""
        if (server.name, what) not in self._there:
            put()
            self._there.add((server.name, what))

    def has_pull_image(self, server: Server, number: int) -> Image:
        """The image that client *number* pulls; it is on *server*, and analyzed once that is at rest."""
        image, name = self.image(f"pull-{number}"), f"{PROJECT}/pull-{number}"
        self.once(server, name, lambda: server.put_image(name, image.digest[7:19], image, analyzed=False))
        return image


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table.

    make: puts what is needed on the server and gives what to run in the process of the load. figure: reads the value
    off the outcome. more: whether more is better. files: whether a server of plain files takes part. writes: whether
    the disk is to be at rest before. without: why a server is left out; empty if it is not.
    """

    key: str
    title: str
    unit: str
    make: Callable[[Stock, Server, int], Job]
    figure: Callable[[Outcome], float]
    more: bool = True
    files: bool = False
    writes: bool = False
    without: Callable[[Stock, Server], str] = lambda _stock, _server: ""


def rows(scale: Scale) -> tuple[Row, ...]:
    """All rows at *scale*, in the order of the table."""
    manifests = [
        Row(
            f"manifest-{method.lower()}-{by}",
            f"manifest {method} by {by}, {CONNECTIONS} connections",
            "requests/s",
            _manifest(method, by),
            _per_second,
            files=True,
        )
        for method in ("GET", "HEAD")
        for by in ("tag", "digest")
    ]
    blobs = [
        Row(
            "blob-get-4KiB", f"blob GET 4 KiB, {CONNECTIONS} connections", "requests/s", _small, _per_second, files=True
        ),
        Row("blob-get-8MiB", f"blob GET 8 MiB, {PARALLEL} in parallel", "MB/s", _medium, _megabytes, files=True),
        Row("blob-get-large", f"blob GET {_size(scale.large)}, one at a time", "MB/s", _large, _megabytes, files=True),
        Row("range-8MiB", f"ranges of 8 MiB, {PARALLEL} in parallel", "MB/s", _ranges, _megabytes, files=True),
        Row("blob-put-1MiB", f"blob PUT 1 MiB, {PARALLEL} in parallel", "blobs/s", _puts, _per_second, writes=True),
        Row("blob-put-large", f"blob PUT {_size(scale.put_large)}", "MB/s", _put_large, _megabytes, writes=True),
    ]
    images = [
        Row(
            f"{what}-{clients}",
            f"whole {what} of 10 x 1 MiB, {clients} {'client' if clients == 1 else 'clients'}",
            "images/s",
            make(clients),
            _per_second,
            writes=what == "push",
        )
        for what, make in (("push", _push), ("pull", _pull))
        for clients in scale.images
    ]
    tags = [
        Row(
            f"tags-{count}",
            f"page of {PAGE} of {count:,} tags, p95",
            "ms",
            _tags(count),
            lambda outcome: outcome.latencies_ms["p95"],
            more=False,
            without=_too_many(count),
        )
        for count in scale.tags
    ]
    return (*manifests, *blobs, *images, *tags)


def _per_second(outcome: Outcome) -> float:
    return outcome.done / outcome.seconds


def _megabytes(outcome: Outcome) -> float:
    return outcome.sent_or_received / outcome.seconds / 1e6


def _size(count: int) -> str:
    return f"{count // GIB} GiB" if count >= GIB else f"{count // MIB} MiB"


def _authorization(server: Server, repository: str) -> str:
    """A fresh token: it has to outlast a round only."""
    with Connection(server.reader.address) as connection:
        return server.reader.authorization(connection, f"repository:{repository}:pull")


def _manifest(method: str, by: str) -> Callable[[Stock, Server, int], Job]:
    def make(stock: Stock, server: Server, _number: int) -> Job:
        image = stock.image("app", system=True)
        stock.once(server, "app", lambda: server.put_image(READS, TAG, image))
        headers = {"Authorization": _authorization(server, READS), "Accept": MANIFEST}
        target = f"/v2/{READS}/manifests/{TAG if by == 'tag' else image.digest}"
        return repeat, Requests(server.writer.address, method, target, headers, CONNECTIONS, stock.scale.seconds)

    return make


def _small(stock: Stock, server: Server, _number: int) -> Job:
    blob = _stored(stock, server, "small", 4 * KIB)
    headers = {"Authorization": _authorization(server, READS)}
    target = f"/v2/{READS}/blobs/{blob.digest}"
    return repeat, Requests(server.writer.address, "GET", target, headers, CONNECTIONS, stock.scale.seconds)


def _medium(stock: Stock, server: Server, _number: int) -> Job:
    blobs = [_stored(stock, server, f"medium-{index}", 8 * MIB) for index in range(PARALLEL)]
    targets = [(f"/v2/{READS}/blobs/{blob.digest}", "", 200, blob.size) for blob in blobs]
    return _download(stock, server, targets, PARALLEL, stock.scale.seconds)


def _large(stock: Stock, server: Server, _number: int) -> Job:
    blob = _stored(stock, server, "large", stock.scale.large)
    return _download(stock, server, [(f"/v2/{READS}/blobs/{blob.digest}", "", 200, blob.size)], 1, 0)


def _ranges(stock: Stock, server: Server, number: int) -> Job:
    blob = _stored(stock, server, "large", stock.scale.large)
    choice = random.Random(number)
    starts = [choice.randrange(blob.size - RANGE_BYTES) for _ in range(64)]
    target = f"/v2/{READS}/blobs/{blob.digest}"
    targets = [(target, f"bytes={start}-{start + RANGE_BYTES - 1}", 206, RANGE_BYTES) for start in starts]
    return _download(stock, server, targets, PARALLEL, stock.scale.seconds)


def _stored(stock: Stock, server: Server, name: str, size: int) -> Blob:
    blob = stock.blob(name, size)
    stock.once(server, name, lambda: server.put_blobs(READS, [blob]))
    return blob


def _download(
    stock: Stock, server: Server, targets: Sequence[tuple[str, str, int, int]], threads: int, seconds: float
) -> Job:
    del stock
    return download, Downloads(server.reader.address, _authorization(server, READS), targets, threads, seconds)


def _puts(stock: Stock, server: Server, number: int) -> Job:
    blobs = [stock.blob(f"put-{number}-{index}", MIB) for index in range(stock.scale.put_smalls)]
    return upload, Uploads(server.writer, f"{PROJECT}/put", blobs, PARALLEL)


def _put_large(stock: Stock, server: Server, number: int) -> Job:
    scale = stock.scale
    blobs = [stock.blob(f"put-large-{number}-{index}", scale.put_large) for index in range(scale.put_larges)]
    return upload, Uploads(server.writer, f"{PROJECT}/put", blobs, 1)


def _push(clients: int) -> Callable[[Stock, Server, int], Job]:
    def make(stock: Stock, server: Server, number: int) -> Job:
        count = clients * stock.scale.images[clients]
        images = [stock.image(f"push-{clients}-{number}-{index}") for index in range(count)]
        return push_images, Images(server.writer, f"{PROJECT}/push-{clients}-{number}", images, clients)

    return make


def _pull(clients: int) -> Callable[[Stock, Server, int], Job]:
    def make(stock: Stock, server: Server, _number: int) -> Job:
        stored = [stock.has_pull_image(server, index) for index in range(clients)]
        images = stored * (2 * stock.scale.images[clients])
        return pull_images, Images(server.reader, f"{PROJECT}/pull", images, clients)

    return make


def _tags(count: int) -> Callable[[Stock, Server, int], Job]:
    names = [f"v{index:06d}" for index in range(count)]

    def make(stock: Stock, server: Server, number: int) -> Job:
        repository, image = f"{PROJECT}/tags-{count}", stock.image("app", system=True)
        stock.once(server, repository, lambda: server.put_tags(repository, names, image))
        lasts = random.Random(number).choices(names[: count - PAGE], k=stock.scale.pages)
        return list_pages, Pages(server.reader, repository, lasts, PAGE, stock.scale.seconds)

    return make


def _too_many(count: int) -> Callable[[Stock, Server], str]:
    def without(stock: Stock, server: Server) -> str:
        pushed_one_by_one = server.database is None
        return f"pushing {count:,} tags takes too long" if pushed_one_by_one and count > stock.peer_tags else ""

    return without
