"""The trash over HTTP and by the command line: what clients are told at a deletion takes it back."""

import contextlib
import json
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.real.cli import entrepot, entrepot_json
from tests.real.protocol import OCI_CONFIG, OCI_INDEX, OCI_LAYER, OCI_MANIFEST, Registry, descriptor, encoded, sha256
from tests.real.server import Server, new_server, running

pytestmark = pytest.mark.xdist_group("trash")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server whose collector looks twice a second."""
    quick = {"ENTREPOT_LIFECYCLE__GC__EVERY": "500ms"}
    with running(new_server(tmp_path_factory.mktemp("trash"), **quick)) as started:
        yield started


@pytest.fixture
def project(server: Server, request: pytest.FixtureRequest) -> str:
    """A project of the test's own."""
    name = f"p{abs(hash(request.node.name)) % 10**8}"
    server.create_project(name)
    return name


def push(registry: Registry, repository: str, layer: bytes, *tags: str) -> str:
    """The digest of an image of one layer, pushed under *tags*."""
    config = encoded({"layer": layer.hex()})
    for data in (config, layer):
        registry.push_blob(repository, data)
    body = encoded(
        {
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "config": descriptor(config, OCI_CONFIG),
            "layers": [descriptor(layer, OCI_LAYER)],
        }
    )
    for reference in tags or (sha256(body),):
        assert put(registry, repository, reference, body).status == 201
    return sha256(body)


def put(registry: Registry, repository: str, reference: str, body: bytes, media_type: str = OCI_MANIFEST) -> Any:
    """What a PUT of a manifest answers."""
    return registry.ask("PUT", f"/v2/{repository}/manifests/{reference}", body, {"Content-Type": media_type})


def admin(server: Server) -> Registry:
    """The registry as its administrator with all rights on one repository sees it."""
    return Registry(server.host).as_(server.admin)


def rights(server: Server, repository: str) -> Registry:
    """The registry with a token for all of *repository*."""
    return admin(server).scoped(f"repository:{repository}:pull,push,delete")


def test_a_deleted_manifest_is_404_at_once_and_undo_brings_it_back(server: Server, project: str) -> None:
    name = f"{project}/web"
    registry = rights(server, name)
    digest = push(registry, name, b"layer", "v1")
    deleted = registry.ask("DELETE", f"/v2/{name}/manifests/{digest}")
    gone = [registry.ask("GET", f"/v2/{name}/manifests/{each}").status for each in ("v1", digest)]
    undone = entrepot_json(server, "undo", deleted.header("Entrepot-Operation"))

    assert (deleted.status, gone) == (202, [404, 404])
    assert (undone["manifests"], undone["tags"]) == (1, ["v1"])
    assert registry.ask("GET", f"/v2/{name}/manifests/v1").status == 200


def test_a_deleted_blob_is_404_at_once_and_undo_brings_it_back(server: Server, project: str) -> None:
    name = f"{project}/web"
    registry = rights(server, name)
    digest = registry.push_blob(name, b"loose")
    deleted = registry.ask("DELETE", f"/v2/{name}/blobs/{digest}")
    gone = registry.ask("HEAD", f"/v2/{name}/blobs/{digest}").status
    entrepot(server, "undo", deleted.header("Entrepot-Operation"))

    assert (deleted.status, gone) == (202, 404)
    assert registry.ask("HEAD", f"/v2/{name}/blobs/{digest}").status == 200


def test_the_refusal_to_delete_what_an_index_lists_names_it_by_digest_and_tag(server: Server, project: str) -> None:
    name = f"{project}/web"
    registry = rights(server, name)
    child = push(registry, name, b"layer")
    body = registry.ask("GET", f"/v2/{name}/manifests/{child}").body
    index = encoded({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [descriptor(body, OCI_MANIFEST)]})
    assert put(registry, name, "release", index, OCI_INDEX).status == 201
    refused = registry.ask("DELETE", f"/v2/{name}/manifests/{child}")

    assert refused.refusal == (405, "UNSUPPORTED")
    assert refused.json["errors"][0]["detail"] == {"parents": [{"digest": sha256(index), "tags": ["release"]}]}


