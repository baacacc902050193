"""kill -9 of the worker or of an analyser child inside a layer: judged late, judged right, and refused till then."""

import os
import signal
import threading
import time
import zlib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Self

import pytest

from entrepot.cli.demo.build import Blob, Layer, image
from entrepot.cli.demo.registry import Registry
from entrepot.cli.http import Http
from entrepot.cli.http import Server as Address
from entrepot.oci.digest import Digest
from entrepot.oci.mediatype import OCI_LAYER_GZIP
from entrepot.oci.reference import Reference
from tests.fakes.tars import END, dpkg_status, gz, header, member
from tests.real.server import PASSING_STATES, Credential, Server, new_server, running

CHUNK_MEMBERS: Final = 2_000
MEMBERS: Final = 400_000
VERDICT_SECONDS: Final = 60
PAUSE_SECONDS: Final = 0.02
ANALYSER: Final = "entrepot.scanning.layers.child"


def huffman(data: bytes) -> bytes:
    """*data* as a gzip member that no repetition makes smaller, so that no limit on the ratio is met."""
    packer = zlib.compressobj(1, zlib.DEFLATED, 31, 9, zlib.Z_HUFFMAN_ONLY)
    return packer.compress(data) + packer.flush()


def long_layer(mark: str) -> Layer:
    """A layer that takes seconds to read: one package, many empty members, and another package. *mark* changes its
    bytes, but nothing of what it holds.
    """
    chunk = b"".join(header(b"srv/%06d" % number) for number in range(CHUNK_MEMBERS))
    first = member("var/lib/dpkg/status.d/first", dpkg_status(("first", "1.0")))
    last = member("var/lib/dpkg/status.d/last", dpkg_status(("last", "2.0")))
    name = mark.encode() + b"\0"
    packed = gz(first)
    named = packed[:3] + b"\x08" + packed[4:10] + name + packed[10:]  # RFC 1952, 2.3: FNAME
    data = named + huffman(chunk) * (MEMBERS // CHUNK_MEMBERS) + gz(last + END)
    return Layer(Blob(OCI_LAYER_GZIP, data), Digest.of(first + chunk + last + END))


def processes() -> Iterator[tuple[int, int, list[str]]]:
    """Id, parent and command of every process."""
    for folder in Path("/proc").iterdir():
        if folder.name.isdecimal():
            with suppress(OSError, IndexError):
                fields = (folder / "stat").read_text().rpartition(")")[2].split()
                words = (folder / "cmdline").read_bytes().decode().split("\0")
                yield int(folder.name), int(fields[1]), words


def worker_of(server: Server) -> int:
    (pid,) = (pid for pid, command in server.processes().items() if "--role worker" in command)
    return pid


def busy_analysers(server: Server) -> list[int]:
    """Analysers of the worker that have a layer in hand: it takes the place of their standard input."""
    found = []
    with suppress(ValueError):
        worker = worker_of(server)
        analysers = [(pid, parent) for pid, parent, words in processes() if ANALYSER in words]
        forkers = {pid for pid, parent in analysers if parent == worker}
        for pid, parent in analysers:
            if parent in forkers:
                with suppress(OSError):
                    found += [pid] if Path(f"/proc/{pid}/fd/0").readlink().is_relative_to(server.data) else []
    return found


@dataclass(slots=True)
class Watch:
    """Asks for an image all the time, as a viewer and for its scan, until it is judged; notes every answer."""

    server: Server
    viewer: Credential
    repository: str
    pulls: list[tuple[int, str]] = field(default_factory=list)
    scans: list[dict[str, Any]] = field(default_factory=list)
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

    def ask(self) -> None:
        """One more pull and one more look at the scan."""
        answer = self.server.request("GET", f"/v2/{self.repository}/manifests/1", credential=self.viewer)
        scan = self.server.artifact(self.repository, "1", "/scan")
        self.pulls.append((answer.status, answer.data.decode(errors="replace")))
        self.scans.append(scan)

    def _run(self) -> None:
        while not self._stop.wait(PAUSE_SECONDS):
            self.ask()

    def wait(self) -> dict[str, Any]:
        """The scan of the judged image."""

        def is_judged() -> bool:
            return bool(self.scans) and not is_pending(self.scans[-1])

        self.server.wait_until(f"{self.repository} is judged", is_judged, VERDICT_SECONDS)
        return self.scans[-1]

    def assert_refused_until_judged(self) -> None:
        """No answer before the verdict was anything but a refusal, and no scan anything but unfinished."""
        pending = [pull for pull, scan in zip(self.pulls, self.scans, strict=True) if is_pending(scan)]
        assert pending
        assert {status for status, _ in pending} == {403}
        assert all("waits for its scan" in text for _, text in pending)


def is_pending(scan: dict[str, Any]) -> bool:
    return scan["status"] in PASSING_STATES or scan["outcome"] == "pending"


@dataclass(frozen=True, slots=True)
class Bench:
    """A server in enforce mode, with a pusher and a viewer."""

    server: Server
    pusher: Registry
    viewer: Credential

    def push(self, repository: str, mark: str) -> None:
        """A long image in *repository*, whose layer is being read by now."""
        self.pusher.push(Reference(repository, "1", None), image([long_layer(mark)]))

    def wait_for_analyser(self) -> int:
        """The analyser that reads the layer."""
        found: list[int] = []

        def is_busy() -> bool:
            found[:] = busy_analysers(self.server)
            return bool(found)

        self.server.wait_until("a layer is being read", is_busy, VERDICT_SECONDS)
        threading.Event().wait(0.3)  # well inside
        assert found[0] in busy_analysers(self.server), "the layer was read too fast to be killed in the middle"
        return found[0]

    def packages(self, repository: str) -> list[dict[str, Any]]:
        """The image's packages without what differs by its mark."""
        found = self.server.items(f"/repositories/{repository}/-/artifacts/1/packages")
        return [{key: value for key, value in each.items() if key != "layer_digest"} for each in found]


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with running(new_server(tmp_path / "server", ENTREPOT_SERVER__DRAIN="0s")) as server:
        server.create_project("killed")
        server.set_mode("killed", "enforce")
        who = server.create_robot("killed", "ci")
        pusher = Registry(Http(Address.parse(server.url, insecure=True)), who.login, who.secret)
        yield Bench(server, pusher, server.create_robot("killed", "cd", "viewer"))


def result(scan: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in scan.items() if key != "digest"}


def test_after_a_kill_in_the_middle_of_a_layer_the_result_is_that_of_an_undisturbed_scan(bench: Bench) -> None:
    server = bench.server
    bench.push("killed/calm", "calm")
    began = time.monotonic()
    with Watch(server, bench.viewer, "killed/calm") as watch:
        calm = watch.wait()
    calm_seconds = time.monotonic() - began
    watch.assert_refused_until_judged()
    undisturbed = bench.packages("killed/calm")
    assert [each["name"] for each in undisturbed] == ["first", "last"]
    assert (calm["status"], calm["outcome"]) == ("partial", "error")  # no feed speaks of an unknown system

    for victim in ("worker", "analyser"):
        repository = f"killed/{victim}"
        bench.push(repository, victim)
        with Watch(server, bench.viewer, repository) as watch:
            analyser = bench.wait_for_analyser()
            os.kill(worker_of(server) if victim == "worker" else analyser, signal.SIGKILL)
            began = time.monotonic()
            scan = watch.wait()
            seconds = time.monotonic() - began
            watch.ask()

        watch.assert_refused_until_judged()
        assert watch.pulls[-1][0] == 403
        assert (result(scan), bench.packages(repository)) == (result(calm), undisturbed)
        server.wait_until("no job is left", lambda: not server.items("/jobs?state=running"), VERDICT_SECONDS)
        assert not server.items("/jobs?state=failed")
        print(
            f"\n{victim} killed: judged {seconds:.1f} s later (undisturbed: {calm_seconds:.1f} s); "
            f"{len(watch.pulls)} pulls meanwhile, all refused"
        )


def test_a_layer_whose_every_analyser_dies_is_partial_and_refused(bench: Bench) -> None:
    server = bench.server
    bench.push("killed/poison", "poison")
    with Watch(server, bench.viewer, "killed/poison") as watch:
        killed = set()
        while not watch.scans or is_pending(watch.scans[-1]):
            for pid in busy_analysers(server):
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
                    killed.add(pid)
        scan = watch.wait()
        watch.ask()

    watch.assert_refused_until_judged()
    assert len(killed) >= 2  # one more where the list was read just before a child was gone
    assert (scan["status"], scan["outcome"]) == ("partial", "error")
    assert any("analyser:layer:crash" in reason for reason in scan["reasons"])
    assert watch.pulls[-1][0] == 403
    assert "analyser:layer:crash" in watch.pulls[-1][1]
