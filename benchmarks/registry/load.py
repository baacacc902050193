"""The load: functions that run in a process of their own, so that the CPU they use is counted apart.

Small answers are asked for by wrk where it is installed; all else by threads on blocking sockets, which spend their
time in the kernel. Each function ends with an Outcome, or raises: a round that errs is void.
"""

import itertools
import json
import resource
import select
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.registry.content import MANIFEST, Blob, Image
from benchmarks.registry.http1 import Address, Connection, HttpError
from benchmarks.registry.servers import Access, push_blob, push_manifest

WRK: Final = "wrk"
SCRIPT: Final = Path(__file__).parent / "wrk.lua"
WRK_THREADS: Final = 2
HEAD_END: Final = b"\r\n\r\n"
SELECT_SECONDS: Final = 30


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a load did: in *seconds*, *done* requests, images or pages with *sent_or_received* bytes of bodies.

    latencies_ms: `p50`, `p95`, `p99` of one request, image or page. client_cpu: seconds.
    """

    seconds: float
    done: int
    sent_or_received: int
    latencies_ms: Mapping[str, float]
    client_cpu: float


@dataclass(frozen=True, slots=True)
class Requests:
    """The same small request again and again on each of *connections*."""

    address: Address
    method: str
    target: str
    headers: Mapping[str, str]
    connections: int
    seconds: float


def repeat(job: Requests) -> Outcome:
    """As many requests as the time allows: by wrk, which can't do HEAD, or by one thread with epoll."""
    if job.method == "GET" and shutil.which(WRK):
        return _wrk(job)
    return _epoll(job)