def test_repositories_and_projects_are_deleted_and_brought_back(server: Server, project: str) -> None:
    name = f"{project}/web"
    registry = rights(server, name)
    push(registry, name, b"layer", "v1")
    of_repository = entrepot_json(server, "repository", "delete", name)["operation"]
    gone = registry.ask("GET", f"/v2/{name}/manifests/v1").status
    entrepot(server, "undo", of_repository)
    back = registry.ask("GET", f"/v2/{name}/manifests/v1").status
    of_project = entrepot_json(server, "project", "delete", project)["operation"]
    gone_too = registry.ask("GET", f"/v2/{name}/manifests/v1").status
    listed = [each["name"] for each in server.items("/projects")]
    entrepot(server, "undo", of_project)

    assert (gone, back, gone_too) == (404, 200, 404)
    assert [each for each in listed if each == project or each.startswith("#")] == []
    assert registry.ask("GET", f"/v2/{name}/manifests/v1").status == 200


def test_the_trash_is_listed_with_who_deleted_what(server: Server, project: str) -> None:
    name = f"{project}/web"
    registry = rights(server, name)
    push(registry, name, b"layer", "v1")
    op = entrepot_json(server, "artifact", "delete", f"{name}:v1")["operation"]
    (row,) = entrepot_json(server, "trash", "list", "--project", project)

    assert (row["id"], row["kind"], row["state"]) == (op, "tag", "open")
    assert (row["repository"], row["reference"], row["actor"]) == (name, "v1", "admin")


def test_a_tag_is_listed_restored_and_locked_from_the_command_line(server: Server, project: str) -> None:
    name = f"{project}/web"
    registry = rights(server, name)
    first, second = (push(registry, name, layer, "v1") for layer in (b"first", b"second"))
    (tag,) = entrepot_json(server, "tag", "list", name)
    history = entrepot_json(server, "tag", "history", name, "v1")
    restored = entrepot_json(server, "tag", "restore", name, "v1", "--rev", "1")
    entrepot(server, "tag", "lock", name, "v1")
    refused = entrepot(server, "tag", "restore", name, "v1", "--rev", "2", check=False)
    entrepot(server, "tag", "unlock", name, "v1")

    assert (tag["name"], tag["digest"], tag["rev"], tag["locked_by"]) == ("v1", second, 2, None)
    assert [move["digest"] for move in history] == [second, first]
    assert (restored["digest"], restored["rev"]) == (first, 3)
    assert refused.returncode == 4
    assert 'tag "v1"' in refused.stderr
    assert entrepot_json(server, "tag", "restore", name, "v1", "--rev", "2")["digest"] == second


def test_whoever_asked_for_a_purge_can_t_confirm_it(server: Server, project: str) -> None:
    name = f"{project}/web"
    registry = rights(server, name)
    digest = push(registry, name, b"secret", "v1")
    op = registry.ask("DELETE", f"/v2/{name}/manifests/{digest}").header("Entrepot-Operation")
    request = entrepot_json(server, "trash", "purge", "--now", op)["request"]
    refused = entrepot(server, "trash", "confirm", request, check=False)

    assert refused.returncode != 0
    assert "second admin" in refused.stderr
    assert entrepot_json(server, "undo", op)["tags"] == ["v1"]


