"""Real analyser children: what they may do, what they cost, and what becomes of one that fails."""

import asyncio
import contextlib
import os
import select
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import IO

import msgspec
import pytest
import zstandard

from entrepot.oci.digest import Digest
from entrepot.scanning.errors import AnalyserError
from entrepot.scanning.layers.child import Request
from entrepot.scanning.layers.limits import LayerLimits
from entrepot.scanning.layers.pool import LayerPool, PoolLimits, never
from entrepot.scanning.model import LayerFacts
from tests.fakes.tars import END, codes, directory, dpkg_status, facts_of, gz, header, member, padded, pax, tar
from tests.real.programs import require_program

MOST_ABOVE_IDLE = 200 << 20
HONEST = gz(tar(directory("var"), member("var/lib/dpkg/status", dpkg_status(("bash", "5")))))

# Forks as the analyser does, and stays to be told what the child used.
LAUNCHER = """
import os, socket, sys
import msgspec
from entrepot.scanning.layers import child
request = msgspec.msgpack.decode(bytes.fromhex(sys.argv[2]), type=child.Request)
ours, theirs = socket.socketpair()
layer = os.open(sys.argv[1], os.O_RDONLY)
encoder = msgspec.msgpack.Encoder()
pid, own = os.getpid(), os.fork()
if own == 0:
    ours.close()
    child._serve(pid, request, [layer, theirs.detach()], encoder)
theirs.close()
assert ours.recv(1) == child.READY
ours.send(child.GO)
with open(sys.argv[3], "wb") as answer:
    while piece := ours.recv(1 << 20):
        answer.write(piece)
_, status, usage = os.wait4(own, 0)
print(status, usage.ru_maxrss * 1024)
"""


def confined(code: str) -> subprocess.CompletedProcess[str]:
    """Runs *code* in a process as confined as a child is."""
    prologue = (
        "import os, socket, sys, ctypes\nfrom entrepot.scanning.layers.sandbox import confine\nassert confine()\n"
    )
    return subprocess.run(
        [sys.executable, "-c", prologue + textwrap.dedent(code)], capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize(
    "attempt",
    [
        "socket.socket()",
        "socket.socketpair()",
        "os.fork()",
        "os.posix_spawn('/bin/true', ['true'], {})",
        "os.execv('/bin/true', ['true'])",
        "open('/tmp/x', 'w')",
        "open('/etc/passwd')",
        "os.unlink('/tmp/x')",
        "os.kill(os.getppid(), 0)",
        "__import__('threading').Thread(target=print).start()",
    ],
)
def test_a_confined_process_can_do_none_of_this(attempt: str) -> None:
    ended = confined(f"""
        try:
            {attempt}
        except (PermissionError, RuntimeError) as error:
            os.write(1, b"refused")
    """)

    assert (ended.stdout, ended.returncode) == ("refused", 0), ended.stderr


def test_a_confined_process_is_refused_to_trace() -> None:
    ended = confined("""
        libc = ctypes.CDLL(None, use_errno=True)
        assert libc.ptrace(0, 0, 0, 0) == -1
        os.write(1, str(ctypes.get_errno()).encode())
    """)

    assert ended.stdout == "1", ended.stderr


def test_a_confined_process_has_512_mib() -> None:
    assert confined("os.write(1, b'%d' % len(bytearray(300 << 20)))").stdout == str(300 << 20)
    assert "MemoryError" in confined("bytearray(512 << 20)").stderr


async def analysed(pool: LayerPool, layer: bytes) -> LayerFacts:
    with tempfile.TemporaryFile() as file:
        file.write(layer)
        file.flush()
        return await pool.analyse(file, Digest.of(layer), len(layer))


async def test_a_child_says_what_the_bytes_say() -> None:
    async with LayerPool() as pool:
        for _ in range(4):
            assert await analysed(pool, HONEST) == facts_of(HONEST)
        assert await analysed(pool, HONEST[:-20]) == facts_of(HONEST[:-20])
        assert pool.busy == frozenset()


async def test_the_file_is_read_from_its_start_and_not_moved() -> None:
    with tempfile.TemporaryFile() as file:
        file.write(HONEST)
        file.seek(7)
        async with LayerPool() as pool:
            facts = await pool.analyse(file, Digest.of(HONEST), len(HONEST))

        assert (facts.complete, file.tell()) == (True, 7)


async def test_several_layers_are_read_at_once() -> None:
    async with LayerPool() as pool:
        facts = await asyncio.gather(*(analysed(pool, HONEST) for _ in range(6)))

    assert all(layer.complete for layer in facts)


SLOW_BYTES = (1 << 30) + 512 + 1024


@pytest.fixture
def slow() -> Iterator[IO[bytes]]:
    """A plain layer of 1 GiB that takes no space: a second of work or more."""
    with tempfile.TemporaryFile() as file:
        file.write(header(b"zeros", size=1 << 30))
        file.truncate(SLOW_BYTES)
        yield file


async def refused(pool: LayerPool, layer: IO[bytes], cancelled: Callable[[], bool] = never) -> str:
    with pytest.raises(AnalyserError) as error:
        await pool.analyse(layer.fileno(), Digest.of(b""), SLOW_BYTES, cancelled)
    return error.value.reason


async def until(claim: Callable[[], object]) -> None:
    """Waits for *claim* to hold, ten seconds at most."""
    deadline = time.monotonic() + 10
    while not claim():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.001)


