"""Faults of management requests: RFC 9457 documents, every fault at once, nothing of the input. Design: product.md."""

import json
from typing import Any

import pytest

from tests.real.protocol import Answer, Registry, basic

JSON = {"Content-Type": "application/json"}
CANARY = "Tr0ub4dor-canary"
FIELDS = {"type", "title", "status", "detail", "code", "errors", "trace_id"}
ULID = "01M884B74R7KNNBWFE29JRQ6NT"


def problem(answer: Answer, status: int) -> Any:
    """The document of a refused request, which must be whole."""
    assert answer.status == status, answer.body
    assert answer.header("Content-Type") == "application/problem+json"
    document = answer.json
    assert set(document) == FIELDS
    assert document["status"] == status
    assert document["trace_id"] == answer.header("X-Request-Id")
    assert document["title"]
    assert document["detail"]
    assert document["code"].isupper()
    assert b"Traceback" not in answer.body
    assert CANARY.encode() not in answer.body
    return document


def pointers(document: Any) -> list[str]:
    return sorted(error["pointer"] for error in document["errors"])


def post(registry: Registry, path: str, document: Any) -> Answer:
    return registry.ask("POST", f"/api/v1{path}", json.dumps(document).encode(), JSON)


def test_all_faults_are_named_at_once(registry: Registry, project: str) -> None:
    refused = post(registry, f"/projects/{project}/robots", {"name": "", "role": "boss", "days": 0, "x": 1, "y": 2})

    assert pointers(problem(refused, 422)) == ["/days", "/name", "/role", "/x", "/y"]


def test_a_name_s_fault_stands_beside_the_others(registry: Registry, project: str) -> None:
    robot = post(registry, f"/projects/{project}/robots", {"name": CANARY, "role": "boss"})
    new = post(registry, "/projects", {"name": CANARY, "visibility": "secret", "x": 1})

    assert pointers(problem(robot, 422)) == ["/name", "/role"]
    assert pointers(problem(new, 422)) == ["/name", "/visibility", "/x"]


def test_faults_of_the_body_and_of_parameters_come_together(registry: Registry) -> None:
    headers = JSON | {"If-Match": "x" * 2_000}
    refused = registry.ask("PUT", "/api/v1/projects/none/quota", b'{"limit": -1, "x": 1}', headers)

    assert pointers(problem(refused, 422)) == ["/limit", "/x", "If-Match"]


@pytest.mark.parametrize(
    ("query", "hint"),
    [("limt=5", "did you mean limit?"), (f"{CANARY}=5", ""), ("limit=5&afterr=x", "did you mean after?")],
)
def test_a_parameter_that_is_none_is_422_and_the_one_that_was_meant_is_named(
    registry: Registry, query: str, hint: str
) -> None:
    document = problem(registry.ask("GET", f"/api/v1/projects?{query}"), 422)

    assert hint in document["errors"][0]["message"]


@pytest.mark.parametrize(
    "document",
    [
        {"name": "x", "role": CANARY},
        {"name": "x", "role": "viewer", "password": CANARY},
        {"name": [CANARY], "role": "viewer"},
        {"name": CANARY * 40, "role": "viewer"},
        {"name": "x", "role": "viewer", "days": CANARY},
        {"name": CANARY, "role": "viewer"},
        {"name": f"../{CANARY}", "role": "viewer"},
        [CANARY],
        CANARY,
        None,
        {},
    ],
)
def test_what_was_sent_is_not_repeated(registry: Registry, project: str, document: Any) -> None:
    problem(post(registry, f"/projects/{project}/robots", document), 422)


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (b"{", JSON),
        (b"", JSON),
        (f'{{"name": "{CANARY}"'.encode(), JSON),
        (b"\xff\xfe\x00", JSON),
        (b'{"name": NaN}', JSON),
        (b"[" * 100_000, JSON),
        (b'{"name":' + b"[" * 50_000 + b"]" * 50_000 + b"}", JSON),
        (f"name={CANARY}".encode(), {"Content-Type": "application/x-www-form-urlencoded"}),
        (f"<name>{CANARY}</name>".encode(), {"Content-Type": "text/xml"}),
    ],
)
def test_what_is_no_document_is_refused(registry: Registry, body: bytes, headers: dict[str, str]) -> None:
    answer = registry.ask("POST", "/api/v1/projects", body, headers)

    problem(answer, 400 if answer.status == 400 else 422)


def test_a_body_over_1_mib_is_413(registry: Registry) -> None:
    problem(post(registry, "/projects", {"name": "x" * 2**20}), 413)
    problem(registry.ask("POST", "/api/v1/projects", iter([b" " * 2**20, b" "]), JSON), 413)


