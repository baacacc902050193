"""Hostile layers all the way from push to pull: partial with the reason, refused, and nobody else is hurt."""

import json
import random
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any, Final, Self

import pytest
import zstandard

from entrepot.cli.demo.build import Blob, Layer, image, layer
from entrepot.cli.demo.registry import Registry, RegistryError
from entrepot.cli.http import Http
from entrepot.cli.http import Server as Address
from entrepot.errors import EntrepotError
from entrepot.oci.digest import Digest
from entrepot.oci.mediatype import OCI_LAYER_GZIP
from entrepot.oci.reference import Reference
from tests.fakes.tars import END, dpkg_status, gz, header, member, padded, pax, symlink, tar
from tests.real.server import Credential, Server, new_server, running

MIB: Final = 1 << 20
MOST_ABOVE_IDLE: Final = 200 * MIB
STATUS: Final = "var/lib/dpkg/status"
OCI_LAYER_ZSTD: Final = "application/vnd.oci.image.layer.v1.tar+zstd"
ANALYSER: Final = "entrepot.scanning.layers.child"
SAMPLE_SECONDS: Final = 0.005
NEIGHBOR_PAUSE_SECONDS: Final = 0.1
JUDGED_SECONDS: Final = 200
LONG: Final = {"two-million-empty-members", "packages-without-end"}
BASH: Final = member(STATUS, dpkg_status(("bash", "5.2")))
DEBIAN: Final = layer({"etc/os-release": b'ID=debian\nVERSION_ID="12"\n'})


def packed(data: bytes, media_type: str = OCI_LAYER_GZIP) -> Layer:
    """A layer of these very bytes; what its tar would be nobody knows."""
    return Layer(Blob(media_type, data), Digest.of(data))


def noise(size: int) -> bytes:
    """A member of *size* bytes that can't be compressed: by the limit on the ratio each of them allows 200 others."""
    return member("noise", random.Random(size).randbytes(size))  # noqa: S311


def noisy(size: int, *members: bytes) -> Layer:
    """A layer of *members* behind so much noise that no ratio stands out."""
    return packed(gz(noise(size)) + gz(tar(*members)))


def gzip_bomb() -> Layer:
    return packed(gz(BASH) + gz(header(b"zeros", size=1 << 30) + bytes(1 << 28)) + gz(bytes(1 << 28)) * 3 + gz(END))


def zstd_bomb() -> Layer:
    zeros = zstandard.compress(bytes(1 << 26))
    return packed(zstandard.compress(BASH + header(b"zeros", size=1 << 32)) + zeros * 64, OCI_LAYER_ZSTD)


def zstd_window() -> Layer:
    settings = zstandard.ZstdCompressionParameters.from_level(3, window_log=29)
    whole = zstandard.ZstdCompressor(compression_params=settings).compressobj()
    data = tar(BASH, noise(4 * MIB))
    return packed(whole.compress(data) + whole.flush(), OCI_LAYER_ZSTD)


def bomb_in_a_bomb() -> Layer:
    bomb = gz(bytes(1 << 24))
    bombs = (member(f"b{number}.tar.gz", bomb) for number in range(200))
    return noisy(100_000, BASH, *bombs, header(b"x", size=1 << 32))