async def test_a_child_that_is_killed_is_followed_by_another_and_then_an_error(slow: IO[bytes]) -> None:
    killed: set[int] = set()

    async def kill_all() -> None:
        while True:
            for pid in children_of(pool) - killed:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
                killed.add(pid)
            await asyncio.sleep(0.01)

    async with LayerPool() as pool:
        killer = asyncio.ensure_future(kill_all())
        try:
            assert await refused(pool, slow) == "crash"
        finally:
            killer.cancel()

    assert len(killed) == 2


async def test_a_child_that_is_killed_once_costs_nothing_but_time(slow: IO[bytes]) -> None:
    async with LayerPool() as pool:
        reading = asyncio.ensure_future(pool.analyse(slow.fileno(), Digest.of(b""), SLOW_BYTES))
        await until(lambda: pool.busy)
        os.kill(min(children_of(pool)), signal.SIGKILL)

        assert codes(await reading) == ["digest_mismatch"]


async def test_where_the_process_that_forks_has_died_another_is_started() -> None:
    async with LayerPool() as pool:
        forker = pool.forker
        os.kill(forker, signal.SIGKILL)
        while is_alive(forker):  # without a turn of the loop, which would tell the pool
            pass

        assert (await analysed(pool, HONEST)).complete
        assert pool.forker not in {0, forker}


async def test_its_death_costs_the_layers_being_read_nothing_but_time(slow: IO[bytes]) -> None:
    async with LayerPool() as pool:
        reading = asyncio.ensure_future(pool.analyse(slow.fileno(), Digest.of(b""), SLOW_BYTES))
        await until(lambda: pool.busy)
        os.kill(pool.forker, signal.SIGKILL)

        assert codes(await reading) == ["digest_mismatch"]


async def test_no_child_is_left_when_its_layer_is_read() -> None:
    async with LayerPool() as pool:
        for _ in range(20):
            await analysed(pool, HONEST)
        children = Path(f"/proc/{pool.forker}/task/{pool.forker}/children")

        await until(lambda: not children.read_text().strip())
        assert len(list(Path(f"/proc/{pool.forker}/fd").iterdir())) < 8


async def test_a_child_has_its_time_and_no_more(slow: IO[bytes]) -> None:
    limits = PoolLimits(wall=timedelta(milliseconds=200), most_wall=timedelta(milliseconds=200))
    start = time.monotonic()
    async with LayerPool(limits) as pool:
        assert await refused(pool, slow) == "timeout"
        assert pool.busy == frozenset()
    assert time.monotonic() - start < 5


def test_the_time_grows_with_the_layer_up_to_ten_minutes() -> None:
    limits = PoolLimits()

    assert [limits.time_for(size).total_seconds() for size in (0, 500_000_000, 10**12)] == [60, 70, 600]


async def test_an_answer_that_is_too_long_is_an_error(slow: IO[bytes]) -> None:
    slow.truncate(0)
    async with LayerPool(PoolLimits(output_bytes=100)) as pool:
        assert await refused(pool, slow) == "output"


async def test_a_cancelled_job_ends_its_child(slow: IO[bytes]) -> None:
    async with LayerPool() as pool:
        assert await refused(pool, slow, lambda: True) == "cancelled"
        assert pool.busy == frozenset()


async def test_a_cancelled_task_ends_its_child(slow: IO[bytes]) -> None:
    async with LayerPool() as pool:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.3):
                await pool.analyse(slow.fileno(), Digest.of(b""), SLOW_BYTES)

        assert pool.busy == frozenset()


