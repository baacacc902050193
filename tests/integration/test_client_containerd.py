"""containerd against us, by `ctr`: push, pull, mirrors, lines that are cut, and what its user reads when refused."""

import pytest

from tests.integration.conftest import MakeImage, Shop, blobs, entries
from tests.real.clients import Skopeo
from tests.real.containerd import Containerd
from tests.real.layout import Layout
from tests.real.wire import CuttingWire

pytestmark = pytest.mark.xdist_group("client-containerd")

MIB = 1 << 20


@pytest.fixture
def signed_in(shop: Shop, containerd: Containerd) -> Containerd:
    return containerd.signed_in(shop.developer.login, shop.developer.secret)


@pytest.fixture
def skopeo_in(shop: Shop, skopeo: Skopeo) -> Skopeo:
    return skopeo.signed_in(shop.server.host, shop.developer.login, shop.developer.secret)


def assert_is_here(client: Containerd, layout: Layout, reference: str) -> None:
    """Every byte of *layout* is in containerd's own store."""
    assert client.digest(reference) == layout.digest
    for digest, data in blobs(layout.folder).items():
        assert client.content(digest) == data


def test_pull_brings_every_byte(shop: Shop, signed_in: Containerd, skopeo_in: Skopeo, image: MakeImage) -> None:
    layout = image(layers=6)
    skopeo_in.copy(layout.source, f"docker://{shop.image('web:1.0')}")

    signed_in.pull(shop.image("web:1.0"))

    assert_is_here(signed_in, layout, shop.image("web:1.0"))


def test_push_brings_every_byte_and_may_be_repeated(shop: Shop, signed_in: Containerd, image: MakeImage) -> None:
    layout = image(layers=6)
    signed_in.load(layout.folder, shop.image("web:1.0"))

    signed_in.push(shop.image("web:1.0"))
    signed_in.push(shop.image("web:1.0"))

    assert shop.get("web/manifests/1.0") == blobs(layout.folder)[layout.digest]
    for digest in entries(layout):
        assert shop.get(f"web/blobs/{digest}") == blobs(layout.folder)[digest]


def test_an_index_goes_there_and_back_with_all_platforms(shop: Shop, signed_in: Containerd, image: MakeImage) -> None:
    layout = image("amd64", "arm64")
    signed_in.load(layout.folder, shop.image("web:multi"))

    signed_in.push(shop.image("web:multi"))
    signed_in.ctr("images", "remove", "--sync", shop.image("web:multi"))
    signed_in.pull(shop.image("web:multi"), "--all-platforms")

    assert_is_here(signed_in, layout, shop.image("web:multi"))
    assert shop.get("web/manifests/multi") == blobs(layout.folder)[layout.digest]


def test_a_mirror_is_asked_with_the_name_of_another_registry(
    shop: Shop, signed_in: Containerd, skopeo_in: Skopeo, image: MakeImage
) -> None:
    """hosts.toml sends what is said to be elsewhere to us, with `?ns=`; a dead mirror before us is passed over."""
    layout = image()
    skopeo_in.copy(layout.source, f"docker://{shop.image('web:1.0')}")
    elsewhere = f"registry.example.test/{shop.name}/web:1.0"
    mirrors = signed_in.mirrors("registry.example.test", "http://127.0.0.1:9", shop.server.url)

    signed_in.pull(elsewhere, "--hosts-dir", str(mirrors))

    assert_is_here(signed_in, layout, elsewhere)


def test_a_pull_goes_on_where_the_line_was_cut(
    shop: Shop, signed_in: Containerd, skopeo_in: Skopeo, image: MakeImage
) -> None:
    layout = image(layers=1, size=8 * MIB)
    skopeo_in.copy(layout.source, f"docker://{shop.image('web:big')}")

    with CuttingWire(shop.server.port, after_bytes=3 * MIB, times=2) as wire:
        reference = f"127.0.0.1:{wire.port}/{shop.name}/web:big"
        pulled = signed_in.pull(reference, check=False)
        for _ in range(3):  # what it has it keeps: a user's retry goes on from there
            if pulled.returncode == 0:
                break
            pulled = signed_in.pull(reference, check=False)

    assert pulled.returncode == 0, pulled.stderr
    assert wire.cuts == 2
    assert any(b"Range: bytes=" in request for request in wire.requests)
    assert wire.sent_down < 12 * MIB, "it did not begin again"
    assert_is_here(signed_in, layout, reference)


def test_a_blocked_pull_fails_and_a_warned_one_does_not(
    shop: Shop, containerd: Containerd, skopeo_in: Skopeo, unjudged: Layout
) -> None:
    """1.6 of Debian 12 shows the status alone; later ones GET what HEAD was refused, and show its text."""
    shop.server.set_mode(shop.name, "enforce")
    skopeo_in.copy(unjudged.source, f"docker://{shop.image('web:1.0')}")
    assert shop.server.wait_for_scan(f"{shop.name}/web", "1.0")["outcome"] == "error"
    viewer = containerd.signed_in(shop.viewer.login, shop.viewer.secret)

    refused = viewer.pull(shop.image("web:1.0"), check=False)
    shop.server.set_mode(shop.name, "warn")
    viewer.pull(shop.image("web:1.0"))

    assert refused.returncode != 0
    assert "403 Forbidden" in refused.stderr
    assert_is_here(viewer, unjudged, shop.image("web:1.0"))


def test_a_refused_push_and_an_absent_image_are_told(
    shop: Shop, containerd: Containerd, signed_in: Containerd, image: MakeImage
) -> None:
    signed_in.load(image().folder, shop.image("web:1.0"))
    viewer = containerd.signed_in(shop.viewer.login, shop.viewer.secret)

    by_nobody = containerd.push(shop.image("web:1.0"), check=False)
    by_viewer = viewer.push(shop.image("web:1.0"), check=False)
    absent = signed_in.pull(shop.image("web:none"), check=False)

    assert "403 Forbidden" in by_nobody.stderr
    assert "403 Forbidden" in by_viewer.stderr
    assert "not found" in absent.stderr
    assert shop.status("web/tags/list") == 404


def test_what_is_public_is_pulled_without_a_user(
    shop: Shop, containerd: Containerd, skopeo_in: Skopeo, image: MakeImage
) -> None:
    layout = image()
    skopeo_in.copy(layout.source, f"docker://{shop.image('web:1.0')}")

    before = containerd.pull(shop.image("web:1.0"), check=False)
    shop.publish()
    containerd.pull(shop.image("web:1.0"))

    assert before.returncode != 0
    assert_is_here(containerd, layout, shop.image("web:1.0"))