def test_a_name_of_a_field_is_cut(registry: Registry) -> None:
    refused = post(registry, "/projects", {"name": "x", "y" * 100_000: 1, "a/b~c": 2})

    document = problem(refused, 422)
    assert len(refused.body) < 2_000
    assert "/a~1b~0c" in pointers(document)


@pytest.mark.parametrize("name", ["Upper", "a/b", "..", "a b", "-a", "a_", "é", "a" * 128 + "b", "\u0000", "a\n"])
def test_a_name_no_project_can_have_is_422(registry: Registry, name: str) -> None:
    assert pointers(problem(post(registry, "/projects", {"name": name}), 422)) == ["/name"]


@pytest.mark.parametrize("name", ["Upper", "a/b", "a+b", "-", "a$b", ".a", "a" * 65, "a\n"])
def test_a_name_no_robot_can_have_is_422(registry: Registry, project: str, name: str) -> None:
    refused = post(registry, f"/projects/{project}/robots", {"name": name, "role": "viewer"})

    assert pointers(problem(refused, 422)) == ["/name"]


def test_a_name_that_is_taken_is_409(registry: Registry, project: str) -> None:
    robot = {"name": "ci", "role": "viewer"}
    assert post(registry, f"/projects/{project}/robots", robot).status == 201

    problem(post(registry, "/projects", {"name": project}), 409)
    problem(post(registry, f"/projects/{project}/robots", robot), 409)


@pytest.mark.parametrize("days", [0, -1, 366, 1.5, "x", None, True, 10**30])
def test_a_life_of_no_days_or_too_many_is_422(registry: Registry, days: Any) -> None:
    refused = post(registry, "/auth/tokens", {"name": "x", "days": days})

    assert pointers(problem(refused, 422)) == ["/days"]


@pytest.mark.parametrize("mode", ["", "off", "ENFORCE", None, 1, ["enforce"]])
def test_a_mode_that_is_none_is_422(registry: Registry, project: str, mode: Any) -> None:
    url = f"/api/v1/projects/{project}/policy/mode"

    assert pointers(
        problem(registry.ask("PUT", url, json.dumps({"mode": mode}).encode(), JSON | {"If-Match": "*"}), 422)
    ) == ["/mode"]


@pytest.mark.parametrize("path", ["/projects", "/jobs", "/audit"])
@pytest.mark.parametrize("limit", ["0", "-1", "1001", "x", "", "1.5", "9" * 40])
def test_a_limit_outside_is_422(registry: Registry, path: str, limit: str) -> None:
    assert pointers(problem(registry.ask("GET", f"/api/v1{path}?limit={limit}"), 422)) == ["limit"]


@pytest.mark.parametrize("path", ["/jobs", "/audit"])
@pytest.mark.parametrize("after", ["x", "-1", ULID.lower(), ULID + "0", "%00", "%F0%9F%98%80", "'--"])
def test_a_cursor_that_is_none_is_422(registry: Registry, path: str, after: str) -> None:
    assert pointers(problem(registry.ask("GET", f"/api/v1{path}?after={after}"), 422)) == ["after"]


@pytest.mark.parametrize("part", ["packages", "findings"])
@pytest.mark.parametrize("after", ["x", "-1", ULID, "1e3", "9" * 30, "%D9%A3"])
def test_a_cursor_into_a_document_that_is_none_is_422(
    registry: Registry, repository: str, part: str, after: str
) -> None:
    registry.push_image(repository, "v1")
    url = f"/api/v1/repositories/{repository}/-/artifacts/v1/{part}"

    assert pointers(problem(registry.ask("GET", f"{url}?after={after}"), 422)) == ["after"]
    assert registry.ask("GET", url).json == {"items": [], "next": None, "total": None}


@pytest.mark.parametrize("name", ["since", "until"])
@pytest.mark.parametrize(
    "date",
    [
        "yesterday",
        "2026-13-01T00:00:00Z",
        "2026-02-30T00:00:00Z",
        "2026-01-01T25:00:00Z",
        "9" * 30,
        "nan",
        "inf",
    ],
)
def test_a_time_that_is_none_is_422(registry: Registry, name: str, date: str) -> None:
    assert pointers(problem(registry.ask("GET", f"/api/v1/audit?{name}={date}"), 422)) == [name]