def test_a_project_over_its_quota_refuses_what_is_new_and_takes_what_is_there(server: Server, project: str) -> None:
    name = f"{project}/web"
    registry = rights(server, name)
    push(registry, name, b"x" * 5_000, "v1")
    used = entrepot_json(server, "quota", "show", project)["used"]
    entrepot(server, "quota", "set", project, str(used + 100))
    begun = registry.ask("POST", f"/v2/{name}/blobs/uploads/", b"")
    refused = registry.ask("PUT", f"{begun.header('Location')}&digest={sha256(b'y' * 5000)}", b"y" * 5000)
    again = push(registry, name, b"x" * 5_000, "v1")
    entrepot(server, "quota", "set", project, "none")

    assert refused.refusal == (403, "DENIED")
    detail = refused.json["errors"][0]["detail"]
    assert (detail["limit"], detail["largest"][0]["repository"]) == (used + 100, name)
    assert registry.ask("HEAD", f"/v2/{name}/manifests/{again}").status == 200
    assert registry.push_blob(name, b"y" * 5000)


def test_a_push_near_the_quota_is_warned(server: Server, project: str) -> None:
    name = f"{project}/web"
    registry = rights(server, name)
    push(registry, name, b"x" * 50_000, "v1")
    used = entrepot_json(server, "quota", "show", project)["used"]
    entrepot(server, "quota", "set", project, str(used * 10 // 9 + 1_000))
    config = encoded({"layer": (b"x" * 50_000).hex()})
    annotated = {"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": descriptor(config, OCI_CONFIG), "layers": []}
    body = encoded(annotated | {"annotations": {"padding": "x" * 1_000}})
    pushed = put(registry, name, "v2", body)

    assert pushed.status == 201
    assert project in pushed.header("Warning")
    actions = [row["action"] for row in server.items(f"/audit?project={project}")]
    assert "quota.nearly_used" in actions


def test_the_store_and_the_rows_agree_and_a_lost_file_is_reported(server: Server, project: str) -> None:
    name = f"{project}/web"
    registry = rights(server, name)
    push(registry, name, b"layer", "v1")
    shown = entrepot_json(server, "storage", "show")
    share = entrepot_json(server, "storage", "show", name, "--tag", "v1")
    checked = entrepot_json(server, "storage", "check")
    digest = registry.push_blob(name, b"to be lost")  # and seen to be: HEAD would find it damaged
    (path,) = (Path(server.data) / "blobs").glob(f"sha256/*/{digest.removeprefix('sha256:')}.*")
    path.unlink()
    again = entrepot_json(server, "storage", "check")

    assert shown["physical"] == shown["live"] + shown["trash"] + shown["reclaimable"] > 0
    assert share["exclusive"] + share["shared"] > 0
    assert (checked["orphans"], checked["missing"], checked["resized"]) == (0, 0, 0)
    assert checked["row_bytes"] == checked["bytes"]
    assert (again["missing"], json.dumps(again["examples"]).count(digest.removeprefix("sha256:"))) == (1, 1)


def test_a_head_by_who_may_push_renews_a_lease_that_is_half_over(server: Server, project: str) -> None:
    name = f"{project}/web"
    pusher = rights(server, name)
    puller = admin(server).scoped(f"repository:{name}:pull")
    digest = pusher.push_blob(name, b"about to be named")
    ends = []
    for registry in (puller, pusher):
        leased_until(server, digest, hours=11)
        assert registry.ask("HEAD", f"/v2/{name}/blobs/{digest}").status == 200
        ends.append(leased_until(server, digest))
    leased_until(server, digest, hours=13)
    assert pusher.ask("HEAD", f"/v2/{name}/blobs/{digest}").status == 200
    ends.append(leased_until(server, digest))

    assert [round(end, 1) for end in ends] == [11.0, 24.0, 13.0]


def leased_until(server: Server, digest: str, *, hours: float | None = None) -> float:
    """For how many hours a blob is leased; *hours*: set to that first."""
    now = time.time()
    with contextlib.closing(sqlite3.connect(server.data / "entrepot.db", timeout=20)) as database:
        if hours is not None:
            until = int((now + hours * 3600) * 1_000_000)
            database.execute("UPDATE repo_blob SET leased_until = ? WHERE digest = ?", (until, digest))
            database.commit()
        (until,) = database.execute("SELECT leased_until FROM repo_blob WHERE digest = ?", (digest,)).fetchone()
    return float(until / 1_000_000 - now) / 3600
