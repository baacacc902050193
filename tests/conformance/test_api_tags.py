"""Tags over the management API: their list, their history, and moving one back."""

import uuid
from collections.abc import Callable
from typing import Any

import pytest

from tests.conformance.conftest import personal_token
from tests.real.protocol import Answer, Registry
from tests.real.server import Server


@pytest.fixture(scope="module")
def admin(shared_server: Server) -> Registry:
    return Registry(shared_server.host).as_(personal_token(shared_server))


@pytest.fixture
def repository(shared_server: Server, admin: Registry) -> str:
    """A repository whose tag `v` named one image, then another."""
    project = f"t{uuid.uuid4().hex[:12]}"
    shared_server.create_project(project)
    for layer in (b"first", b"second"):
        admin.push_image(f"{project}/web", "v", [layer])
    return f"{project}/web"


def get(admin: Registry, repository: str, below: str) -> Any:
    answer = admin.ask("GET", f"/api/v1/repositories/{repository}/-/tags{below}")
    assert answer.status == 200, answer.body
    return answer.json


def history(admin: Registry, repository: str, tag: str = "v") -> list[Any]:
    return list(get(admin, repository, f"/{tag}/history")["items"])


def restore(admin: Registry, repository: str, rev: int, tag: str = "v") -> Any:
    path = f"/api/v1/repositories/{repository}/-/tags/{tag}/restore"
    return admin.ask("POST", path, b'{"rev":%d}' % rev, {"Content-Type": "application/json"})


def test_the_history_of_a_tag_has_each_move_with_who_and_when(admin: Registry, repository: str) -> None:
    second, first = history(admin, repository)

    assert (second["rev"], first["rev"]) == (2, 1)
    assert second["digest"] != first["digest"]
    assert {move["actor"] for move in (first, second)} == {"admin"}
    assert first["at"] < second["at"]


def test_a_tag_restored_names_what_it_named_and_its_history_goes_on(admin: Registry, repository: str) -> None:
    second, first = history(admin, repository)
    restored = restore(admin, repository, 1)

    assert (restored.status, restored.json) == (200, {"name": "v", "digest": first["digest"], "rev": 3})
    assert admin.ask("HEAD", f"/v2/{repository}/manifests/v").header("Docker-Content-Digest") == first["digest"]
    assert [move["digest"] for move in history(admin, repository)] == [
        first["digest"],
        second["digest"],
        first["digest"],
    ]


def test_a_deleted_tag_is_restored_with_its_image_from_the_trash(admin: Registry, repository: str) -> None:
    second, _ = history(admin, repository)
    deleted = admin.ask("DELETE", f"/v2/{repository}/manifests/{second['digest']}")
    gone = history(admin, repository)[0]

    assert (gone["rev"], gone["digest"], gone["operation"]) == (3, None, deleted.header("Entrepot-Operation"))
    assert admin.ask("GET", f"/v2/{repository}/manifests/v").status == 404
    assert restore(admin, repository, 2).json["digest"] == second["digest"]
    assert admin.ask("GET", f"/v2/{repository}/manifests/v").status == 200


@pytest.mark.parametrize("rev", [3, 99])
def test_a_deletion_or_no_move_at_all_is_nothing_to_go_back_to(admin: Registry, repository: str, rev: int) -> None:
    admin.ask("DELETE", f"/v2/{repository}/manifests/v")
    answer = restore(admin, repository, rev)

    assert answer.status == 404
    assert f"entrepot tag history {repository} v" in answer.json["detail"]


def test_a_tag_that_names_it_already_stays_as_it_is(admin: Registry, repository: str) -> None:
    assert restore(admin, repository, 2).json["rev"] == 2
    assert len(history(admin, repository)) == 2


def test_tags_and_histories_come_in_pages(admin: Registry, repository: str) -> None:
    for number in range(5):
        admin.push_image(repository, f"t{number}", [b"%d" % number])
    names, after = [], ""
    while True:
        page = get(admin, repository, f"?limit=2&after={after}")
        names += [item["name"] for item in page["items"]]
        if page["next"] is None:
            break
        after = page["next"]
    first = get(admin, repository, "/v/history?limit=1")
    second = get(admin, repository, f"/v/history?limit=1&after={first['next']}")

    assert names == ["t0", "t1", "t2", "t3", "t4", "v"]
    assert [page["items"][0]["rev"] for page in (first, second)] == [2, 1]
    assert second["next"] is None
    assert history(admin, repository, "never") == []


