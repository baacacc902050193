"""Names of repositories: the odd but legal ones work end to end, the others are refused before anything is touched."""

import pytest

from tests.real.protocol import Registry, sha256

pytestmark = pytest.mark.one_server

ODD = [
    "manifests",
    "blobs/uploads",
    "tags/list",
    "a/manifests/latest",
    "a/tags/list",
    "manifests/manifests/manifests",
    "blobs/blobs",
    "x/blobs/uploads/y",
    "v2/catalog",
    "referrers",
    "a__b/c.d/e---f/0",
    "referrers/auth",
]
ILLEGAL = [
    "Upper",
    "a%2Fb",
    "a%2fb",
    "a//b",
    "/a",
    "a/",
    ".",
    "..",
    "a/../b",
    "a/./b",
    "%2e%2e",
    "a%00b",
    "a b".replace(" ", "%20"),
    "-a",
    "a-",
    "a..b",
    "a___b",
    "a._b",
    "a_",
    "%C3%A9",
    "a" * 256,
    "a;b",
    "a:5000",
    "a@b",
    "a\\b",
]


@pytest.mark.parametrize("odd", ODD)
def test_an_odd_name_works_on_every_endpoint(registry: Registry, project: str, odd: str) -> None:
    repository = f"{project}/{odd}"

    digest = registry.push_image(repository, "list", [b"odd"])

    assert registry.ask("GET", f"/v2/{repository}/manifests/list").status == 200
    assert registry.ask("GET", f"/v2/{repository}/manifests/{digest}").status == 200
    assert registry.ask("GET", f"/v2/{repository}/blobs/{sha256(b'odd')}").body == b"odd"
    assert registry.ask("GET", f"/v2/{repository}/tags/list").json == {"name": repository, "tags": ["list"]}
    assert registry.ask("GET", f"/v2/{repository}/referrers/{digest}").json["manifests"] == []
    location = registry.ask("PATCH", registry.begin(repository), b"x").header("Location")
    assert location.startswith(f"/v2/{repository}/blobs/uploads/")
    assert registry.ask("GET", location).status == 204
    assert registry.ask("DELETE", location).status == 204
    assert registry.ask("DELETE", f"/v2/{repository}/manifests/list").status == 202
    assert registry.ask("DELETE", f"/v2/{repository}/manifests/{digest}").status == 202
    assert registry.ask("DELETE", f"/v2/{repository}/blobs/{sha256(b'odd')}").status == 202


def test_a_name_of_255_characters_works_and_one_more_is_refused(registry: Registry, project: str) -> None:
    name = f"{project}/{'a' * (254 - len(project))}"
    assert len(name) == 255

    registry.push_image(name, "v1")

    refused = registry.ask("GET", f"/v2/{name}a/manifests/v1")
    assert refused.refusal == (400, "NAME_INVALID")


@pytest.mark.parametrize("name", ILLEGAL)
@pytest.mark.parametrize(
    ("method", "rest"),
    [
        ("GET", "manifests/v1"),
        ("PUT", "manifests/v1"),
        ("GET", f"blobs/{sha256(b'')}"),
        ("POST", "blobs/uploads/"),
        ("GET", "tags/list"),
        ("GET", f"referrers/{sha256(b'')}"),
    ],
)
def test_an_illegal_name_is_refused(registry: Registry, project: str, name: str, method: str, rest: str) -> None:
    refused = registry.ask(method, f"/v2/{project}/{name}/{rest}")

    assert refused.refusal == (400, "NAME_INVALID")


@pytest.mark.parametrize("name", ["", "/", "//", "../..", "%2e%2e/%2e%2e"])
def test_a_path_around_the_project_is_no_way_in(registry: Registry, name: str) -> None:
    answer = registry.ask("GET", f"/v2/{name}/manifests/v1")

    assert answer.refusal in {(400, "NAME_INVALID"), (404, "NAME_UNKNOWN")}


@pytest.mark.parametrize(
    "path", ["_catalogs", "_catalog/x", "x", "x/y/z", "manifests/v1", "tags/list", "referrers/x", "%00"]
)
def test_a_path_that_means_nothing_is_404_for_who_is_known(registry: Registry, anonymous: Registry, path: str) -> None:
    assert registry.ask("GET", f"/v2/{path}").refusal == (404, "NAME_UNKNOWN")
    assert anonymous.ask("GET", f"/v2/{path}").refusal == (401, "UNAUTHORIZED")


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_the_root_is_200_with_and_401_without_a_credential(
    registry: Registry, anonymous: Registry, method: str
) -> None:
    known, unknown = registry.ask(method, "/v2/"), anonymous.ask(method, "/v2/")

    assert (known.status, known.header("Content-Length")) == (200, "2")
    assert unknown.status == 401
    assert unknown.header("WWW-Authenticate") == (
        f'Bearer realm="http://{anonymous.host}/v2/auth",service="{anonymous.host}"'
    )


@pytest.mark.parametrize(
    "forged",
    [
        {"Host": "evil.example"},
        {"X-Forwarded-Host": "evil.example"},
        {"X-Forwarded-Proto": "https"},
        {"Forwarded": "host=evil.example"},
    ],
)
def test_realm_and_location_never_come_from_the_request(
    anonymous: Registry, registry: Registry, repository: str, forged: dict[str, str]
) -> None:
    challenge = anonymous.ask("GET", "/v2/", headers=forged).header("WWW-Authenticate")
    begun = registry.ask("POST", f"/v2/{repository}/blobs/uploads/", b"", forged)

    assert challenge.startswith(f'Bearer realm="http://{anonymous.host}/v2/auth"')
    assert begun.header("Location").startswith("/v2/")
