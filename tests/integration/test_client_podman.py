"""podman against us: login, build, push, pull, indexes, and what its user reads when something is refused."""

import json
import re
from pathlib import Path

import pytest

from tests.integration.conftest import MakeImage, Shop, blobs, entries
from tests.real.clients import Podman, Skopeo
from tests.real.server import Credential

pytestmark = pytest.mark.xdist_group("client-podman")

CONTAINERFILE = 'FROM {base}\nCOPY hello /srv/hello\nLABEL made=here\nENTRYPOINT ["/srv/hello"]\n'


@pytest.fixture
def pusher(shop: Shop, podman: Podman) -> Podman:
    return podman.signed_in(shop.server.host, shop.developer.login, shop.developer.secret)


def login(client: Podman, shop: Shop, who: Credential, secret: str = "") -> str:
    """What `podman login` printed."""
    given = ("--username", who.login, "--password", secret or who.secret)
    done = client.run("login", "--tls-verify=false", *given, shop.server.host, check=False)
    return done.stdout + done.stderr


def test_login_lets_push_and_logout_ends_it(shop: Shop, podman: Podman, image: MakeImage) -> None:
    layout = image()
    local = podman.run("pull", "--quiet", layout.source).stdout.strip()

    before = podman.push(local, shop.image("web:1.0"), check=False)
    wrong = login(podman, shop, shop.developer, secret="wrong")
    signed_in = login(podman, shop, shop.developer)
    podman.push(local, shop.image("web:1.0"))
    podman.run("logout", shop.server.host)
    after = podman.pull(shop.image("web:1.0"), check=False)

    assert before.returncode != 0
    assert "403 (Forbidden)" in before.stderr, "a push begins with HEAD, which has no text"
    assert "invalid username/password" in wrong
    assert "Login Succeeded!" in signed_in
    assert after.returncode != 0
    assert "log in first (docker login" in after.stderr


def test_an_image_that_podman_builds_can_be_pulled_with_the_same_digest(
    shop: Shop, pusher: Podman, tmp_path: Path
) -> None:
    (tmp_path / "Containerfile").write_text(CONTAINERFILE.format(base="scratch"))
    (tmp_path / "hello").write_bytes(b"#!/bin/sh\necho hello\n" * 1000)
    pusher.run("build", "--isolation", "chroot", "--tag", shop.image("web:1.0"), str(tmp_path))

    pusher.push(shop.image("web:1.0"), shop.image("web:1.0"), "--digestfile", str(tmp_path / "digest"))
    pusher.run("rmi", "--all", "--force")
    pusher.pull(shop.image("web:1.0"))

    manifest = json.loads(shop.get("web/manifests/1.0"))
    seen = json.loads(pusher.run("image", "inspect", shop.image("web:1.0")).stdout)[0]
    assert seen["Digest"] == (tmp_path / "digest").read_text() == pusher.digest(shop.image("web:1.0"))
    assert f"sha256:{seen['Id']}" == manifest["config"]["digest"]
    assert seen["Config"]["Labels"]["made"] == "here"
    assert shop.get(f"web/manifests/{seen['Digest']}") == shop.get("web/manifests/1.0")


def test_a_build_on_an_image_of_ours_mounts_its_layers(
    shop: Shop, pusher: Podman, skopeo: Skopeo, image: MakeImage, tmp_path: Path
) -> None:
    base = image(layers=3)
    skopeo.signed_in(shop.server.host, shop.developer.login, shop.developer.secret).copy(
        base.source, f"docker://{shop.image('base:1.0')}"
    )
    (tmp_path / "context").mkdir()
    (tmp_path / "context/Containerfile").write_text(CONTAINERFILE.format(base=shop.image("base:1.0")))
    (tmp_path / "context/hello").write_bytes(b"hello")
    build = ("build", "--isolation", "chroot", "--tls-verify=false", "--tag", shop.image("app:1.0"))
    pusher.run(*build, str(tmp_path / "context"))

    pushed = pusher.run("--log-level=debug", "push", "--tls-verify=false", shop.image("app:1.0"))

    layers = [layer["digest"] for layer in json.loads(shop.get("app/manifests/1.0"))["layers"]]
    assert layers[:3] == entries(base)[1:]
    assert len(layers) == 4
    assert pushed.stderr.count("... mount OK") == 3, pushed.stderr[-5000:]
    for digest in layers[:3]:
        assert shop.get(f"app/blobs/{digest}") == blobs(base.folder)[digest]


