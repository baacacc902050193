"""`Idempotency-Key` over the management API: sent twice, done once. Design: product.md, section 4."""

import json
import threading
import uuid
from typing import Any

import pytest

from tests.real.protocol import Answer, Registry, basic
from tests.real.server import Server

JSON = {"Content-Type": "application/json"}


def new_key() -> str:
    return uuid.uuid4().hex


def post(registry: Registry, path: str, document: Any, key: str) -> Answer:
    headers = JSON | {"Idempotency-Key": key}
    return registry.ask("POST", f"/api/v1{path}", json.dumps(document).encode(), headers)


def new_name() -> str:
    return f"i{uuid.uuid4().hex[:12]}"


def test_the_same_request_again_gets_the_same_answer_and_makes_nothing(registry: Registry) -> None:
    body, key = {"name": new_name()}, new_key()
    first, second = (post(registry, "/projects", body, key) for _ in range(2))

    assert (first.status, second.status) == (201, 201)
    assert first.body == second.body
    assert first.header("Content-Type") == second.header("Content-Type")
    assert (first.header("Idempotency-Replayed"), second.header("Idempotency-Replayed")) == ("", "true")
    assert post(registry, "/projects", body, new_key()).status == 409


def test_another_body_or_path_is_409(registry: Registry) -> None:
    body, key = {"name": new_name()}, new_key()
    post(registry, "/projects", body, key)

    for path, other in (("/projects", {"name": new_name()}), ("/trash/purge", body), ("/projects?x=1", body)):
        refused = post(registry, path, other, key)
        assert refused.status == 409
        assert "Idempotency-Key" in refused.json["detail"]


def test_a_key_is_an_account_s_own(registry: Registry, anonymous: Registry, shared_server: Server) -> None:
    project, other = new_name(), new_name()
    for name in (project, other):
        shared_server.create_project(name)
    registry.push_image(f"{project}/web", "v", [b"one"])
    registry.push_image(f"{project}/web", "v", [b"two"])
    key = new_key()
    path = f"/repositories/{project}/web/-/tags/v/restore"
    robot = anonymous.as_(shared_server.create_robot(project, "ci"))

    assert post(registry, path, {"rev": 1}, key).json["rev"] == 3
    assert post(robot, path, {"rev": 2}, key).json["rev"] == 4


def test_what_was_refused_is_carried_out_anew(registry: Registry, project: str) -> None:
    key, name = new_key(), new_name()
    assert post(registry, "/projects", {"name": project}, key).status == 409
    assert post(registry, "/projects", {"name": ""}, key).status == 422

    assert post(registry, "/projects", {"name": name}, key).status == 201


def test_a_secret_is_shown_once_and_kept_nowhere(registry: Registry, project: str, shared_server: Server) -> None:
    body, key = {"name": "ci", "role": "viewer"}, new_key()
    made = post(registry, f"/projects/{project}/robots", body, key)
    again = post(registry, f"/projects/{project}/robots", body, key)

    assert made.status == 201
    assert made.header("Cache-Control") == "no-store"
    assert again.status == 409
    assert "shown once" in again.json["detail"]
    stored = b"".join(file.read_bytes() for file in shared_server.data.glob("*.db*"))
    assert key.encode() in stored
    assert made.json["secret"].encode() not in stored


def test_a_personal_token_too(anonymous: Registry, shared_server: Server) -> None:
    admin, key = shared_server.admin, new_key()
    person = Registry(anonymous.host, basic(admin.login, admin.secret))
    made, again = (post(person, "/auth/tokens", {"name": key}, key) for _ in range(2))

    assert (made.status, again.status) == (201, 409)
    assert [each["name"] for each in shared_server.items("/auth/tokens")].count(key) == 1


def test_of_many_at_once_one_is_carried_out(registry: Registry, project: str) -> None:
    registry.push_image(f"{project}/web", "v", [b"one"])
    registry.push_image(f"{project}/web", "v", [b"two"])
    key, found = new_key(), list[Answer]()
    path = f"/repositories/{project}/web/-/tags/v/restore"
    racers = [threading.Thread(target=lambda: found.append(post(registry, path, {"rev": 1}, key))) for _ in range(8)]
    for each in racers:
        each.start()
    for each in racers:
        each.join()

    statuses = {answer.status for answer in found}
    assert statuses <= {200, 409}
    assert all(answer.header("Retry-After") == "1" for answer in found if answer.status == 409)
    assert {answer.json["rev"] for answer in found if answer.status == 200} == {3}
    history = registry.ask("GET", f"/api/v1/repositories/{project}/web/-/tags/v/history").json["items"]
    assert [move["rev"] for move in history] == [3, 2, 1]


def test_a_feed_is_taken_once(registry: Registry) -> None:
    headers = {"Content-Type": "application/octet-stream", "Idempotency-Key": new_key()}
    first, second = (registry.ask("POST", "/api/v1/feeds?source=idem", b"no feed", headers) for _ in range(2))
    third = registry.ask("POST", "/api/v1/feeds?source=idem", b"not a feed", headers)

    assert (first.status, second.status, third.status) == (202, 202, 409)
    assert first.body == second.body


@pytest.mark.parametrize("key", ["", "a b", "é", "x" * 256, "\t"])
def test_a_key_of_another_form_is_422(registry: Registry, key: str) -> None:
    headers = JSON | {"Idempotency-Key": key.encode("utf-8").decode("latin-1")}
    refused = registry.ask("POST", "/api/v1/projects", json.dumps({"name": new_name()}).encode(), headers)

    assert refused.status == 422
    assert [each["pointer"] for each in refused.json["errors"]] == ["Idempotency-Key"]


def test_every_post_takes_a_key(registry: Registry) -> None:
    paths = registry.ask("GET", "/api/v1/openapi.json").json["paths"]
    posts = [methods["post"] for methods in paths.values() if "post" in methods]

    assert posts
    for operation in posts:
        assert "Idempotency-Key" in {each["name"] for each in operation.get("parameters", [])}, operation["operationId"]
