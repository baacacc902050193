"""Accounts and members over the management API: who may give what to whom. Design: security.md 4.3."""

import json
import uuid
from typing import Any

import pytest

from tests.conformance.conftest import Robots
from tests.conformance.test_v2_people import person
from tests.real.server import ApiError, Credential, Server


def refusal(server: Server, method: str, path: str, body: Any = None, credential: Credential | None = None) -> int:
    with pytest.raises(ApiError) as refused:
        server.api(method, path, body, credential=credential)
    return refused.value.status


def events(server: Server, action: str, account: str) -> list[Any]:
    found = server.items(f"/audit?action={action}")
    return [event["detail"] for event in reversed(found) if event["detail"].get("account") == account]


@pytest.fixture
def ann(shared_server: Server) -> Credential:
    """A person without any role."""
    return person(shared_server)


def test_the_first_password_is_shown_once_and_by_nothing_else(shared_server: Server, ann: Credential) -> None:
    assert len(ann.secret) >= 24
    shown = json.dumps([shared_server.items("/accounts"), shared_server.items("/audit?action=account.created")])
    assert ann.login in shown
    assert ann.secret not in shown
    assert events(shared_server, "account.created", ann.login) == [{"account": ann.login, "role": ""}]
    whoami = shared_server.api("GET", "/whoami", credential=ann)
    assert whoami == {"account": ann.login, "kind": "person", "role": ""}
    assert shared_server.api("GET", "/projects", credential=ann)["items"] == []


@pytest.mark.parametrize("name", ["", "Ann", "a b", "a+b", "a/b", "-a", "a" * 65, "system", "anonymous", "ä", "a\n"])
def test_a_name_that_is_none_is_422(shared_server: Server, name: str) -> None:
    assert refusal(shared_server, "POST", "/accounts", {"name": name}) == 422


@pytest.mark.parametrize("name", ["admin"])
def test_a_name_that_is_taken_is_409(shared_server: Server, name: str) -> None:
    assert refusal(shared_server, "POST", "/accounts", {"name": name}) == 409


def test_nobody_changes_his_own_roles_or_ends_his_own_account(shared_server: Server, project: str) -> None:
    before = shared_server.api("GET", "/accounts/admin")

    for method, path, body in (
        ("PUT", "/accounts/admin/roles", {"roles": ["viewer"]}),
        ("PUT", "/accounts/admin/roles", {"roles": ["admin"]}),
        ("DELETE", "/accounts/admin", None),
        ("POST", "/accounts/admin/password", None),
        ("PUT", f"/projects/{project}/members/admin", {"role": "developer"}),
        ("DELETE", f"/projects/{project}/members/admin", None),
    ):
        assert refusal(shared_server, method, path, body) == 403, path

    assert shared_server.api("GET", "/accounts/admin") == before


def test_an_admin_of_a_project_manages_its_members_and_nobody_else_s(
    shared_server: Server, project: str, robots: Robots, ann: Credential
) -> None:
    bob, other = person(shared_server), robots.stranger.login.partition("+")[0]
    shared_server.api("PUT", f"/projects/{project}/members/{ann.login}", {"role": "admin"})

    given = shared_server.api("PUT", f"/projects/{project}/members/{bob.login}", {"role": "viewer"}, credential=ann)
    shared_server.api("PUT", f"/projects/{project}/members/{bob.login}", {"role": "developer"}, credential=ann)

    assert (given["account"], given["role"]) == (bob.login, "viewer")
    listed = shared_server.api("GET", f"/projects/{project}/members", credential=ann)["items"]
    assert {item["account"]: item["role"] for item in listed} == {ann.login: "admin", bob.login: "developer"}
    own = f"/projects/{project}/members/{ann.login}"
    assert refusal(shared_server, "PUT", own, {"role": "viewer"}, ann) == 403
    assert refusal(shared_server, "DELETE", own, None, ann) == 403
    assert refusal(shared_server, "PUT", f"/projects/{other}/members/{bob.login}", {"role": "viewer"}, ann) == 404
    assert refusal(shared_server, "GET", f"/projects/{project}/members", None, bob) == 403
    assert refusal(shared_server, "GET", "/accounts", None, ann) == 403
    assert refusal(shared_server, "POST", "/accounts", {"name": "eve"}, ann) == 403
    assert refusal(shared_server, "PUT", f"/accounts/{bob.login}/roles", {"roles": ["admin"]}, ann) == 403
    shared_server.api("DELETE", f"/projects/{project}/members/{bob.login}", credential=ann)
    assert refusal(shared_server, "DELETE", f"/projects/{project}/members/{bob.login}", None, ann) == 404
    assert events(shared_server, "member.changed", bob.login) == [
        {"account": bob.login, "role": "viewer", "before": ""},
        {"account": bob.login, "role": "developer", "before": "viewer"},
    ]
    assert events(shared_server, "member.removed", bob.login) == [{"account": bob.login, "before": "developer"}]


