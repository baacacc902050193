"""A server whose bytes lie in a bucket: real clients push, pull and get their scan; nothing of them is on the disk."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from entrepot.content.backends.object_store import ObjectBlobs
from entrepot.cli.demo.build import File, image, layer, write_layout
from tests.real.clients import Skopeo
from tests.real.object_store import ObjectStore
from tests.real.protocol import Registry, basic, sha256
from tests.real.server import Server, new_server, running

APK = b"P:musl\nV:1.2.4-r2\nA:x86_64\no:musl\n\n"
RELEASE = b'ID=alpine\nVERSION_ID=3.19.0\nPRETTY_NAME="Alpine"\n'


@pytest.fixture
def server(tmp_path: Path, s3: ObjectStore) -> Iterator[Server]:
    """A server on the bucket."""
    environment = {"ENTREPOT_STORAGE__URL": s3.url, **s3.environment}
    with running(new_server(tmp_path / "server", **environment)) as started:
        yield started


def robot(server: Server) -> Registry:
    credential = server.create_robot("demo", "ci")
    return Registry(server.host, basic(credential.login, credential.secret))


def test_skopeo_pushes_and_pulls_and_the_image_is_scanned(server: Server, skopeo: Skopeo, tmp_path: Path) -> None:
    server.create_project("demo")
    built = image([layer({"lib/apk/db/installed": File(APK), "etc/os-release": File(RELEASE)}, step="ADD rootfs")])
    write_layout(tmp_path / "layout", {"1.0": built})
    client = skopeo.signed_in(server.host, server.admin.login, server.admin.secret)
    reference = f"docker://{server.host}/demo/app:1.0"

    client.copy(f"oci:{tmp_path}/layout:1.0", reference)
    client.copy(reference, f"oci:{tmp_path}/pulled:1.0")

    assert client.manifest(reference) == built.manifest.data
    assert server.wait_for_scan("demo/app", "1.0")["reasons"] == ["no_feed:alpine:3.19"]
    assert not list((server.data / "scratch").iterdir())
    assert not (server.data / "blobs").exists()


def test_a_large_blob_comes_back_whole_and_in_part(server: Server) -> None:
    server.create_project("demo")
    data = bytes(range(256)) * (1 << 14) * 5 + b"and an odd end"
    registry = robot(server)
    url = f"/v2/demo/app/blobs/{registry.push_blob('demo/app', data)}"

    assert registry.ask("GET", url).body == data
    part = registry.ask("GET", url, headers={"Range": "bytes=5000000-15000000"})
    assert (part.status, part.body) == (206, data[5_000_000:15_000_001])
    assert registry.ask("HEAD", url).header("Content-Length") == str(len(data))


def test_a_feed_lies_in_the_bucket_until_it_is_in_force(server: Server, tmp_path: Path) -> None:
    feed = tmp_path / "feed"
    feed.write_bytes(Path("tests/data/feeds/alpine-3.19-main.jsonl.zst").read_bytes())

    server.import_feed("alpine", feed)

    assert not (server.data / "incoming").exists()


@pytest.mark.usefixtures("s3_environment")
async def test_a_blob_whose_object_is_gone_is_404_and_a_plain_push_heals_it(
    server: Server, s3: ObjectStore, tmp_path: Path
) -> None:
    server.create_project("demo")
    registry = robot(server)
    data = bytes(2 << 20)
    url = f"/v2/demo/app/blobs/{registry.push_blob('demo/app', data)}"
    store = ObjectBlobs.at(s3.url, tmp_path)
    await store.delete([copy.key async for copy in store.copies()])

    refused = registry.ask("GET", url)
    registry.push_blob("demo/app", data)

    assert refused.refusal == (404, "BLOB_UNKNOWN")
    assert registry.ask("HEAD", url).status == 200
    assert registry.ask("GET", url).body == data


def test_chunks_that_come_one_by_one_are_one_blob(server: Server) -> None:
    server.create_project("demo")
    registry = robot(server)
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
