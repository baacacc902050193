"""A server whose bytes lie in a bucket: real clients push, pull and get their scan; nothing of them is on the disk."""

import json
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import urllib3

from entrepot.cli.demo.build import File, image, layer, write_layout
from entrepot.content.backends.object_store import ObjectBlobs
from entrepot.content.settings import Storage
from entrepot.errors import InvalidError
from entrepot.runtime.secret import Secret
from entrepot.settings import Settings
from entrepot.wiring import foundation
from tests.real.clients import Skopeo
from tests.real.object_store import ObjectStore, S3Server
from tests.real.protocol import Registry, basic, sha256
from tests.real.server import JOB_SECONDS, Server, new_server, running

APK = b"P:musl\nV:1.2.4-r2\nA:x86_64\no:musl\n\n"
RELEASE = b'ID=alpine\nVERSION_ID=3.19.0\nPRETTY_NAME="Alpine"\n'

pytestmark = pytest.mark.xdist_group("object-store-serve")


@dataclass(frozen=True, slots=True)
class Stack:
    """A server with the project `demo`, the bucket below it, and a robot that pushes and pulls."""

    server: Server
    store: ObjectStore
    registry: Registry


@pytest.fixture(scope="module", params=["moto", "rclone"])
def stack(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A server on a bucket of each S3 server. Clients on this machine fetch large blobs themselves if they ask so."""
    below = request.getfixturevalue(f"{request.param}_server")
    store = ObjectStore(below, below.bucket())
    server = new_server(tmp_path_factory.mktemp("server"))
    server.environment = {**server.environment, "ENTREPOT_STORAGE__URL": store.url, **store.environment}
    with running(server) as started:
        started.create_project("demo")
        credential = started.create_robot("demo", "ci")
        yield Stack(started, store, Registry(started.host, basic(credential.login, credential.secret)))


def test_skopeo_pushes_and_pulls_and_the_image_is_scanned(stack: Stack, skopeo: Skopeo, tmp_path: Path) -> None:
    server = stack.server
    built = image([layer({"lib/apk/db/installed": File(APK), "etc/os-release": File(RELEASE)}, step="ADD rootfs")])
    write_layout(tmp_path / "layout", {"1.0": built})
    client = skopeo.signed_in(server.host, server.admin.login, server.admin.secret)
    reference = f"docker://{server.host}/demo/app:1.0"

    client.copy(f"oci:{tmp_path}/layout:1.0", reference)
    client.copy(reference, f"oci:{tmp_path}/pulled:1.0")

    assert client.manifest(reference) == built.manifest.data
    assert server.wait_for_scan("demo/app", "1.0")["status"] in {"partial", "complete"}  # the latter with a feed
    scratch = server.data / "scratch"
    server.wait_until("nothing is left in the scratch folder", lambda: not list(scratch.iterdir()), JOB_SECONDS)
    assert not (server.data / "blobs").exists()


def test_a_large_blob_comes_back_whole_and_in_part(stack: Stack) -> None:
    data = bytes(range(256)) * (1 << 14) * 5 + b"and an odd end"
    registry = stack.registry
    url = f"/v2/demo/app/blobs/{registry.push_blob('demo/app', data)}"

    assert registry.ask("GET", url).body == data
    part = registry.ask("GET", url, headers={"Range": "bytes=5000000-15000000"})
    assert (part.status, part.body) == (206, data[5_000_000:15_000_001])
    assert registry.ask("HEAD", url).header("Content-Length") == str(len(data))


def test_a_feed_lies_in_the_bucket_until_it_is_in_force(stack: Stack, tmp_path: Path) -> None:
    server, feed = stack.server, tmp_path / "feed"
    feed.write_bytes(Path("tests/data/feeds/alpine-3.19-main.jsonl.zst").read_bytes())

    server.import_feed("alpine", feed)

    assert not (server.data / "incoming").exists()


async def test_a_blob_whose_object_is_gone_is_404_and_a_plain_push_heals_it(
    stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in stack.store.environment.items():
        monkeypatch.setenv(name, value)
    registry = stack.registry
    data = bytes(2 << 20)
    url = f"/v2/demo/app/blobs/{registry.push_blob('demo/app', data)}"
    store = ObjectBlobs.at(stack.store.url, tmp_path)
    await store.delete([copy.key async for copy in store.copies()])

    refused = registry.ask("GET", url)
    registry.push_blob("demo/app", data)

    assert refused.refusal == (404, "BLOB_UNKNOWN")
    assert registry.ask("HEAD", url).status == 200
    assert registry.ask("GET", url).body == data


def test_chunks_that_come_one_by_one_are_one_blob(stack: Stack) -> None:
    registry = stack.registry
    data = bytes(range(251)) * 100_000
    location = registry.begin("demo/app")
    for start in range(0, len(data), 6 << 20):
        piece = data[start : start + (6 << 20)]
        added = registry.ask("PATCH", location, piece, {"Content-Range": f"{start}-{start + len(piece) - 1}"})
        assert (added.status, added.header("Range")) == (202, f"0-{start + len(piece) - 1}")
        location = added.header("Location")

    ended = registry.ask("PUT", f"{location}&digest={sha256(data)}")

    assert ended.status == 201
    assert registry.ask("GET", ended.header("Location")).body == data


def test_a_client_that_hangs_up_early_ends_the_reading_too(stack: Stack) -> None:
    """containerd asks for `bytes=N-`, takes its chunk and hangs up."""
    registry = stack.registry
    size = 48 << 20
    digest = registry.push_blob("demo/app", bytes(size))
    request = f"GET /v2/demo/app/blobs/{digest} HTTP/1.1\r\nHost: {stack.server.host}\r\nAuthorization: "
    with socket.create_connection(("127.0.0.1", stack.server.port), timeout=20) as raw:
        raw.sendall(f"{request}{registry.authorization}\r\nRange: bytes=100-\r\n\r\n".encode())
        assert raw.recv(65536).startswith(b"HTTP/1.1 206")

    stack.server.wait_until("the request is over", lambda: bool(sent_of(stack.server, digest)), 20)
    assert sent_of(stack.server, digest)[0] < size // 2


def sent_of(server: Server, digest: str) -> list[int]:
    """Bytes sent of the blob, by each GET that is over."""
    lines = [json.loads(line) for line in server.log.read_text().splitlines() if digest in line]
    return [line["sent"] for line in lines if line.get("method") == "GET"]


def test_a_client_of_a_named_network_is_sent_to_the_store_for_large_blobs(
    moto_server: S3Server, tmp_path: Path
) -> None:
    store = ObjectStore(moto_server, moto_server.bucket())
    server = new_server(tmp_path / "server")
    server.environment = {
        **server.environment,
        **store.environment,
        "ENTREPOT_STORAGE__URL": store.url,
        "ENTREPOT_STORAGE__REDIRECT": "127.0.0.0/8",
        "ENTREPOT_SERVER__EXTERNAL_URL": f"http://localhost:{server.port}",
    }
    with running(server) as started:
        started.create_project("demo")
        credential = started.create_robot("demo", "ci")
        registry = Registry(started.host, basic(credential.login, credential.secret))
        large, small = bytes(1 << 20), bytes((1 << 20) - 1)
        urls = [f"/v2/demo/app/blobs/{registry.push_blob('demo/app', data)}" for data in (large, small)]
        sent, kept, head = registry.ask("GET", urls[0]), registry.ask("GET", urls[1]), registry.ask("HEAD", urls[0])
        fetched = urllib3.request("GET", sent.header("Location"), retries=False)

    assert (sent.status, sent.body) == (307, b"")
    assert sent.header("Location").startswith(moto_server.endpoint)
    assert "Expires=300" in sent.header("Location")
    assert fetched.data == large
    assert (kept.status, kept.body) == (200, small)
    assert (head.status, head.header("Content-Length")) == (200, str(len(large)))


def test_a_store_at_the_registry_s_own_host_gets_no_clients(tmp_path: Path) -> None:
    """They would send their credentials along, and S3 refuses a request with two."""
    url = Secret("s3://bucket?endpoint=http://127.0.0.1:9000&region=x&allow_http=true")
    settings = Settings(data=tmp_path, storage=Storage(url=url, redirect="10.0.0.0/8"))
    with pytest.raises(InvalidError) as refused:
        foundation(settings)

    assert refused.value.field == "storage.redirect"
