"""skopeo against us: what goes in comes out with the same digests and bytes, and refusals are told."""

import json
from pathlib import Path

import pytest

from tests.integration.conftest import MakeImage, Shop, blobs, entries
from tests.real.clients import Skopeo

pytestmark = pytest.mark.xdist_group("client-skopeo")


@pytest.fixture
def pusher(shop: Shop, skopeo: Skopeo) -> Skopeo:
    return skopeo.signed_in(shop.server.host, shop.developer.login, shop.developer.secret)


@pytest.fixture
def admin(shop: Shop, skopeo: Skopeo) -> Skopeo:
    token = shop.server.api("POST", "/auth/tokens", {"name": f"for-{shop.name}"})["token"]
    return skopeo.signed_in(shop.server.host, "admin", token)


def test_copy_gives_back_every_byte_of_an_image(shop: Shop, pusher: Skopeo, image: MakeImage, tmp_path: Path) -> None:
    layout = image(layers=5)

    pusher.copy(layout.source, f"docker://{shop.image('web:1.0')}")
    pusher.copy(f"docker://{shop.image('web:1.0')}", f"oci:{tmp_path / 'back'}:it")

    assert blobs(tmp_path / "back") == blobs(layout.folder)
    assert shop.get("web/manifests/1.0") == blobs(layout.folder)[layout.digest]


def test_copy_all_gives_back_an_index_with_every_platform(
    shop: Shop, pusher: Skopeo, image: MakeImage, tmp_path: Path
) -> None:
    layout = image("amd64", "arm64", "riscv64")

    pusher.copy(layout.source, f"docker://{shop.image('web:multi')}", "--all")
    pusher.copy(f"docker://{shop.image('web:multi')}", f"oci:{tmp_path / 'back'}:it", "--all")
    pusher.copy(
        f"docker://{shop.image(f'web@{entries(layout)[1]}')}", f"oci:{tmp_path / 'one'}:it", "--preserve-digests"
    )

    assert len(entries(layout)) == 3
    assert blobs(tmp_path / "back") == blobs(layout.folder)
    assert pusher.manifest(f"docker://{shop.image('web:multi')}") == blobs(layout.folder)[layout.digest]
    assert entries(layout)[1] in blobs(tmp_path / "one")


def test_a_repeated_copy_sends_no_blob_again(shop: Shop, pusher: Skopeo, image: MakeImage) -> None:
    layout = image()
    pusher.copy(layout.source, f"docker://{shop.image('web:1.0')}")

    again = pusher.copy(layout.source, f"docker://{shop.image('web:2.0')}", "--debug")

    assert again.stderr.count("... already exists") == 3, again.stderr
    assert "Uploading /v2/" not in again.stderr
    assert shop.get("web/manifests/2.0") == blobs(layout.folder)[layout.digest]


def test_copy_between_repositories_mounts_what_is_here(shop: Shop, pusher: Skopeo, image: MakeImage) -> None:
    layout = image()
    pusher.copy(layout.source, f"docker://{shop.image('base:1.0')}")

    done = pusher.copy(f"docker://{shop.image('base:1.0')}", f"docker://{shop.image('app:1.0')}", "--debug")

    assert done.stderr.count("... mount OK") == 2, done.stderr
    assert done.stderr.count("Uploading /v2/") == 1, "skopeo mounts layers, and sends the config"
    assert shop.get("app/manifests/1.0") == blobs(layout.folder)[layout.digest]
    for digest in entries(layout):
        assert shop.get(f"app/blobs/{digest}") == blobs(layout.folder)[digest]


def test_docker_schema_2_is_kept_as_it_was_pushed(shop: Shop, pusher: Skopeo, image: MakeImage, tmp_path: Path) -> None:
    layout = image()

    pusher.copy(layout.source, f"docker://{shop.image('web:v2s2')}", "--format", "v2s2")
    pusher.copy(f"docker://{shop.image('web:v2s2')}", f"dir:{tmp_path / 'back'}")

    manifest = (tmp_path / "back/manifest.json").read_bytes()
    assert json.loads(manifest)["mediaType"] == "application/vnd.docker.distribution.manifest.v2+json"
    assert shop.get("web/manifests/v2s2") == manifest
    for layer in json.loads(manifest)["layers"]:
        assert (tmp_path / "back" / layer["digest"].removeprefix("sha256:")).read_bytes() == blobs(layout.folder)[
            layer["digest"]
        ]


def test_layers_that_skopeo_compresses_with_zstd_come_back(
    shop: Shop, pusher: Skopeo, image: MakeImage, tmp_path: Path
) -> None:
    zstd = ("--dest-compress-format", "zstd", "--dest-compress-level", "3")
    pusher.copy(image().source, f"oci:{tmp_path / 'zstd'}:it", "--dest-decompress")
    pusher.copy(f"oci:{tmp_path / 'zstd'}:it", f"docker://{shop.image('web:zstd')}", *zstd)

    pusher.copy(f"docker://{shop.image('web:zstd')}", f"oci:{tmp_path / 'back'}:it")

    manifest = json.loads(shop.get("web/manifests/zstd"))
    assert {layer["mediaType"].rpartition("+")[2] for layer in manifest["layers"]} == {"zstd"}
    for layer in manifest["layers"]:
        assert blobs(tmp_path / "back")[layer["digest"]][:4] == b"\x28\xb5\x2f\xfd"