async def test_a_child_whose_asker_left_before_he_could_end_it_reads_nothing(
    slow: IO[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def leave(channel: socket.socket) -> int:
        await asyncio.to_thread(select.select, [channel], [], [], 10)
        raise AnalyserError("left", "cancelled")

    monkeypatch.setattr("entrepot.scanning.layers.pool._taken", leave)
    async with LayerPool() as pool:
        started = time.monotonic()
        assert await refused(pool, slow) == "cancelled"
        await until(lambda: not children_of(pool))

        assert time.monotonic() - started < 0.5  # the layer alone takes a second


def test_children_do_not_outlive_the_process_that_started_them(tmp_path: Path) -> None:
    layer = tmp_path / "layer"
    with layer.open("wb") as file:
        file.write(header(b"zeros", size=(1 << 33) - 1024))
        file.truncate(1 << 33)
    code = f"""
        import asyncio
        from entrepot.oci.digest import Digest
        from entrepot.scanning.layers.pool import LayerPool
        async def main():
            async with LayerPool() as pool:
                with open({str(layer)!r}, "rb") as file:
                    reading = asyncio.ensure_future(pool.analyse(file, Digest.of(b""), 1 << 33))
                    while not pool.busy:
                        await asyncio.sleep(0.01)
                    await asyncio.sleep(0.1)
                    with open(f"/proc/{{pool.forker}}/task/{{pool.forker}}/children") as file:
                        print(pool.forker, file.read(), flush=True)
                    await reading
        asyncio.run(main())
    """
    with subprocess.Popen([sys.executable, "-c", textwrap.dedent(code)], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        children = [int(pid) for pid in parent.stdout.readline().split()]
        assert all(map(is_alive, children))
        parent.kill()
    deadline = time.monotonic() + 2  # the layer alone takes longer
    while any(map(is_alive, children)):
        assert time.monotonic() < deadline
        time.sleep(0.01)

    assert len(children) >= 2


def is_alive(pid: int) -> bool:
    try:
        return " Z " not in Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False


def children_of(pool: LayerPool) -> set[int]:
    """The process ids of those that read layers, or have just done so."""
    return set(map(int, Path(f"/proc/{pool.forker}/task/{pool.forker}/children").read_text().split()))


def peak_bytes(layer: Path, answer: Path) -> int:
    """The resident set a child had at most while it read *layer*."""
    request = msgspec.msgpack.encode(Request(str(Digest.of(b"")), layer.stat().st_size, LayerLimits())).hex()
    command = [sys.executable, "-c", LAUNCHER, str(layer), request, str(answer)]
    ended = subprocess.run(command, capture_output=True, text=True, check=True)
    status, peak = map(int, ended.stdout.split())
    assert status == 0, ended.stderr
    return peak


def noise(number: int) -> bytes:
    return number.to_bytes(4, "big") * 10


def two_million_members() -> Iterator[bytes]:
    """As many empty members as are allowed, with names that do not repeat within a block of 2,048."""
    block = b"".join(
        header(b"directory/%06d" % number, link=noise(number * 2_654_435_761 % 2**32)) for number in range(2_048)
    )
    for _ in range(2_000_000 // 2_048 + 1):
        yield block


def endless_names() -> Iterator[bytes]:
    """Whiteouts, links and metadata under names of 4,000 bytes each, none twice."""
    for number in range(12_000):
        folder = b"%06d" % number + "\U0001f600".encode() * 900
        yield pax({b"path": folder + b"/.wh.x"}) + header(b"x")
        data = b"Name: %d\nVersion: 1\n" % number
        yield pax({b"path": folder + b"/a.egg-info"}) + header(b"x", size=len(data)) + padded(data)
        yield pax({b"path": b"lib", b"linkpath": folder}) + header(b"x", flag=b"2")


def pax_bombs() -> Iterator[bytes]:
    """PAX headers of a mebibyte, full of records, and one of a gibibyte."""
    records = b"".join(b"12 %05d=ab\n" % number for number in range(87_000))
    for _ in range(30):
        yield pax(records) + header(b"x")
    size = 100 << 20
    yield header(b"pax", size=size, flag=b"x")
    yield from [bytes(1 << 20)] * 100
    yield header(b"x")


def large_database() -> Iterator[bytes]:
    """A dpkg database of 256 MiB with as many packages as it has room for."""
    size = 256 << 20
    yield header(b"var/lib/dpkg/status", size=size)
    written = 0
    while written < size:
        piece = b"".join(
            b"Package: \xf0\x9f\x98\x80-package-%09d\nVersion: 1:%09d-1\nSource: s%09d (1.%09d)\n\n"
            % ((written + number,) * 4)
            for number in range(10_000)
        )[: size - written]
        written += len(piece)
        yield piece


def one_endless_line() -> Iterator[bytes]:
    """A dpkg database that is one line."""
    yield header(b"var/lib/dpkg/status", size=200 << 20)
    yield from [b"Package: " + b"x" * ((1 << 20) - 9)] * 200


def large_headers() -> Iterator[bytes]:
    """An rpm database of 6 packages of nearly 16 MiB each, and one that is larger."""
    sizes = [(16 << 20) - 64] * 6 + [16 << 20]
    tags = [(1000, 6, 0, 1), (1001, 6, 2, 1), (1005, 6, 4, 1)]
    table, blobs, start = [b"RpmP" + struct.pack("<IIII12x", 0, 1, 1, 8)], [], 4096
    for number, size in enumerate(sizes, 1):
        head = struct.pack(">II", len(tags), size) + b"".join(struct.pack(">IIII", *tag) for tag in tags)
        blobs.append((struct.pack("<4sIII", b"BlbS", number, 1, len(head) + size) + head + b"a\0001\0", size - 4))
        table.append(struct.pack("<4sIII", b"Slot", number, start // 16, 0))
        start += (16 + len(head) + size + 15) // 16 * 16
    slots = b"".join(table)
    yield header(b"var/lib/rpm/Packages.db", size=start)
    yield slots + b"Slot".ljust(16, b"\0") * ((4096 - len(slots)) // 16)
    for begin, rest in blobs:
        yield begin
        yield bytes(rest + -(len(begin) + rest) % 16)


LAYERS = {
    large_headers: "analyser:rpm:malformed",
    two_million_members: "limit:members",
    endless_names: "limit:facts",
    pax_bombs: "limit:pax",
    large_database: "limit:facts",
    one_endless_line: "analyser:dpkg:malformed",
}


@pytest.mark.parametrize(("make", "code"), LAYERS.items())
def test_no_layer_costs_more_than_200_mb_above_idle(
    make: Callable[[], Iterator[bytes]], code: str, tmp_path: Path
) -> None:
    """Packed by zstd with the largest window allowed: the dearest way to be read."""
    layer = tmp_path / "layer"
    parameters = zstandard.ZstdCompressionParameters(window_log=27, compression_level=1, enable_ldm=False)
    with (
        layer.open("wb") as file,
        zstandard.ZstdCompressor(compression_params=parameters).stream_writer(file) as writer,
    ):
        for piece in make():
            writer.write(piece)
        # What can't be packed keeps the ratio below its limit.
        writer.write(member("noise", os.urandom(8 << 20)) + END)
    (tmp_path / "empty").touch()
    idle = peak_bytes(tmp_path / "empty", tmp_path / "answer")
    peak = peak_bytes(layer, tmp_path / "answer")
    facts = msgspec.msgpack.decode((tmp_path / "answer").read_bytes(), type=LayerFacts)
    print(f"{make.__name__}: {(peak - idle) / 1e6:.0f} MB above {idle / 1e6:.0f} MB idle")

    assert peak - idle <= MOST_ABOVE_IDLE
    assert code in codes(facts)
    assert not facts.complete


async def test_a_real_status_file_has_the_packages_that_dpkg_query_shows() -> None:
    names = ("db:Status-Status", "Package", "Version", "Architecture", "source:Package", "source:Version")
    fields = "\\t".join(f"${{{name}}}" for name in names) + "\\n"
    command = [require_program("dpkg-query"), "-W", "-f", fields]
    shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout  # noqa: ASYNC221
    expected = {tuple(line.split("\t")[1:]) for line in shown.splitlines() if not line.startswith(("not-", "config-"))}
    status = Path("/var/lib/dpkg/status").read_bytes()
    async with LayerPool() as pool:
        facts = await analysed(pool, gz(tar(member("var/lib/dpkg/status", status))))

    assert facts.complete
    assert expected
    assert {
        (p.name, p.version, p.arch, p.source_name, p.source_version) for p in facts.databases[0].packages
    } == expected


async def test_a_child_stands_back_behind_the_web_processes() -> None:
    async with LayerPool() as pool:
        forker = pool.forker

        assert os.getpriority(os.PRIO_PROCESS, forker) > os.getpriority(os.PRIO_PROCESS, 0)
        assert os.getsid(forker) == os.getsid(0)
        assert os.getpgid(forker) == forker