def test_a_robot_is_no_member(shared_server: Server, project: str, robots: Robots) -> None:
    path = f"/projects/{project}/members/{robots.developer.login.replace('+', '%2B')}"

    assert refusal(shared_server, "PUT", path, {"role": "admin"}) == 404
    assert shared_server.items(f"/projects/{project}/members") == []


def test_a_role_is_kept_since_it_was_given_and_not_since_it_was_given_again(
    shared_server: Server, project: str, ann: Credential
) -> None:
    path = f"/projects/{project}/members/{ann.login}"
    nothing = shared_server.api("GET", path)
    first = shared_server.api("PUT", path, {"role": "viewer"})
    again = shared_server.api("PUT", path, {"role": "viewer"})
    other = shared_server.api("PUT", path, {"role": "developer"})

    assert nothing == {"account": ann.login, "role": None, "granted_at": None}
    assert first["granted_at"] == again["granted_at"] < other["granted_at"]
    assert len(events(shared_server, "member.changed", ann.login)) == 2


def test_site_roles_are_set_as_a_whole_and_open_every_project(shared_server: Server, ann: Credential) -> None:
    path = f"/accounts/{ann.login}"

    made = shared_server.api("PUT", f"{path}/roles", {"roles": ["viewer", "admin", "viewer"]})
    shared_server.api("POST", "/projects", {"name": f"p{uuid.uuid4().hex[:12]}"}, credential=ann)
    less = shared_server.api("PUT", f"{path}/roles", {"roles": ["viewer"]})

    assert (made["roles"], less["roles"]) == (["admin", "viewer"], ["viewer"])
    assert shared_server.api("GET", "/projects", credential=ann)["items"]
    assert refusal(shared_server, "POST", "/projects", {"name": f"p{uuid.uuid4().hex[:12]}"}, ann) == 403
    assert events(shared_server, "account.roles_changed", ann.login) == [
        {"account": ann.login, "roles": "admin, viewer", "before": ""},
        {"account": ann.login, "roles": "viewer", "before": "admin, viewer"},
    ]


@pytest.mark.parametrize("kind", ["member", "site"])
def test_roles_are_changed_by_who_saw_them_only(
    shared_server: Server, project: str, ann: Credential, kind: str
) -> None:
    shown = f"/api/v1/projects/{project}/members/{ann.login}" if kind == "member" else f"/api/v1/accounts/{ann.login}"
    changed, bodies = (
        (shown, [b'{"role": "viewer"}', b'{"role": "developer"}'])
        if kind == "member"
        else (f"{shown}/roles", [b'{"roles": ["viewer"]}', b'{"roles": []}'])
    )
    tag = str(shared_server.request("GET", shown).headers["ETag"])

    def put(body: bytes, **headers: str) -> int:
        given = {"Content-Type": "application/json", **{name.replace("_", "-"): text for name, text in headers.items()}}
        return shared_server.request("PUT", changed, body, headers=given).status

    answers = [put(bodies[0]), put(bodies[0], If_Match=tag), put(bodies[1], If_Match=tag), put(bodies[1], If_Match="*")]

    assert answers == [428, 200, 412, 200]


@pytest.mark.parametrize(
    "new",
    ["", "short", "a" * 20, "x" * 257, "{name} and more", "with\0a control character", "line\nbreak in the middle"],
)
def test_a_weak_password_is_422_and_says_why_without_repeating_it(
    shared_server: Server, ann: Credential, new: str
) -> None:
    wanted = new.format(name=ann.login.upper())
    body = json.dumps({"old": ann.secret, "new": wanted}).encode()

    answer = shared_server.request(
        "PUT", "/api/v1/auth/password", body, credential=ann, headers={"Content-Type": "application/json"}
    )

    assert answer.status == 422
    assert answer.json()["errors"][0]["pointer"] == "/new"
    assert ann.secret not in answer.data.decode()
    assert not wanted or wanted not in answer.data.decode()
    assert shared_server.api("GET", "/whoami", credential=ann)["account"] == ann.login


def test_a_password_is_changed_by_who_knows_it_only(shared_server: Server, robots: Robots, ann: Credential) -> None:
    token = shared_server.api("POST", "/auth/tokens", {"name": "leaked"}, credential=ann)["token"]
    new = "correct horse battery"

    for old in ("wrong", token, ""):
        status = refusal(shared_server, "PUT", "/auth/password", {"old": old, "new": new}, Credential(ann.login, token))
        assert status == 401
    assert refusal(shared_server, "PUT", "/auth/password", {"old": "x", "new": new}, robots.developer) == 403

    shared_server.api("PUT", "/auth/password", {"old": ann.secret, "new": new}, credential=Credential(ann.login, token))
    assert events(shared_server, "password.changed", ann.login) == [{"account": ann.login}]
    assert refusal(shared_server, "GET", "/whoami", None, ann) == 401