# locks


def lock(admin: Registry, repository: str, method: str = "PUT", tag: str = "v") -> int:
    return admin.ask(method, f"/api/v1/repositories/{repository}/-/tags/{tag}/lock", b"", {"If-Match": "*"}).status


def ways(admin: Registry, repository: str) -> dict[str, Callable[[], Answer]]:
    """Every way to change what the tag `v` names, or to take it away."""
    _, first = history(admin, repository)
    now = history(admin, repository)[0]["digest"]
    other = admin.ask("GET", f"/v2/{repository}/manifests/{first['digest']}")
    typed = {"Content-Type": other.header("Content-Type")}
    v2, api = f"/v2/{repository}/manifests", f"/api/v1/repositories/{repository}"
    project = repository.partition("/")[0]
    return {
        "push": lambda: admin.ask("PUT", f"{v2}/v", other.body, typed),
        "push of several tags": lambda: admin.ask("PUT", f"{v2}/{first['digest']}?tag=free&tag=v", other.body, typed),
        "delete the tag": lambda: admin.ask("DELETE", f"{v2}/v"),
        "delete the digest": lambda: admin.ask("DELETE", f"{v2}/{now}"),
        "delete by the api": lambda: admin.ask("DELETE", f"{api}/-/artifacts/v"),
        "delete the repository": lambda: admin.ask("DELETE", api),
        "delete the project": lambda: admin.ask("DELETE", f"/api/v1/projects/{project}"),
        "restore": lambda: restore(admin, repository, 1),
    }


def text_of(answer: Answer) -> str:
    document = answer.json
    return str(document["errors"][0]["message"] if "detail" not in document else document["detail"])


def test_a_locked_tag_is_moved_and_deleted_by_no_way_and_each_says_the_same(admin: Registry, repository: str) -> None:
    before = history(admin, repository)
    assert lock(admin, repository) == 204
    answers = {way: ask() for way, ask in ways(admin, repository).items()}

    assert {way: answer.status for way, answer in answers.items()} == dict.fromkeys(answers, 403)
    who = f"or ask who may unlock it (entrepot tag unlock {repository} v)"
    text = f'tag "v" of {repository} is locked by admin: use another tag, {who}'
    assert {text_of(answer) for answer in answers.values()} == {text}
    assert history(admin, repository) == before
    assert history(admin, repository, "free") == []
    (listed,) = get(admin, repository, "")["items"]
    assert (listed["name"], listed["locked_by"]) == ("v", "admin")


def test_what_a_locked_tag_names_already_may_be_pushed_again(admin: Registry, repository: str) -> None:
    now = admin.ask("GET", f"/v2/{repository}/manifests/v")
    lock(admin, repository)
    typed = {"Content-Type": now.header("Content-Type")}

    assert admin.ask("PUT", f"/v2/{repository}/manifests/v", now.body, typed).status == 201


@pytest.mark.parametrize("way", ["push", "delete the tag", "delete the digest", "restore", "delete the repository"])
def test_an_unlocked_tag_is_as_any_other(admin: Registry, repository: str, way: str) -> None:
    lock(admin, repository)
    assert lock(admin, repository, "DELETE") == 204

    assert ways(admin, repository)[way]().status < 300


def test_there_must_be_a_tag_to_lock(admin: Registry, repository: str) -> None:
    assert lock(admin, repository, tag="never") == 404
    assert lock(admin, repository, "DELETE", tag="never") == 404


def test_locks_are_on_record_once(admin: Registry, repository: str) -> None:
    for method in ("PUT", "PUT", "DELETE", "DELETE"):
        lock(admin, repository, method)
    found = admin.ask("GET", f"/api/v1/audit?repository={repository}&limit=100").json["items"]

    assert [item["action"] for item in found if "locked" in item["action"]] == ["tag.unlocked", "tag.locked"]