@pytest.mark.parametrize(
    "date",
    [
        "2026-01-01",
        "2026-01-01T00:00:00",
        "2026-01-01T00:00:00%2B05:30",
        "0001-01-01T00:00:00%2B14:00",
        "9999-12-31T23:59:59-14:00",
        "9999-12-30T00:00:00Z",
    ],
)
def test_a_time_may_be_a_day_or_lack_its_zone(registry: Registry, date: str) -> None:
    assert registry.ask("GET", f"/api/v1/audit?since={date}&limit=1").status == 200


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/nothing", 404),
        ("/projects/none/policy", 404),
        ("/jobs/none", 404),
        ("/repositories/none/web/-/artifacts/v1", 404),
        ("/repositories/{repository}/-/artifacts/none", 404),
        ("/repositories/{repository}/-/artifacts/sha256:" + "0" * 64, 404),
        ("/repositories/{repository}/-/artifacts/sha256:xyz", 422),
        ("/repositories/{repository}/-/artifacts/-x", 422),
        ("/repositories/Upper/-/artifacts/v1", 422),
        ("/repositories/a//b/-/artifacts/v1", 422),
        ("/repositories/../-/artifacts/v1", 422),
        ("/repositories/a%00b/-/artifacts/v1", 422),
        ("/repositories//-/artifacts/v1", 422),
        ("/audit?actor=" + "x" * 256, 422),
        ("/audit?after=" + "x" * 600, 422),
    ],
)
def test_what_is_not_there_or_no_name_is_a_problem(registry: Registry, repository: str, path: str, status: int) -> None:
    registry.push_image(repository, "v1")

    problem(registry.ask("GET", "/api/v1" + path.format(repository=repository)), status)


@pytest.mark.parametrize(
    ("method", "path"),
    [("DELETE", "/projects"), ("PATCH", "/whoami"), ("PUT", "/audit"), ("POST", "/jobs"), ("BREW", "/projects")],
)
def test_a_method_that_is_not_offered_is_405(registry: Registry, method: str, path: str) -> None:
    problem(registry.ask(method, f"/api/v1{path}"), 405)


@pytest.mark.parametrize("authorization", ["", "Basic", "Basic !!", "Bearer x.y.z", "Bearer ent_pat_x", "Token x"])
def test_who_is_not_known_is_401_with_a_challenge(anonymous: Registry, authorization: str) -> None:
    answer = anonymous.ask("GET", "/api/v1/whoami", headers={"Authorization": authorization})

    problem(answer, 401)
    assert answer.header("WWW-Authenticate") == 'Basic realm="entrepot", charset="UTF-8"'


def test_a_wrong_password_is_not_repeated_anywhere(registry: Registry, anonymous: Registry) -> None:
    refused = anonymous.ask("GET", "/api/v1/whoami", headers={"Authorization": basic("admin", CANARY)})

    problem(refused, 401)
    found = registry.ask("GET", "/api/v1/audit?action=account.sign_in_failed&limit=5")
    assert found.json["items"]
    assert CANARY.encode() not in found.body


def test_a_refusal_is_on_record_with_what_it_was_about(
    registry: Registry, anonymous: Registry, robots: Any, repository: str
) -> None:
    """Also where the body, not the path, names the repository."""
    project = repository.partition("/")[0]
    viewer = anonymous.as_(robots.viewer)
    anonymous.as_(robots.developer).push_image(repository, "1")
    wish = {"repository": repository, "stage": "production", "items": [{"reference": "1"}]}

    refused = problem(post(viewer, "/promotions", wish), 403)
    also = problem(post(viewer, f"/projects/{project}/robots", {"name": "x", "role": "viewer"}), 403)

    events = registry.ask("GET", f"/api/v1/audit?project={project}&action=access.denied").json["items"]
    found = {(each["repository"], each["reason"]) for each in events}
    assert found == {(repository, refused["detail"]), ("", also["detail"])}


def test_a_secret_is_shown_once(registry: Registry, project: str) -> None:
    made = post(registry, f"/projects/{project}/robots", {"name": "ci", "role": "viewer"}).json

    for path in (f"/projects/{project}/robots", f"/audit?project={project}&limit=100"):
        assert made["secret"] not in registry.ask("GET", f"/api/v1{path}").body.decode()


def test_pages_hold_every_item_once(registry: Registry, project: str) -> None:
    for name in ("d", "a", "c", "b", "e"):
        post(registry, f"/projects/{project}/robots", {"name": name, "role": "viewer"})

    for limit in (1, 2, 5, 6):
        seen, after = [], ""
        while True:
            page = registry.ask("GET", f"/api/v1/projects/{project}/robots?limit={limit}{after}").json
            seen += [item["name"] for item in page["items"]]
            if page["next"] is None:
                break
            after = "&after=" + page["next"].replace("+", "%2B")
        assert seen == ["a", "b", "c", "d", "e"]
