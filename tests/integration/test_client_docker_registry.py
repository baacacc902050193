"""docker-registry as a pull-through cache in front of us: a client of ours that others pull through."""

from pathlib import Path

import pytest

from tests.integration.conftest import MakeImage, blobs
from tests.real.clients import Skopeo
from tests.real.docker_registry import pull_through
from tests.real.layout import Layout
from tests.real.server import Server

pytestmark = pytest.mark.xdist_group("client-docker-registry")


def test_what_is_pulled_through_it_is_ours_and_the_second_time_it_needs_us_no_more(
    server: Server, skopeo: Skopeo, image: MakeImage, tmp_path: Path
) -> None:
    server.create_project("shop")
    robot, reader = server.create_robot("shop", "ci"), server.create_robot("shop", "cache", "viewer")
    single, multi = image(layers=5), image("amd64", "arm64")
    pusher = skopeo.signed_in(server.host, robot.login, robot.secret)
    for tag, layout in {"single": single, "multi": multi}.items():
        pusher.copy(layout.source, f"docker://{server.host}/shop/web:{tag}", "--all")

    def pulled(cache: str, tag: str, name: str) -> dict[str, bytes]:
        skopeo.copy(f"docker://{cache}/shop/web:{tag}", f"oci:{tmp_path / name}:it", "--all")
        return blobs(tmp_path / name)

    with pull_through(tmp_path / "cache", server.url, reader.login, reader.secret) as cache:
        first = {tag: pulled(cache, tag, f"first-{tag}") for tag in ("single", "multi")}
        server.stop()
        second = {tag: pulled(cache, tag, f"second-{tag}") for tag in ("single", "multi")}

    expected = {"single": blobs(single.folder), "multi": blobs(multi.folder)}
    assert first == expected
    assert second == expected


def test_it_serves_nothing_that_we_refuse(
    server: Server, skopeo: Skopeo, image: MakeImage, unjudged: Layout, tmp_path: Path
) -> None:
    server.create_project("shop")
    server.create_project("other")
    server.set_mode("shop", "enforce")
    robot, reader = server.create_robot("shop", "ci"), server.create_robot("shop", "cache", "viewer")
    stranger = server.create_robot("other", "ci")
    skopeo.signed_in(server.host, robot.login, robot.secret).copy(
        unjudged.source, f"docker://{server.host}/shop/web:blocked"
    )
    skopeo.signed_in(server.host, stranger.login, stranger.secret).copy(
        image().source, f"docker://{server.host}/other/web:1.0"
    )
    assert server.wait_for_scan("shop/web", "blocked")["outcome"] == "error"

    with pull_through(tmp_path / "cache", server.url, reader.login, reader.secret) as cache:
        refused = {
            name: skopeo.copy(f"docker://{cache}/{name}", f"oci:{tmp_path / 'no'}:it", check=False)
            for name in ("shop/web:blocked", "other/web:1.0")
        }

    assert {name: done.returncode for name, done in refused.items()} == {"shop/web:blocked": 1, "other/web:1.0": 1}
    assert all("manifest unknown" in done.stderr for done in refused.values()), refused
    assert not list((tmp_path / "cache").rglob("data"))
