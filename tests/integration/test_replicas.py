"""Several replicas on PostgreSQL and S3 are one registry: also while one of them is killed again and again.

ENTREPOT_TEST_PUSHES sets the number of pushes; the full count is 500.
"""

import contextlib
import hashlib
import http.client
import json
import os
import random
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final

import pytest

from tests.real.object_store import ObjectStore, S3Server
from tests.real.postgres import Postgres
from tests.real.protocol import Answer, Registry, sha256
from tests.real.replicas import Replicas, running_replicas
from tests.real.server import Server

PUSHES: Final = int(os.environ.get("ENTREPOT_TEST_PUSHES", "40"))
CLIENTS: Final = 4
LAYERS: Final = 2
LAYER_BYTES: Final = 200_000
TRIES: Final = 20
KILL_EVERY_SECONDS: Final = (2.0, 4.0)


class NotNowError(Exception):
    """What a client retries: no answer, or one of 429 and 5xx."""


@dataclass(slots=True)
class Acknowledged:
    """What was answered with 201: blobs by repository and digest, manifests by repository and reference."""

    blobs: dict[tuple[str, str], bytes] = field(default_factory=dict)
    manifests: dict[tuple[str, str], bytes] = field(default_factory=dict)
    retries: int = 0


@pytest.fixture
def pair(tmp_path: Path, postgres: Postgres, moto_server: S3Server) -> Iterator[Replicas]:
    store = ObjectStore(moto_server, moto_server.bucket())
    with running_replicas(tmp_path, postgres, store, count=2) as started:
        yield started


@pytest.mark.timeout(900)
def test_no_acknowledged_push_is_lost_and_every_retry_succeeds_while_replicas_are_killed(pair: Replicas) -> None:
    pair.front.create_project("shop")
    robot = pair.front.create_robot("shop", "ci")
    registry = Registry(pair.front.host, direct=False).as_(robot)
    over = threading.Event()
    began = time.monotonic()
    with ThreadPoolExecutor(CLIENTS + 1) as threads:
        killer = threads.submit(kill_until, over, pair.servers)
        try:
            found = list(threads.map(lambda n: push(registry, f"shop/app-{n % 7}", n), range(PUSHES)))
        finally:
            over.set()
        kills = killer.result()
    seconds = time.monotonic() - began
    acknowledged = merged(found)
    print(
        f"{PUSHES} pushes in {seconds:.0f} s, {kills} kills, {acknowledged.retries} retries; "
        f"acknowledged: {len(acknowledged.blobs)} blobs, {len(acknowledged.manifests)} manifests"
    )

    assert kills >= 1
    assert len({digest for _, digest in acknowledged.manifests}) == PUSHES * 2  # each by its tag and by its digest
    for server in pair.servers:
        assert lost(Registry(server.host).as_(robot), acknowledged) == []


def kill_until(over: threading.Event, servers: list[Server]) -> int:
    """Kills one of *servers* after the other, and starts each again; how often."""
    chance, kills = random.Random(4), 0  # noqa: S311
    while not over.wait(chance.uniform(*KILL_EVERY_SECONDS)):
        server = chance.choice(servers)
        server.kill()
        server.assert_no_process_is_left()
        server.start()
        kills += 1
    return kills


def push(registry: Registry, repository: str, number: int) -> Acknowledged:
    """A push as clients do it: what was answered well is not sent again, everything else is."""
    seen = Acknowledged()
    layers = [hashlib.shake_256(f"{number}/{layer}".encode()).digest(LAYER_BYTES) for layer in range(LAYERS)]
    config = json.dumps({"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": []}}).encode()
    for data in (config, *layers):
        retried(seen, partial(push_blob, registry, repository, data))
        seen.blobs[repository, sha256(data)] = data
    manifest = json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": descriptor("application/vnd.oci.image.config.v1+json", config),
            "layers": [descriptor("application/vnd.oci.image.layer.v1.tar", layer) for layer in layers],
            "annotations": {"number": str(number)},
        }
    ).encode()
    tag = f"v{number}"
    retried(seen, lambda: accepted(registry.put_manifest(repository, tag, manifest), 201))
    seen.manifests[repository, tag] = manifest
    seen.manifests[repository, sha256(manifest)] = manifest
    return seen


def descriptor(media_type: str, data: bytes) -> dict[str, object]:
    return {"mediaType": media_type, "digest": sha256(data), "size": len(data)}


def push_blob(registry: Registry, repository: str, data: bytes) -> None:
    """One blob: HEAD, POST, one PATCH without a length, PUT, each perhaps at another replica."""
    if accepted(registry.ask("HEAD", f"/v2/{repository}/blobs/{sha256(data)}"), 200, 404).status == 200:
        return
    begun = accepted(registry.ask("POST", f"/v2/{repository}/blobs/uploads/", b""), 202)
    added = accepted(registry.ask("PATCH", begun.header("Location"), iter([data])), 202)
    accepted(registry.ask("PUT", f"{added.header('Location')}&digest={sha256(data)}", b""), 201)


def accepted(answer: Answer, *statuses: int) -> Answer:
    # 404 and 416 of an upload whose replica died: it is begun again, as clients do.
    if answer.status in {429, 500, 502, 503, 504} or (answer.status in {404, 416} and answer.status not in statuses):
        raise NotNowError(answer.status, answer.body[:200])
    assert answer.status in statuses, (answer.status, answer.body)
    return answer


def retried(seen: Acknowledged, step: Callable[[], object]) -> None:
    for attempt in range(TRIES):
        try:
            step()
        except (NotNowError, OSError, http.client.HTTPException):
            seen.retries += 1
            time.sleep(0.1 * 2 ** min(attempt, 4))
        else:
            return
    pytest.fail("a plain retry did not succeed")


def merged(found: list[Acknowledged]) -> Acknowledged:
    whole = Acknowledged()
    for each in found:
        whole.blobs |= each.blobs
        whole.manifests |= each.manifests
        whole.retries += each.retries
    return whole


def lost(registry: Registry, acknowledged: Acknowledged) -> list[tuple[str, str]]:
    """What can't be read back, byte for byte."""
    gone = []
    for kind, all_of in (("blobs", acknowledged.blobs), ("manifests", acknowledged.manifests)):
        for (repository, reference), data in all_of.items():
            with contextlib.suppress(OSError):
                if registry.ask("GET", f"/v2/{repository}/{kind}/{reference}").body == data:
                    continue
            gone.append((repository, reference))
    return gone
