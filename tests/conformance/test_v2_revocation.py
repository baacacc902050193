"""Robots that are deleted and tokens that are revoked open nothing any more. Design: security.md S3 and 3.6."""

import time
from collections.abc import Callable

import pytest

from tests.conformance.conftest import Robots
from tests.real.protocol import Registry
from tests.real.server import ApiError, Credential, Server

POLL_SECONDS = 5.0
IN_A_ROW = 20
"""Requests that reach each of a server's web processes with certainty enough."""


def everywhere(refused: Callable[[], bool]) -> float:
    """Seconds until *refused* holds for many requests in a row, of whichever process; at most the poll and a second."""
    began = time.monotonic()
    while not all(refused() for _ in range(IN_A_ROW)):
        assert time.monotonic() - began < POLL_SECONDS + 1
    return time.monotonic() - began


def test_a_deleted_robot_s_secret_ends_at_once_and_its_tokens_within_the_poll(
    shared_server: Server, anonymous: Registry, registry: Registry, project: str, robots: Robots
) -> None:
    repository = f"{project}/web"
    registry.push_image(repository, "v1")
    basic = anonymous.as_(robots.developer)
    token = basic.scoped(f"repository:{repository}:pull,push")
    upload = token.begin(repository)
    other = anonymous.as_(robots.viewer).scoped(f"repository:{repository}:pull")
    assert token.ask("GET", f"/v2/{repository}/manifests/v1").status == 200

    shared_server.api("DELETE", f"/projects/{project}/robots/ci")

    for _ in range(IN_A_ROW):
        assert basic.ask("GET", f"/v2/{repository}/manifests/v1").status == 401
        assert basic.token().refusal == (401, "UNAUTHORIZED")
    everywhere(lambda: token.ask("GET", f"/v2/{repository}/manifests/v1").status == 401)
    assert token.ask("PATCH", upload, b"x").status == 401
    assert "revoked" in token.ask("GET", f"/v2/{repository}/manifests/v1").message
    assert other.ask("GET", f"/v2/{repository}/manifests/v1").status == 200


def test_a_deleted_robot_is_listed_no_more_and_its_name_is_free_for_another(
    shared_server: Server, anonymous: Registry, project: str, robots: Robots
) -> None:
    shared_server.api("DELETE", f"/projects/{project}/robots/ci")

    assert [item["name"] for item in shared_server.items(f"/projects/{project}/robots")] == ["kubelet"]
    with pytest.raises(ApiError) as unknown:
        shared_server.api("DELETE", f"/projects/{project}/robots/ci")
    assert unknown.value.status == 404
    anew = shared_server.create_robot(project, "ci", "viewer")
    assert anew.login == robots.developer.login
    assert anonymous.as_(anew).ask("GET", "/v2/").status == 200
    assert anonymous.as_(robots.developer).ask("GET", "/v2/").status == 401
    (again,) = [item for item in shared_server.items(f"/projects/{project}/robots") if item["name"] == "ci"]
    assert again["role"] == "viewer"
    with pytest.raises(ApiError) as taken:
        shared_server.create_robot(project, "ci")
    assert taken.value.status == 409


def test_a_robot_of_another_project_is_not_deleted_by_its_name(
    shared_server: Server, anonymous: Registry, project: str, robots: Robots
) -> None:
    other = robots.stranger.login.partition("+")[0]

    for name in ("nobody", robots.stranger.login, "../ci", "admin"):
        with pytest.raises(ApiError) as unknown:
            shared_server.api("DELETE", f"/projects/{project}/robots/{name.replace('/', '%2F')}")
        assert unknown.value.status == 404
    with pytest.raises(ApiError) as refused:
        shared_server.api("DELETE", f"/projects/{other}/robots/ci", credential=robots.developer)
    assert refused.value.status == 404

    assert anonymous.as_(robots.stranger).ask("GET", "/v2/").status == 200


def test_a_personal_token_ends_with_what_was_made_with_it_and_leaves_the_others(
    shared_server: Server, anonymous: Registry, registry: Registry, repository: str
) -> None:
    registry.push_image(repository, "v1")
    made = [shared_server.api("POST", "/auth/tokens", {"name": name}) for name in ("leaked", "kept")]
    leaked, kept = (anonymous.as_(Credential("admin", each["token"])) for each in made)
    tokens = [client.scoped(f"repository:{repository}:pull") for client in (leaked, kept)]
    names = {item["id"]: item["name"] for item in shared_server.items("/auth/tokens")}
    assert [names[each["id"]] for each in made] == ["leaked", "kept"]

    # Whoever has it may shut its door, and with nothing else in hand.
    own = Credential("admin", made[0]["token"])
    shared_server.api("DELETE", f"/auth/tokens/{made[0]['id']}", credential=own)

    assert leaked.ask("GET", "/v2/").status == 401
    everywhere(lambda: tokens[0].ask("GET", f"/v2/{repository}/manifests/v1").status == 401)
    assert tokens[1].ask("GET", f"/v2/{repository}/manifests/v1").status == 200
    assert kept.ask("GET", "/v2/").status == 200
    assert made[0]["id"] not in {item["id"] for item in shared_server.items("/auth/tokens")}
    events = shared_server.items("/audit?action=secret.revoked&actor=admin")
    assert {"account": "admin", "secret": made[0]["id"]} in [event["detail"] for event in events]


def test_nobody_revokes_another_s_token(shared_server: Server, anonymous: Registry, robots: Robots) -> None:
    made = shared_server.api("POST", "/auth/tokens", {"name": "own"})

    for id_, credential in ((made["id"], robots.developer), ("01M884B74R7KNNBWFE29JRQ6NT", None)):
        with pytest.raises(ApiError) as unknown:
            shared_server.api("DELETE", f"/auth/tokens/{id_}", credential=credential)
        assert unknown.value.status == 404
    assert shared_server.items("/auth/tokens")
    assert anonymous.as_(Credential("admin", made["token"])).ask("GET", "/v2/").status == 200


def test_a_robot_has_no_personal_tokens(shared_server: Server, robots: Robots) -> None:
    assert shared_server.api("GET", "/auth/tokens", credential=robots.developer)["items"] == []
