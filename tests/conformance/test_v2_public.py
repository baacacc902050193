"""Public projects: everybody pulls, nobody else does anything more. Design: security.md 3; registry.md 2.8."""

import base64
import json
import uuid

import pytest

from tests.conformance.conftest import Robots
from tests.real.protocol import Registry, sha256
from tests.real.server import ApiError, Server

DIGEST = sha256(b"layer")
LOG_IN = "not public, or not there: log in first (docker login, or entrepot login)"
PULLS = [
    ("GET", "manifests/v1"),
    ("HEAD", "manifests/v1"),
    ("GET", f"blobs/{DIGEST}"),
    ("HEAD", f"blobs/{DIGEST}"),
    ("GET", "tags/list"),
    ("GET", f"referrers/{DIGEST}"),
]


@pytest.fixture
def public(shared_server: Server, registry: Registry) -> str:
    """A repository with an image in a public project."""
    name = f"u{uuid.uuid4().hex[:12]}"
    shared_server.api("POST", "/projects", {"name": name, "visibility": "public"})
    registry.push_image(f"{name}/web", "v1")
    return f"{name}/web"


def become(shared_server: Server, repository: str, visibility: str) -> None:
    """The project of *repository* is private or public from now on."""
    shared_server.api("PATCH", f"/projects/{repository.partition('/')[0]}", {"visibility": visibility})


def test_the_root_and_every_path_ask_for_a_token_also_where_all_is_public(anonymous: Registry, public: str) -> None:
    """podman and skopeo read challenges at the root only: without one they would never log in."""
    assert anonymous.ask("GET", "/v2/").status == 401
    for method, rest in PULLS:
        answer = anonymous.ask(method, f"/v2/{public}/{rest}")
        assert answer.status == 401
        assert f'scope="repository:{public}:pull"' in answer.header("WWW-Authenticate")


def test_who_sends_no_credential_gets_a_token_that_pulls_what_is_public(anonymous: Registry, public: str) -> None:
    token = anonymous.token(f"repository:{public}:pull")

    assert token.status == 200
    assert token.json["expires_in"] == 300
    client = anonymous.with_token(token.json["access_token"])
    for method, rest in PULLS:
        assert client.ask(method, f"/v2/{public}/{rest}").status == 200, (method, rest)
    assert client.ask("GET", f"/v2/{public}/blobs/{DIGEST}").body == b"layer"


def test_a_form_without_a_credential_is_no_way_to_be_anonymous(anonymous: Registry) -> None:
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    for body in (b"", b"grant_type=password", b"grant_type=password&username=&password="):
        assert anonymous.ask("POST", "/v2/auth", body, form).refusal == (401, "UNAUTHORIZED")


@pytest.mark.parametrize(
    ("method", "rest"),
    [
        ("PUT", "manifests/v1"),
        ("DELETE", "manifests/v1"),
        ("DELETE", f"blobs/{DIGEST}"),
        ("POST", "blobs/uploads/"),
        ("POST", f"blobs/uploads/?mount={DIGEST}"),
        ("PATCH", "blobs/uploads/01M884B74R7KNNBWFE29JRQ6NT"),
    ],
)
def test_the_public_pulls_and_nothing_else(
    anonymous: Registry, registry: Registry, public: str, method: str, rest: str
) -> None:
    client = anonymous.scoped(f"repository:{public}:pull,push,delete")

    refused = client.ask(method, f"/v2/{public}/{rest}", b"")

    assert refused.refusal == (403, "DENIED")
    assert refused.message == LOG_IN
    assert registry.ask("GET", f"/v2/{public}/tags/list").json["tags"] == ["v1"]


def test_private_and_absent_look_alike_to_who_is_not_logged_in(
    anonymous: Registry, registry: Registry, repository: str
) -> None:
    registry.push_image(repository, "v1")
    views = []
    for place in (repository, f"{repository}x", "nosuchproject/web"):
        client = anonymous.scoped(f"repository:{place}:pull")
        for method, rest in PULLS:
            answer = client.ask(method, f"/v2/{place}/{rest}")
            views.append((method, rest, answer.status, answer.body))

    assert views[: len(PULLS)] * 3 == views
    assert {status for _, _, status, _ in views} == {403}


def test_who_has_no_role_is_not_told_who_removed_an_image(
    anonymous: Registry, registry: Registry, public: str, robots: Robots
) -> None:
    registry.ask("DELETE", f"/v2/{public}/manifests/v1")
    scope = f"repository:{public}:pull"
    stranger = anonymous.as_(robots.stranger)

    strangers = [
        client.ask("GET", f"/v2/{public}/manifests/v1")
        for client in (anonymous.scoped(scope), stranger, stranger.scoped(scope))
    ]
    insiders = [client.ask("GET", f"/v2/{public}/manifests/v1") for client in (registry, registry.scoped(scope))]

    assert {(answer.status, b"removed" in answer.body) for answer in strangers} == {(404, False)}
    assert {(answer.status, b"was removed" in answer.body) for answer in insiders} == {(404, True)}


def test_what_is_absent_in_a_public_project_is_404(anonymous: Registry, public: str) -> None:
    other = f"{public}-none"
    client = anonymous.scoped(f"repository:{public}:pull", f"repository:{other}:pull")

    assert client.ask("GET", f"/v2/{public}/manifests/none").refusal == (404, "MANIFEST_UNKNOWN")
    assert client.ask("GET", f"/v2/{other}/manifests/v1").refusal == (404, "NAME_UNKNOWN")
    assert client.ask("GET", f"/v2/{other}/referrers/{DIGEST}").json["manifests"] == []


