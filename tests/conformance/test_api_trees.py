"""An artifact's tree and its difference from another, over the management API."""

import uuid
from typing import Any

import pytest

from tests.real.protocol import (
    OCI_CONFIG,
    OCI_INDEX,
    OCI_LAYER,
    OCI_MANIFEST,
    Registry,
    descriptor,
    encoded,
    sha256,
)
from tests.real.server import Server

STEPS = ("RUN apt-get install openssl", "COPY . /app")


def image(registry: Registry, repository: str, layers: tuple[bytes, ...], **more: Any) -> bytes:
    """A manifest whose config names a build step for each layer."""
    history: list[Any] = [{"created_by": step} for step in STEPS[: len(layers)]]
    history.insert(1, {"created_by": "ENV A=1", "empty_layer": True})
    config = encoded(
        {"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": []}, "history": history}
    )
    for data in (config, *layers):
        registry.push_blob(repository, data)
    body = {"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": descriptor(config, OCI_CONFIG)}
    return encoded(body | {"layers": [descriptor(each, OCI_LAYER) for each in layers]} | more)


@pytest.fixture
def url(registry: Registry, repository: str) -> str:
    """Two images that share their lowest layer, an index of both, and a note on the first."""
    first, second = (image(registry, repository, (b"base", top)) for top in (b"one", b"two"))
    for tag, body in (("one", first), ("two", second)):
        assert registry.put_manifest(repository, tag, body).status == 201
    platforms = ({"os": "linux", "architecture": name} for name in ("amd64", "arm64"))
    listed = [
        descriptor(body, OCI_MANIFEST, platform=where) for body, where in zip((first, second), platforms, strict=True)
    ]
    index = encoded({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": listed})
    assert registry.put_manifest(repository, "both", index, OCI_INDEX).status == 201
    note = registry.image(repository, [b"note"], subject=descriptor(first, OCI_MANIFEST), artifactType="text/x-note")
    assert registry.put_manifest(repository, sha256(note), note).status == 201
    return f"/api/v1/repositories/{repository}/-/artifacts"


def test_a_tree_has_platforms_layers_with_their_steps_and_referrers(registry: Registry, url: str) -> None:
    tree = registry.ask("GET", f"{url}/both/tree").json
    first, second = tree["children"]

    assert (tree["kind"], tree["layers"], tree["referrers"]) == ("index", [], [])
    assert [child["platform"] for child in (first, second)] == ["linux/amd64", "linux/arm64"]
    assert [layer["step"] for layer in first["layers"]] == list(STEPS)
    assert [layer["digest"] for layer in second["layers"]] == [sha256(b"base"), sha256(b"two")]
    assert [each["artifact_type"] for each in first["referrers"]] == ["text/x-note"]
    assert second["referrers"] == []
    assert registry.ask("GET", f"{url}/one/tree").json == first | {"platform": ""}


def test_a_diff_says_which_layers_are_shared(registry: Registry, url: str) -> None:
    diff = registry.ask("GET", f"{url}/one/diff?with=two").json

    assert [each["digest"] for each in diff["shared_layers"]] == [sha256(b"base")]
    assert [each["digest"] for each in diff["only_from_layers"]] == [sha256(b"one")]
    assert [each["digest"] for each in diff["only_to_layers"]] == [sha256(b"two")]
    assert diff["added"] == diff["removed"] == diff["changed"] == diff["gained"] == diff["lost"] == []
    same = registry.ask("GET", f"{url}/one/diff?with=one").json
    assert (same["only_from_layers"], same["only_to_layers"]) == ([], [])


def test_both_must_be_there_and_visible(registry: Registry, url: str, shared_server: Server) -> None:
    other = f"o{uuid.uuid4().hex[:12]}"
    shared_server.create_project(other)
    stranger = Registry(shared_server.host).as_(shared_server.create_robot(other, "ci"))

    assert registry.ask("GET", f"{url}/one/diff?with=none").status == 404
    assert registry.ask("GET", f"{url}/none/tree").status == 404
    assert registry.ask("GET", f"{url}/one/diff").status == 422
    assert [stranger.ask("GET", f"{url}/one/{part}").status for part in ("tree", "diff?with=two")] == [404, 404]