def test_inspect_and_list_tags_see_what_is_here(shop: Shop, pusher: Skopeo, image: MakeImage) -> None:
    layout = image()
    for tag in ("b", "a", "C", "1.0"):
        pusher.copy(layout.source, f"docker://{shop.image(f'web:{tag}')}")

    seen = json.loads(pusher.run("inspect", "--tls-verify=false", f"docker://{shop.image('web:a')}").stdout)
    listed = json.loads(pusher.run("list-tags", "--tls-verify=false", f"docker://{shop.image('web')}").stdout)
    config = pusher.run("inspect", "--tls-verify=false", "--config", "--raw", f"docker://{shop.image('web:a')}")

    assert seen["Digest"] == layout.digest
    assert seen["Layers"] == entries(layout)[1:]
    assert listed["Tags"] == seen["RepoTags"] == ["1.0", "C", "a", "b"]
    assert config.stdout.encode() == blobs(layout.folder)[entries(layout)[0]]


def test_sync_takes_a_whole_repository_out_and_in_again(
    shop: Shop, pusher: Skopeo, image: MakeImage, tmp_path: Path
) -> None:
    layouts = {"1.0": image(), "2.0": image("amd64", "arm64")}
    for tag, layout in layouts.items():
        pusher.copy(layout.source, f"docker://{shop.image(f'web:{tag}')}", "--all")
    plain = ("sync", "--all", "--src-tls-verify=false", "--dest-tls-verify=false")

    pusher.run(*plain, "--src", "docker", "--dest", "dir", shop.image("web"), str(tmp_path / "out"))
    pusher.run(*plain, "--src", "dir", "--dest", "docker", str(tmp_path / "out"), shop.image("mirror"))

    listed = json.loads(pusher.run("list-tags", "--tls-verify=false", f"docker://{shop.image('mirror/web')}").stdout)
    assert listed["Tags"] == ["1.0", "2.0"]
    for tag, layout in layouts.items():
        assert shop.get(f"mirror/web/manifests/{tag}") == blobs(layout.folder)[layout.digest]


def test_delete_removes_the_manifest_with_its_tags(shop: Shop, pusher: Skopeo, admin: Skopeo, image: MakeImage) -> None:
    gone, kept = image(), image()
    for tag, layout in {"1.0": gone, "same": gone, "kept": kept}.items():
        pusher.copy(layout.source, f"docker://{shop.image(f'web:{tag}')}")

    by_robot = pusher.run("delete", "--tls-verify=false", f"docker://{shop.image('web:1.0')}", check=False)
    admin.run("delete", "--tls-verify=false", f"docker://{shop.image('web:1.0')}")

    listed = json.loads(pusher.run("list-tags", "--tls-verify=false", f"docker://{shop.image('web')}").stdout)
    after = pusher.run("inspect", "--tls-verify=false", f"docker://{shop.image('web:same')}", check=False)
    assert by_robot.returncode != 0
    assert listed["Tags"] == ["kept"]
    assert "manifest unknown" in after.stderr
    pusher.copy(gone.source, f"docker://{shop.image('web:1.0')}")
    assert shop.get("web/manifests/1.0") == blobs(gone.folder)[gone.digest]


def test_a_refused_push_tells_why_and_leaves_nothing(shop: Shop, skopeo: Skopeo, image: MakeImage) -> None:
    layout = image()
    viewer = skopeo.signed_in(shop.server.host, shop.viewer.login, shop.viewer.secret)
    wrong = skopeo.signed_in(shop.server.host, shop.developer.login, "wrong")

    refused = {
        name: client.copy(layout.source, f"docker://{shop.image('web:1.0')}", check=False)
        for name, client in {"nobody": skopeo, "wrong": wrong, "viewer": viewer}.items()
    }

    assert {name: done.returncode for name, done in refused.items()} == {"nobody": 1, "wrong": 1, "viewer": 1}
    assert "403 (Forbidden)" in refused["nobody"].stderr, "a push begins with HEAD, which has no text"
    assert "invalid username/password" in refused["wrong"].stderr
    assert "denied" in refused["viewer"].stderr
    assert shop.status("web/tags/list") == 404


def test_an_image_of_many_layers_at_once(shop: Shop, pusher: Skopeo, image: MakeImage, tmp_path: Path) -> None:
    """skopeo moves six at a time; one above 5 MiB, some of a few bytes."""
    layout = image(layers=40, size=9_000)

    pusher.copy(layout.source, f"docker://{shop.image('web:many')}")
    pusher.copy(f"docker://{shop.image('web:many')}", f"oci:{tmp_path / 'back'}:it")

    assert blobs(tmp_path / "back") == blobs(layout.folder)
