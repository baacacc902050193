"""buildah against us: builds that start from an image of ours, and what it pushes."""

import json
from pathlib import Path

import pytest

from tests.integration.conftest import MakeImage, Shop, blobs, entries
from tests.real.clients import Buildah, Skopeo

pytestmark = pytest.mark.xdist_group("client-buildah")


@pytest.fixture
def pusher(shop: Shop, buildah: Buildah) -> Buildah:
    return buildah.signed_in(shop.server.host, shop.developer.login, shop.developer.secret)


@pytest.fixture
def reader(shop: Shop, skopeo: Skopeo) -> Skopeo:
    return skopeo.signed_in(shop.server.host, shop.developer.login, shop.developer.secret)


def test_a_build_in_two_stages_comes_back_with_every_byte(
    shop: Shop, pusher: Buildah, reader: Skopeo, image: MakeImage, tmp_path: Path
) -> None:
    base = image(layers=2)
    reader.copy(base.source, f"docker://{shop.image('base:1.0')}")
    context = tmp_path / "context"
    context.mkdir()
    (context / "hello").write_bytes(b"hello")
    (context / "Containerfile").write_text(
        f"FROM scratch AS one\nCOPY hello /one\nFROM {shop.image('base:1.0')}\nCOPY --from=one /one /two\nENV A=b\n"
    )
    pusher.build(context, shop.image("app:1.0"), "--layers")

    pusher.push(shop.image("app:1.0"), shop.image("app:1.0"), "--digestfile", str(tmp_path / "digest"))
    reader.copy(f"docker://{shop.image('app:1.0')}", f"oci:{tmp_path / 'back'}:it")

    digest = (tmp_path / "digest").read_text()
    manifest = json.loads(blobs(tmp_path / "back")[digest])
    assert shop.get("app/manifests/1.0") == blobs(tmp_path / "back")[digest]
    assert [layer["digest"] for layer in manifest["layers"][:2]] == entries(base)[1:]
    for digest, data in blobs(tmp_path / "back").items():
        if digest in {layer["digest"] for layer in manifest["layers"]}:
            assert shop.get(f"app/blobs/{digest}") == data


def test_from_and_commit_keep_the_layers_of_the_base(
    shop: Shop, pusher: Buildah, reader: Skopeo, image: MakeImage, tmp_path: Path
) -> None:
    base = image()
    reader.copy(base.source, f"docker://{shop.image('base:1.0')}")
    (tmp_path / "file").write_bytes(b"new")

    working = pusher.run("from", "--tls-verify=false", shop.image("base:1.0")).stdout.strip()
    pusher.run("copy", working, str(tmp_path / "file"), "/file")
    pusher.run("commit", working, "localhost/made")
    pusher.push("localhost/made", shop.image("made:1.0"))
    pusher.run("push", "--tls-verify=false", "--format", "v2s2", "localhost/made", f"docker://{shop.image('made:d')}")

    manifests = {tag: json.loads(shop.get(f"made/manifests/{tag}")) for tag in ("1.0", "d")}
    assert [layer["digest"] for layer in manifests["1.0"]["layers"]][:2] == entries(base)[1:]
    assert [layer["digest"] for layer in manifests["d"]["layers"]] == [
        layer["digest"] for layer in manifests["1.0"]["layers"]
    ]
    assert "docker" in manifests["d"]["mediaType"]
    reader.copy(f"docker://{shop.image('made:1.0')}", f"oci:{tmp_path / 'back'}:it")
    assert blobs(tmp_path / "back").keys() >= set(entries(base)[1:])


def test_an_index_of_two_builds_is_pushed_whole(shop: Shop, pusher: Buildah, tmp_path: Path) -> None:
    (tmp_path / "Containerfile").write_text("FROM scratch\nCOPY hello /hello\n")
    (tmp_path / "hello").write_bytes(b"hello")
    for architecture in ("amd64", "arm64"):
        plain = ("--isolation", "chroot", "--manifest", "localhost/multi", "--platform", f"linux/{architecture}")
        pusher.run("build", *plain, str(tmp_path))

    target = f"docker://{shop.image('web:multi')}"
    pusher.run("manifest", "push", "--all", "--tls-verify=false", "localhost/multi", target)

    children = json.loads(shop.get("web/manifests/multi"))["manifests"]
    assert [each["platform"]["architecture"] for each in children] == ["amd64", "arm64"]
    for child in children:
        manifest = json.loads(shop.get(f"web/manifests/{child['digest']}"))
        assert shop.get(f"web/blobs/{manifest['config']['digest']}")