def _wrk(job: Requests) -> Outcome:
    before = _cpu(resource.RUSAGE_CHILDREN)
    headers = [part for name, value in job.headers.items() if value for part in ("-H", f"{name}: {value}")]
    options = ["-t", str(WRK_THREADS), "-c", str(job.connections), "-d", f"{max(1, round(job.seconds))}s"]
    command = [WRK, *options, "-s", str(SCRIPT), *headers, f"http://{job.address}{job.target}"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found = json.loads(done.stdout.splitlines()[-1])
    if found["errors"] or not found["requests"]:
        raise HttpError(f"wrk: {found['errors']} errors in {found['requests']} requests of {job.target}")
    latencies = {name: found[name] / 1000 for name in ("p50", "p95", "p99")}
    cpu = _cpu(resource.RUSAGE_CHILDREN) - before
    return Outcome(found["microseconds"] / 1e6, found["requests"], found["bytes"], latencies, cpu)


def _epoll(job: Requests) -> Outcome:
    """One thread: a request goes out on a connection as soon as the answer to the one before is whole."""
    lines = [f"{job.method} {job.target} HTTP/1.1", f"Host: {job.address}"]
    lines += [f"{name}: {value}" for name, value in job.headers.items() if value]
    request = "\r\n".join(lines).encode() + HEAD_END
    before, latencies, received = _cpu(), list[float](), 0
    poll, sockets, begun, answers = select.epoll(), dict[int, socket.socket](), dict[int, float](), dict[int, bytes]()
    for _ in range(job.connections):
        one = socket.create_connection((job.address.host, job.address.port))
        one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sockets[one.fileno()], answers[one.fileno()] = one, b""
        poll.register(one, select.EPOLLIN)
    started = time.perf_counter()
    deadline = started + job.seconds
    for number, one in sockets.items():
        begun[number] = time.perf_counter()
        one.sendall(request)
    while begun:
        ready = poll.poll(SELECT_SECONDS)
        if not ready:
            raise HttpError(f"{job.method} {job.target}: no answer in {SELECT_SECONDS} s")
        for number, _ in ready:
            data = answers[number] + sockets[number].recv(65536)
            if data == answers[number]:
                raise HttpError(f"{job.method} {job.target}: the server hung up")
            if (size := _whole(data, job.method)) is None:
                answers[number] = data
                continue
            now = time.perf_counter()
            latencies.append(now - begun.pop(number))
            received += size
            answers[number] = b""
            if now < deadline:
                begun[number] = now
                sockets[number].sendall(request)
    seconds = time.perf_counter() - started
    for one in sockets.values():
        one.close()
    return Outcome(seconds, len(latencies), received, _percentiles(latencies), _cpu() - before)


def _whole(data: bytes, method: str) -> int | None:
    """The length of the body if *data* is a whole answer with status 200, else None. Raises HttpError."""
    end = data.find(HEAD_END)
    if end < 0:
        return None
    if not data.startswith(b"HTTP/1.1 200"):
        raise HttpError(f"{method}: {data[:100]!r}")
    if method == "HEAD":
        return 0
    head = data[:end].lower()
    at = head.find(b"\r\ncontent-length:")
    if at < 0:
        raise HttpError("an answer without a length")
    length = int(head[at + 17 :].split(b"\r\n", 1)[0])
    return length if len(data) >= end + 4 + length else None


@dataclass(frozen=True, slots=True)
class Downloads:
    """Bodies of *targets*, each (path, value of Range, status, length), one after the other on each of *threads*."""

    address: Address
    authorization: str
    targets: Sequence[tuple[str, str, int, int]]
    threads: int
    seconds: float


def download(job: Downloads) -> Outcome:
    """As many bodies as the time allows, each read whole; at least one per thread."""

    def work(number: int, deadline: float) -> Iterator[tuple[float, int]]:
        with Connection(job.address) as connection:
            for index in itertools.count(number):
                target, wanted, status, length = job.targets[index % len(job.targets)]
                started = time.perf_counter()
                headers = {"Authorization": job.authorization, "Range": wanted}
                answer = connection.expect(status, "GET", target, headers)
                if answer.length != length:
                    raise HttpError(f"{target}: {answer.length} bytes, not {length}")
                yield time.perf_counter() - started, answer.length
                if time.perf_counter() > deadline:
                    return

    return _threads(job.threads, job.seconds, work)


@dataclass(frozen=True, slots=True)
class Uploads:
    """*blobs* that go into *repository*, on *threads* connections that share them out."""

    access: Access
    repository: str
    blobs: Sequence[Blob]
    threads: int


def upload(job: Uploads) -> Outcome:
    """Each blob by POST and PUT; the token is got before the clock starts."""
    with Connection(job.access.address) as connection:
        authorization = job.access.authorization(connection, f"repository:{job.repository}:pull,push")

    def work(number: int, _deadline: float) -> Iterator[tuple[float, int]]:
        with Connection(job.access.address) as connection:
            for blob in job.blobs[number :: job.threads]:
                started = time.perf_counter()
                push_blob(connection, authorization, job.repository, blob)
                yield time.perf_counter() - started, blob.size

    return _threads(job.threads, 0, work)


@dataclass(frozen=True, slots=True)
class Images:
    """*images*, one or more for each of *clients*; client n pushes to, or pulls from, `<repository>-n`."""

    access: Access
    repository: str
    images: Sequence[Image]
    clients: int


def push_images(job: Images) -> Outcome:
    """Whole pushes as a client does them: token, HEAD, POST and PUT for each blob in turn, then the manifest."""

    def work(number: int, _deadline: float) -> Iterator[tuple[float, int]]:
        name = f"{job.repository}-{number}"
        for image in job.images[number :: job.clients]:
            started = time.perf_counter()
            with Connection(job.access.address) as connection:
                authorization = job.access.authorization(connection, f"repository:{name}:pull,push")
                for blob in image.blobs:
                    found = connection.ask("HEAD", f"/v2/{name}/blobs/{blob.digest}", {"Authorization": authorization})
                    if found.status != 404:
                        raise HttpError(f"HEAD of a blob that is not there: {found.status}")
                    push_blob(connection, authorization, name, blob)
                push_manifest(connection, authorization, name, image.digest[7:19], image)
            yield time.perf_counter() - started, image.size

    return _threads(job.clients, 0, work)


def pull_images(job: Images) -> Outcome:
    """Whole pulls: token, manifest by tag, then each blob in turn."""

    def work(number: int, _deadline: float) -> Iterator[tuple[float, int]]:
        name = f"{job.repository}-{number}"
        for image in job.images[number :: job.clients]:
            started = time.perf_counter()
            with Connection(job.access.address) as connection:
                authorization = job.access.authorization(connection, f"repository:{name}:pull")
                headers = {"Authorization": authorization, "Accept": MANIFEST}
                target = f"/v2/{name}/manifests/{image.digest[7:19]}"
                received = connection.expect(200, "GET", target, headers).length
                for blob in image.blobs:
                    received += connection.expect(200, "GET", f"/v2/{name}/blobs/{blob.digest}", headers).length
            if received != image.size:
                raise HttpError(f"{target}: {received} bytes, not {image.size}")
            yield time.perf_counter() - started, received

    return _threads(job.clients, 0, work)


@dataclass(frozen=True, slots=True)
class Pages:
    """Pages of tags, behind each of *lasts* in turn, for at most *seconds* but five at least."""

    access: Access
    repository: str
    lasts: Sequence[str]
    size: int
    seconds: float


def list_pages(job: Pages) -> Outcome:
    """One connection asks for page after page."""

    def work(_number: int, deadline: float) -> Iterator[tuple[float, int]]:
        with Connection(job.access.address) as connection:
            authorization = job.access.authorization(connection, f"repository:{job.repository}:pull")
            for index, last in enumerate(job.lasts):
                target = f"/v2/{job.repository}/tags/list?n={job.size}&last={last}"
                started = time.perf_counter()
                answer = connection.expect(200, "GET", target, {"Authorization": authorization})
                yield time.perf_counter() - started, answer.length
                if index >= 4 and time.perf_counter() > deadline:
                    return

    return _threads(1, job.seconds, work)


def _threads(count: int, seconds: float, work: Callable[[int, float], Iterator[tuple[float, int]]]) -> Outcome:
    """Runs *work* in *count* threads that start together. Raises what the first of them raised."""
    results: list[tuple[float, int]] = []
    failures: list[BaseException] = []
    gate = threading.Barrier(count + 1)
    clock = [0.0]

    def run(number: int) -> None:
        try:
            gate.wait()
            results.extend(work(number, clock[0] + seconds))
        except Exception as failure:  # noqa: BLE001  it is raised below, in the caller's thread
            failures.append(failure)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    before = _cpu()
    clock[0] = started = time.perf_counter()
    gate.wait()
    for thread in threads:
        thread.join()
    taken = time.perf_counter() - started
    if failures:
        raise failures[0]
    latencies = [latency for latency, _ in results]
    return Outcome(taken, len(results), sum(size for _, size in results), _percentiles(latencies), _cpu() - before)


def _cpu(whose: int = resource.RUSAGE_SELF) -> float:
    usage = resource.getrusage(whose)
    return usage.ru_utime + usage.ru_stime


def _percentiles(latencies: Sequence[float]) -> dict[str, float]:
    ordered = sorted(latencies)
    last = len(ordered) - 1
    return {f"p{share}": ordered[round(last * share / 100)] * 1000 for share in (50, 95, 99)}
