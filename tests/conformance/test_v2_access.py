"""Who may do what on /v2, and that absent and forbidden look alike. Design: security.md S2, 4; registry.md 2.8."""

import pytest

from tests.conformance.conftest import Robots
from tests.real.protocol import Answer, Registry, sha256
from tests.real.server import Credential

DIGEST = sha256(b"layer")
ROUTES = [
    ("GET", "manifests/v1"),
    ("HEAD", "manifests/v1"),
    ("GET", f"manifests/{DIGEST}"),
    ("PUT", "manifests/v1"),
    ("DELETE", "manifests/v1"),
    ("GET", f"blobs/{DIGEST}"),
    ("HEAD", f"blobs/{DIGEST}"),
    ("DELETE", f"blobs/{DIGEST}"),
    ("POST", "blobs/uploads/"),
    ("POST", f"blobs/uploads/?digest={DIGEST}"),
    ("GET", "blobs/uploads/01M884B74R7KNNBWFE29JRQ6NT"),
    ("PATCH", "blobs/uploads/01M884B74R7KNNBWFE29JRQ6NT"),
    ("PUT", f"blobs/uploads/01M884B74R7KNNBWFE29JRQ6NT?digest={DIGEST}"),
    ("DELETE", "blobs/uploads/01M884B74R7KNNBWFE29JRQ6NT"),
    ("GET", "tags/list"),
    ("GET", f"referrers/{DIGEST}"),
]


def seen(answer: Answer, repository: str) -> object:
    """All that a caller can see, but the time, the request's id and the name he sent himself."""
    headers = sorted(
        (name.lower(), value.replace(repository, "NAME"))
        for name, value in answer.headers.items()
        if name.lower() not in {"date", "x-request-id", "content-length"}
    )
    return answer.status, headers, answer.body.replace(repository.encode(), b"NAME")


def places(project: str) -> tuple[str, str, str]:
    """A private repository that is there; one that is not, in a project that is; one in no project."""
    return f"{project}/web", f"{project}/none", f"{project}x/web"


@pytest.fixture(scope="module")
def private(registry: Registry, kept_project: str) -> str:
    """The name of a project whose repository `web` has an image."""
    registry.push_image(f"{kept_project}/web", "v1")
    return kept_project


@pytest.mark.parametrize(("method", "rest"), ROUTES)
@pytest.mark.parametrize("by_token", [False, True], ids=["basic", "token"])
def test_absent_and_forbidden_look_alike(
    anonymous: Registry, private: str, kept_robots: Robots, method: str, rest: str, by_token: bool
) -> None:
    stranger = anonymous.as_(kept_robots.stranger)

    views = []
    for place in places(private):
        client = stranger.scoped(f"repository:{place}:pull,push,delete") if by_token else stranger
        views.append(seen(client.ask(method, f"/v2/{place}/{rest}"), place))

    assert views[0] == views[1] == views[2]
    assert isinstance(views[0], tuple)
    assert views[0][0] == 403


@pytest.mark.parametrize(("method", "rest"), ROUTES)
def test_who_is_not_known_learns_nothing(anonymous: Registry, private: str, method: str, rest: str) -> None:
    views = [seen(anonymous.ask(method, f"/v2/{place}/{rest}"), place) for place in places(private)]

    assert views[0] == views[1] == views[2]
    assert isinstance(views[0], tuple)
    assert views[0][0] == 401


def test_a_developer_pushes_and_pulls_but_does_not_delete(anonymous: Registry, repository: str, robots: Robots) -> None:
    developer = anonymous.as_(robots.developer)

    digest = developer.push_image(repository, "v1")

    assert developer.ask("GET", f"/v2/{repository}/manifests/v1").status == 200
    assert developer.ask("GET", f"/v2/{repository}/tags/list").json["tags"] == ["v1"]
    for rest in ("manifests/v1", f"manifests/{digest}", f"blobs/{DIGEST}"):
        refused = developer.ask("DELETE", f"/v2/{repository}/{rest}")
        assert refused.refusal == (403, "DENIED")
        assert "lacks repo.delete" in refused.message
    assert developer.ask("GET", f"/v2/{repository}/manifests/v1").status == 200


def test_a_viewer_pulls_and_nothing_else(
    anonymous: Registry, registry: Registry, repository: str, robots: Robots
) -> None:
    registry.push_image(repository, "v1")
    viewer = anonymous.as_(robots.viewer)

    assert viewer.ask("GET", f"/v2/{repository}/manifests/v1").status == 200
    assert viewer.ask("GET", f"/v2/{repository}/blobs/{DIGEST}").body == b"layer"
    assert viewer.ask("GET", f"/v2/{repository}/tags/list").status == 200
    for method, rest in ROUTES:
        if method in {"PUT", "POST", "PATCH", "DELETE"}:
            refused = viewer.ask(method, f"/v2/{repository}/{rest}", b"" if method in {"POST", "PATCH"} else None)
            assert refused.refusal == (403, "DENIED"), (method, rest)
            assert "has viewer" in refused.message
    assert registry.ask("GET", f"/v2/{repository}/tags/list").json["tags"] == ["v1"]


def test_a_push_creates_no_project_for_anybody(registry: Registry, anonymous: Registry, robots: Robots) -> None:
    for client in (registry, anonymous.as_(robots.developer)):
        assert client.ask("POST", "/v2/nosuchproject/web/blobs/uploads/", b"").refusal == (403, "DENIED")

    said = registry.ask("POST", "/v2/nosuchproject/web/blobs/uploads/", b"").message
    assert said == "no project nosuchproject: entrepot project create nosuchproject"


def test_an_upload_belongs_to_who_began_it(
    anonymous: Registry, registry: Registry, repository: str, robots: Robots
) -> None:
    location = registry.ask("PATCH", registry.begin(repository), b"secret").header("Location")
    developer = anonymous.as_(robots.developer)

    for method in ("GET", "PATCH", "DELETE"):
        answer = developer.ask(method, location, b"" if method == "PATCH" else None)
        assert answer.refusal == (404, "BLOB_UPLOAD_UNKNOWN")
    assert developer.ask("PUT", f"{location}&digest={sha256(b'secret')}").status == 404
    assert registry.ask("GET", location).status == 204


@pytest.mark.parametrize("secret", ["", "ent_rbt_" + "a" * 43 + "_00000000", "ent_pat_x", "x" * 2000])
def test_a_secret_that_is_none_is_401(anonymous: Registry, robots: Robots, secret: str) -> None:
    client = anonymous.as_(Credential(robots.developer.login, secret))

    answer = client.ask("GET", "/v2/", headers={})

    assert answer.refusal == (401, "UNAUTHORIZED")
    assert not secret or secret not in answer.body.decode()