def test_a_robot_of_another_project_pulls_what_is_public_and_hears_what_it_lacks(
    anonymous: Registry, public: str, robots: Robots
) -> None:
    for client in (
        anonymous.as_(robots.stranger),
        anonymous.as_(robots.stranger).scoped(f"repository:{public}:pull,push"),
    ):
        assert client.ask("GET", f"/v2/{public}/manifests/v1").status == 200
        refused = client.ask("POST", f"/v2/{public}/blobs/uploads/", b"")
        assert refused.refusal == (403, "DENIED")
        assert f"lacks repo.push on {public} (has no role here)" in refused.message


def test_a_project_that_ceases_to_be_public_is_shut_at_once_for_tokens_that_are_out(
    shared_server: Server, anonymous: Registry, registry: Registry, public: str, robots: Robots
) -> None:
    scope = f"repository:{public}:pull"
    outside = [anonymous.scoped(scope), anonymous.as_(robots.stranger).scoped(scope)]
    assert [client.ask("GET", f"/v2/{public}/manifests/v1").status for client in outside] == [200, 200]
    inside = registry.scoped(scope)

    become(shared_server, public, "private")

    refusals = [client.ask("GET", f"/v2/{public}/manifests/v1") for client in outside]
    assert [refused.refusal for refused in refusals] == [(403, "DENIED")] * 2
    assert refusals[0].message == LOG_IN
    assert refusals[1].message == "no such repository, or not visible to you"
    assert anonymous.as_(robots.stranger).ask("GET", f"/v2/{public}/manifests/v1").status == 403
    assert inside.ask("GET", f"/v2/{public}/manifests/v1").status == 200
    become(shared_server, public, "public")
    assert [client.ask("GET", f"/v2/{public}/manifests/v1").status for client in outside] == [200, 200]


def test_what_is_public_may_be_mounted_and_what_is_private_may_not(
    anonymous: Registry, registry: Registry, public: str, robots: Robots, repository: str
) -> None:
    registry.push_blob(repository, b"private layer")
    stranger = anonymous.as_(robots.stranger)
    target = robots.stranger.login.partition("+")[0] + "/copy"

    for client in (stranger, stranger.scoped(f"repository:{target}:pull,push")):
        mounted = client.ask("POST", f"/v2/{target}/blobs/uploads/?mount={DIGEST}&from={public}", b"")
        hidden = client.ask(
            "POST", f"/v2/{target}/blobs/uploads/?mount={sha256(b'private layer')}&from={repository}", b""
        )
        assert (mounted.status, hidden.status) == (201, 202)


def test_the_api_takes_no_anonymous_token_and_a_public_project_is_no_open_book(
    anonymous: Registry, public: str, robots: Robots
) -> None:
    project = public.partition("/")[0]
    token = anonymous.scoped(f"repository:{public}:pull")
    stranger = anonymous.as_(robots.stranger)

    assert token.ask("GET", "/api/v1/projects").status == 401
    for path in (f"projects/{project}/robots", f"projects/{project}/policy", f"repositories/{public}/-/artifacts/v1"):
        assert stranger.ask("GET", f"/api/v1/{path}").status in {403, 404}, path


def test_an_anonymous_token_names_nobody_and_its_pulls_are_recorded_as_nobody_s(
    shared_server: Server, anonymous: Registry, public: str
) -> None:
    token = anonymous.token(f"repository:{public}:pull").json["token"]
    claims = json.loads(base64.urlsafe_b64decode(token.split(".")[1] + "=="))
    anonymous.with_token(token).ask("GET", f"/v2/{public}/manifests/v1")

    assert (claims["sub"], claims["ent_kind"], claims["ent_account"], claims["ent_cred"]) == ("", "anonymous", None, "")

    def recorded() -> bool:
        found = shared_server.items(f"/audit?repository={public}&action=manifest.pulled")
        return [(event["actor"], event["actor_kind"], event["reference"]) for event in found] == [
            ("", "anonymous", "v1")
        ]

    shared_server.wait_until("the pull is in the log", recorded, 10)


def test_who_may_pull_is_changed_by_an_admin_alone_and_is_on_record(
    shared_server: Server, project: str, robots: Robots
) -> None:
    for credential in (robots.developer, robots.viewer):
        with pytest.raises(ApiError) as refused:
            shared_server.api("PATCH", f"/projects/{project}", {"visibility": "public"}, credential=credential)
        assert refused.value.status == 403
    with pytest.raises(ApiError) as hidden:
        shared_server.api("PATCH", f"/projects/{project}", {"visibility": "public"}, credential=robots.stranger)
    assert hidden.value.status == 404

    first = shared_server.api("PATCH", f"/projects/{project}", {"visibility": "public"})
    same = shared_server.api("PATCH", f"/projects/{project}", {})

    assert first == same == {"name": project, "visibility": "public", "strict_sizes": True}
    (listed,) = [item for item in shared_server.items("/projects") if item["name"] == project]
    assert listed["visibility"] == "public"
    events = shared_server.items(f"/audit?project={project}&action=project.edited")
    assert [(event["actor"], event["detail"]) for event in events] == [
        ("admin", {"visibility": "public", "strict_sizes": True})
    ]


@pytest.mark.parametrize(
    "body", [{"visibility": "open"}, {"visibility": 1}, {"strict_sizes": "no"}, {"quota": 1}, {"name": "x"}]
)
def test_a_switch_that_is_none_is_refused(shared_server: Server, project: str, body: dict[str, object]) -> None:
    with pytest.raises(ApiError) as refused:
        shared_server.api("PATCH", f"/projects/{project}", body)

    assert refused.value.status == 422