def truncated_gzip() -> Layer:
    whole = gz(tar(BASH, noise(100_000)))
    return packed(whole[: len(whole) // 2])


def truncated_tar() -> Layer:
    return packed(gz(tar(BASH)[:700]))


def no_layer_at_all() -> Layer:
    return packed(b"this is not a layer" * 100)


def path_tricks() -> Layer:
    tricks = ("../../var/lib/dpkg/status", "opt/../var/lib/dpkg/status", "a/..", "/../../etc/passwd", "x/../../y")
    evil = dpkg_status(("evil", "1"))
    return packed(gz(tar(symlink("lib", "../../../.."), *(member(each, evil) for each in tricks))))


def endless_names() -> Layer:
    name = b"a/" * 600_000
    gnu = header(b"././@LongLink", size=len(name), flag=b"L") + padded(name)
    long, longer = pax({b"path": b"b" * 60_000}), pax({b"path": b"c/" * 400_000})
    return noisy(100_000, BASH, gnu, member("x"), *([long, member("y")] * 50), longer, member("z"))


def endless_pax() -> Layer:
    records = pax({b"comment": b"x" * (16 * MIB)})
    return noisy(1_000_000, BASH, *([records, member("x")] * 8))


def two_million_empty_members() -> Layer:
    chunk = gz(b"".join(header(b"srv/%d" % number) for number in range(2_000)) + noise(6_000))
    return packed(gz(BASH) + chunk * 1_005 + gz(END))


def whiteouts_without_end() -> Layer:
    return noisy(300_000, b"".join(header(b"d/.wh.%d" % number) for number in range(60_000)))


def packages_without_end() -> Layer:
    return noisy(100_000, member(STATUS, dpkg_status(*((f"p{number}", "1") for number in range(60_000)))))


def one_endless_line() -> Layer:
    return noisy(500_000, member(STATUS, b"Package: " + b"x" * (64 * MIB)))


def impossible_size() -> Layer:
    return packed(gz(BASH + header(b"x", size=b"\xff" * 12) + END))


HOSTILE: Final = {
    two_million_empty_members: "limit:members",
    packages_without_end: "limit:facts",
    gzip_bomb: "limit:ratio",
    zstd_bomb: "limit:ratio",
    zstd_window: "limit:window",
    bomb_in_a_bomb: "corrupt:",
    truncated_gzip: "corrupt:",
    truncated_tar: "corrupt:",
    no_layer_at_all: "corrupt:",
    path_tricks: "path_escape",
    endless_names: "limit:p",
    endless_pax: "limit:pax",
    whiteouts_without_end: "limit:facts",
    one_endless_line: "analyser:dpkg:malformed",
    impossible_size: "corrupt:",
}


def status_kib(folder: Path, name: str) -> int:
    """A figure of /proc/<pid>/status, in KiB."""
    line = next(each for each in (folder / "status").read_text().splitlines() if each.startswith(name))
    return int(line.split()[1])


@dataclass(slots=True)
class Memory:
    """The most memory that each analyser child ever had (VmHWM), by process, sampled while they live; in bytes."""

    server: Server
    peaks: dict[int, int] = field(default_factory=dict)
    _stop: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        assert self._thread is not None
        self._thread.join()

    def _run(self) -> None:
        (worker,) = (pid for pid, command in self.server.processes().items() if "--role worker" in command)
        children = Path(f"/proc/{worker}/task/{worker}/children")
        while not self._stop.wait(SAMPLE_SECONDS):
            for pid in children.read_text().split():
                folder = Path("/proc") / pid
                with suppress(OSError, StopIteration):  # it may end while we look
                    if ANALYSER in (folder / "cmdline").read_text():
                        self.peaks[int(pid)] = max(self.peaks.get(int(pid), 0), status_kib(folder, "VmHWM") << 10)


@pytest.fixture(scope="module")
def enforcing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running(new_server(tmp_path_factory.mktemp("hostile"), ENTREPOT_SERVER__DRAIN="0s")) as server:
        server.create_project("hostile")
        server.set_mode("hostile", "enforce")
        yield server


def client(server: Server, who: Credential) -> Registry:
    return Registry(Http(Address.parse(server.url, insecure=True)), who.login, who.secret)


def wait_for_scan(server: Server, repository: str) -> dict[str, Any]:
    """The scan of the judged image. Two million members take 8 s on an idle core, and there may be few of those."""
    found: dict[str, Any] = {}

    def is_judged() -> bool:
        found.update(server.artifact(repository, "1", "/scan"))
        return bool(found["outcome"] != "pending")

    server.wait_until(f"{repository} is judged", is_judged, JUDGED_SECONDS)
    return found


def refusal(registry: Registry, reference: Reference) -> RegistryError:
    with pytest.raises(RegistryError) as caught:
        registry.pull(reference)
    return caught.value


@dataclass(slots=True)
class Neighbor:
    """Somebody who pushes small blobs all the while; *seconds*: how long each took."""

    registry: Registry
    seconds: list[float] = field(default_factory=list)
    failure: str = ""
    _stop: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        assert self._thread is not None
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(NEIGHBOR_PAUSE_SECONDS):
            data, began = b"blob %d" % len(self.seconds), time.monotonic()
            try:
                self.registry.put_blob("hostile/neighbor", Digest.of(data), BytesIO(data), len(data))
            except EntrepotError as error:
                self.failure = str(error)
            self.seconds.append(time.monotonic() - began)


@pytest.mark.xdist_group("hostile_push")
def test_hostile_layers_end_partial_are_refused_and_hurt_nobody_else(enforcing: Server) -> None:
    server = enforcing
    developer = server.create_robot("hostile", "ci")
    pusher = client(server, developer)
    viewer = client(server, server.create_robot("hostile", "cd", "viewer"))
    worker_before = [pid for pid, command in server.processes().items() if "--role worker" in command]
    images = {make.__name__.replace("_", "-"): image([DEBIAN, make()]) for make in HOSTILE}
    pushed: dict[str, float] = {}
    judged: dict[str, tuple[dict[str, Any], float]] = {}
    with Memory(server) as memory, Neighbor(client(server, developer)) as neighbor:
        server.wait_until("an idle analyser is seen", lambda: bool(memory.peaks), 10)
        idle = min(memory.peaks.values())
        for name, item in images.items():
            pusher.push(Reference(f"hostile/{name}", "1", None), item)
            pushed[name] = time.monotonic()
        for name in sorted(images, key=lambda name: name in LONG):
            judged[name] = (wait_for_scan(server, f"hostile/{name}"), time.monotonic() - pushed[name])
        peak = max(memory.peaks.values())

    print(
        f"\nanalysers: {len(memory.peaks)}; idle {idle / MIB:.0f} MiB, peak {peak / MIB:.0f} MiB; "
        f"pushes of a neighbor: {len(neighbor.seconds)}, slowest {max(neighbor.seconds):.1f} s"
    )
    for name, (scan, seconds) in judged.items():
        size = images[name].layers[1].blob.size
        print(f"  {name}: {size / 1000:,.0f} kB, judged after {seconds:.1f} s: {', '.join(scan['reasons'])[:90]}")
    for make, reason in HOSTILE.items():
        name = make.__name__.replace("_", "-")
        scan = judged[name][0]
        assert (scan["status"], scan["outcome"]) == ("partial", "error"), (name, scan)
        # On a machine that does other things too, the longest may end by the clock instead.
        allowed = (reason, "analyser:layer:timeout") if name in LONG else reason
        assert any(each.startswith(allowed) for each in scan["reasons"]), (name, scan["reasons"])
        refused = refusal(viewer, Reference(f"hostile/{name}", "1", None))
        assert (refused.status, refused.code) == (403, "DENIED")
        assert any(each[:40] in refused.message for each in scan["reasons"]), (name, refused.message)
    assert peak - idle <= MOST_ABOVE_IDLE
    assert neighbor.failure == ""
    assert [pid for pid, command in server.processes().items() if "--role worker" in command] == worker_before
    assert not server.items("/jobs?state=failed")
    good = image([layer({"etc/motd": b"hello"})])
    pusher.push(Reference("hostile/good", "1", None), good)
    scan = wait_for_scan(server, "hostile/good")
    assert (scan["status"], scan["outcome"]) == ("complete", "pass")
    assert viewer.pull(Reference("hostile/good", "1", None)).digest == good.digest


@pytest.mark.xdist_group("hostile_push")
def test_what_a_hostile_layer_holds_before_its_trick_is_still_found(enforcing: Server) -> None:
    pusher = client(enforcing, enforcing.create_robot("hostile", "ci2"))
    pusher.push(Reference("hostile/found", "1", None), image([DEBIAN, truncated_gzip()]))
    wait_for_scan(enforcing, "hostile/found")

    found = enforcing.items("/repositories/hostile/found/-/artifacts/1/packages")
    assert [(each["name"], each["version"], each["layer"]) for each in found] == [("bash", "5.2", 1)]


@pytest.mark.xdist_group("hostile_push")
def test_an_image_of_forty_thousand_findings_does_not_lock_others_out(enforcing: Server, tmp_path: Path) -> None:
    """Row by row its findings held up every other writer for 27 s, so pushes were answered 503.

    20 packages of 100 versions each, the most that are matched, and 20 advisories about all of them.
    """
    developer = enforcing.create_robot("hostile", "ci3")
    everywhere = [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}]}]
    affected = [
        {"package": {"ecosystem": "Debian:12", "name": f"bomb{name}"}, "ranges": everywhere} for name in range(20)
    ]
    records = [
        {"id": f"DSA-{number}-1", "modified": "2024-01-01T00:00:00Z", "affected": affected} for number in range(20)
    ]
    feed = tmp_path / "bomb.jsonl"
    feed.write_text("".join(json.dumps(record) + "\n" for record in records))
    enforcing.import_feed("bomb", feed)
    status = "\n".join(
        f"Package: part{number}\nSource: bomb{number % 20}\nStatus: install ok installed\n"
        f"Architecture: all\nVersion: {number // 20}\n"
        for number in range(2_000)
    )
    pusher = client(enforcing, developer)
    with Neighbor(client(enforcing, developer)) as neighbor:
        pusher.push(
            Reference("hostile/bomb", "1", None), image([DEBIAN, noisy(10_000, member(STATUS, status.encode()))])
        )
        wait_for_scan(enforcing, "hostile/bomb")

    print(f"\npushes of a neighbor: {len(neighbor.seconds)}, slowest {max(neighbor.seconds):.1f} s")
    assert neighbor.failure == ""
    found = enforcing.artifact("hostile/bomb", "1")["scan"]["findings"]
    assert sum(found.values()) == 40_000