def test_manifest_push_brings_an_index_with_all_its_images(shop: Shop, pusher: Podman, image: MakeImage) -> None:
    pusher.run("manifest", "create", "localhost/multi")
    for architecture in ("amd64", "arm64"):
        single = pusher.run("pull", "--quiet", image(architecture).source).stdout.strip()
        pusher.run("manifest", "add", "localhost/multi", f"containers-storage:{single}")

    target = f"docker://{shop.image('web:multi')}"
    pusher.run("manifest", "push", "--all", "--tls-verify=false", "localhost/multi", target)

    index = json.loads(shop.get("web/manifests/multi"))
    assert [each["platform"]["architecture"] for each in index["manifests"]] == ["amd64", "arm64"]
    for each in index["manifests"]:
        assert len(shop.get(f"web/manifests/{each['digest']}")) == each["size"]
        pusher.run("rmi", "--all", "--force")
        pusher.pull(shop.image("web:multi"), "--arch", each["platform"]["architecture"])
        seen = json.loads(pusher.run("image", "inspect", shop.image("web:multi")).stdout)[0]
        assert seen["Architecture"] == each["platform"]["architecture"]


def test_a_pull_by_digest_gets_that_image_though_the_tag_moved(
    shop: Shop, pusher: Podman, skopeo: Skopeo, image: MakeImage
) -> None:
    first, second = image(), image()
    signed_in = skopeo.signed_in(shop.server.host, shop.developer.login, shop.developer.secret)
    for layout in (first, second):
        signed_in.copy(layout.source, f"docker://{shop.image('web:1.0')}")

    pusher.pull(shop.image(f"web@{first.digest}"))
    pusher.pull(shop.image("web:1.0"))

    assert pusher.digest(shop.image(f"web@{first.digest}")) == first.digest
    assert pusher.digest(shop.image("web:1.0")) == second.digest


def test_an_image_that_is_not_there_is_said_to_be_unknown(shop: Shop, pusher: Podman) -> None:
    stranger = f"{shop.server.host}/{shop.name}x/web:1.0"

    for reference in (shop.image("web:1.0"), stranger):
        refused = pusher.pull(reference, check=False)

        assert refused.returncode != 0
        assert re.search(r"(manifest|name) unknown|not found|denied", refused.stderr), refused.stderr


def test_a_robot_that_may_only_pull_is_told_that_it_may_not_push(shop: Shop, podman: Podman, image: MakeImage) -> None:
    local = podman.run("pull", "--quiet", image().source).stdout.strip()
    viewer = podman.signed_in(shop.server.host, shop.viewer.login, shop.viewer.secret)

    refused = viewer.push(local, shop.image("web:1.0"), check=False)

    assert refused.returncode != 0
    assert "denied" in refused.stderr
    assert "repo.push" in refused.stderr, refused.stderr


def test_what_is_public_is_pulled_without_a_login(
    shop: Shop, podman: Podman, skopeo: Skopeo, image: MakeImage, tmp_path: Path
) -> None:
    layout = image()
    skopeo.signed_in(shop.server.host, shop.developer.login, shop.developer.secret).copy(
        layout.source, f"docker://{shop.image('web:1.0')}"
    )

    before = podman.pull(shop.image("web:1.0"), check=False)
    shop.publish()
    podman.pull(shop.image("web:1.0"))
    skopeo.copy(f"docker://{shop.image('web:1.0')}", f"oci:{tmp_path / 'back'}:it")
    pushed = podman.push(shop.image("web:1.0"), shop.image("web:2.0"), check=False)

    assert before.returncode != 0
    assert podman.digest(shop.image("web:1.0")) == layout.digest
    assert blobs(tmp_path / "back") == blobs(layout.folder)
    assert pushed.returncode != 0
    assert shop.status("manifests/2.0") == 404
