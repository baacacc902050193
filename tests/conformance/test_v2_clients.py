"""What real clients send, request by request, replayed. Design: registry.md 3; the headers are those they send."""

from urllib.parse import urlencode

import pytest

from tests.conformance.conftest import Robots
from tests.real.protocol import DOCKER_LIST, DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST, Registry, encoded, sha256
from tests.real.server import Credential, Server

ACCEPT = {"Accept": f"{DOCKER_MANIFEST}, {OCI_MANIFEST}, {OCI_INDEX}, {DOCKER_LIST}, */*"}
OCTETS = {"Content-Type": "application/octet-stream"}
CONFIG = b'{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":[]}}'


def docker_manifest(layer: bytes) -> bytes:
    return encoded(
        {
            "schemaVersion": 2,
            "mediaType": DOCKER_MANIFEST,
            "config": {
                "mediaType": "application/vnd.docker.container.image.v1+json",
                "size": len(CONFIG),
                "digest": sha256(CONFIG),
            },
            "layers": [
                {
                    "mediaType": "application/vnd.docker.image.rootfs.diff.tar.gzip",
                    "size": len(layer),
                    "digest": sha256(layer),
                }
            ],
        }
    )


@pytest.fixture
def robot(robots: Robots) -> Credential:
    return robots.developer


def test_docker_pushes_and_pulls(anonymous: Registry, repository: str, robot: Credential) -> None:
    """The classic store: a bare GET /v2/ for the challenge, one PATCH in chunks per blob, HEAD right after the 201."""
    layer, manifest = b"docker layer" * 5000, docker_manifest(b"docker layer" * 5000)
    assert anonymous.ask("GET", "/v2/").status == 401
    login = anonymous.as_(robot).token(account=robot.login, client_id="docker", offline_token="true")
    assert anonymous.with_token(login.json["token"]).ask("GET", "/v2/").status == 200
    docker = anonymous.as_(robot).scoped(f"repository:{repository}:pull,push")

    for data in (layer, CONFIG):
        assert docker.ask("HEAD", f"/v2/{repository}/blobs/{sha256(data)}").status == 404
        begun = docker.ask("POST", f"/v2/{repository}/blobs/uploads/?from=none/such&mount={sha256(data)}", b"")
        assert begun.status == 202
        added = docker.ask("PATCH", begun.header("Location"), iter([data[:999], data[999:]]))
        assert (added.status, added.header("Range")) == (202, f"0-{len(data) - 1}")
        ended = docker.ask("PUT", f"{added.header('Location')}&{urlencode({'digest': sha256(data)})}", b"", OCTETS)
        assert ended.status == 201
        for _ in range(3):
            head = docker.ask("HEAD", f"/v2/{repository}/blobs/{sha256(data)}")
            assert (head.status, head.header("Content-Length")) == (200, str(len(data)))
    pushed = docker.put_manifest(repository, "v1", manifest, DOCKER_MANIFEST)
    assert (pushed.status, pushed.header("Docker-Content-Digest")) == (201, sha256(manifest))

    puller = anonymous.as_(robot).scoped(f"repository:{repository}:pull")
    head = puller.ask("HEAD", f"/v2/{repository}/manifests/v1", headers=ACCEPT)
    got = puller.ask("GET", f"/v2/{repository}/manifests/{head.header('Docker-Content-Digest')}", headers=ACCEPT)
    assert (head.status, got.body, got.header("Content-Type")) == (200, manifest, DOCKER_MANIFEST)
    assert puller.ask("GET", f"/v2/{repository}/blobs/{sha256(CONFIG)}").body == CONFIG
    assert puller.ask("GET", f"/v2/{repository}/blobs/{sha256(layer)}").body == layer


def test_containerd_pushes_and_pulls(anonymous: Registry, repository: str, robot: Credential) -> None:
    """HEAD first, 401 with the scope, a form for the token, then POST and one PUT; `ns` on pulls; ranges `N-`."""
    layer = b"containerd" * 10_000
    first = anonymous.ask("HEAD", f"/v2/{repository}/manifests/v1?ns={anonymous.host}", headers=ACCEPT)
    assert f'scope="repository:{repository}:pull"' in first.header("WWW-Authenticate")
    fields = {
        "grant_type": "password",
        "service": anonymous.host,
        "client_id": "containerd-client",
        "username": robot.login,
        "password": robot.secret,
        "scope": f"repository:{repository}:pull,push",
    }
    form = {"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"}
    login = anonymous.ask("POST", "/v2/auth", urlencode(fields).encode(), form)
    containerd = anonymous.with_token(login.json["access_token"])

    manifest = docker_manifest(layer)
    assert containerd.ask("HEAD", f"/v2/{repository}/manifests/v1", headers=ACCEPT).status == 404
    for data in (layer, CONFIG):
        assert containerd.ask("HEAD", f"/v2/{repository}/blobs/{sha256(data)}", headers={"Accept": "*/*"}).status == 404
        begun = containerd.ask("POST", f"/v2/{repository}/blobs/uploads/", b"")
        ended = containerd.ask("PUT", f"{begun.header('Location')}&digest={sha256(data)}", data, OCTETS)
        assert (begun.status, ended.status) == (202, 201)
    by_digest = containerd.put_manifest(repository, sha256(manifest), manifest, DOCKER_MANIFEST)
    by_tag = containerd.put_manifest(repository, "v1", manifest, DOCKER_MANIFEST)
    assert (by_digest.status, by_tag.status) == (201, 201)

    head = containerd.ask("HEAD", f"/v2/{repository}/manifests/v1?ns={anonymous.host}", headers=ACCEPT)
    assert head.header("Content-Type") == DOCKER_MANIFEST
    assert head.header("Content-Length") == str(len(manifest))
    url = f"/v2/{repository}/blobs/{sha256(layer)}?ns={anonymous.host}"
    parts = [containerd.ask("GET", url, headers={"Range": f"bytes={start}-"}) for start in (0, 40_000)]
    assert [part.status for part in parts] == [206, 206]
    assert parts[0].body[:40_000] + parts[1].body == layer


def test_skopeo_and_podman_push(anonymous: Registry, project: str, robot: Credential) -> None:
    """They ask for pull on the source with the token, and after a 202 on a mount they delete that upload."""
    layer, source, target = b"skopeo" * 9000, f"{project}/base", f"{project}/app"
    anonymous.as_(robot).push_blob(source, layer)
    assert anonymous.ask("GET", "/v2/").status == 401
    scopes = (f"repository:{target}:pull,push", f"repository:{source}:pull")
    skopeo = anonymous.as_(robot).scoped(*scopes)

    assert skopeo.ask("HEAD", f"/v2/{target}/blobs/{sha256(layer)}").status == 404
    mounted = skopeo.ask("POST", f"/v2/{target}/blobs/uploads/?from={source}&mount={sha256(layer)}", b"")
    assert mounted.status == 201
    missed = skopeo.ask("POST", f"/v2/{target}/blobs/uploads/?from={source}&mount={sha256(CONFIG)}", b"")
    assert missed.status == 202
    assert skopeo.ask("DELETE", missed.header("Location")).status == 204
    begun = skopeo.ask("POST", f"/v2/{target}/blobs/uploads/", b"")
    added = skopeo.ask("PATCH", begun.header("Location"), iter([CONFIG]), OCTETS)
    ended = skopeo.ask("PUT", f"{added.header('Location')}&digest={sha256(CONFIG)}", b"", OCTETS)
    assert (added.status, ended.status) == (202, 201)
    assert skopeo.put_manifest(target, "v1", docker_manifest(layer), DOCKER_MANIFEST).status == 201
    tags = anonymous.as_(robot).scoped(f"repository:{target}:pull").ask("GET", f"/v2/{target}/tags/list")
    assert tags.json == {"name": target, "tags": ["v1"]}


def test_crane_pushes(anonymous: Registry, repository: str, robot: Credential) -> None:
    """HEAD, POST with an empty mount source, PATCH, PUT; a `Location` on another host it would refuse."""
    layer = b"crane" * 9000
    crane = anonymous.as_(robot).scoped(f"repository:{repository}:push,pull")

    for data in (layer, CONFIG):
        assert crane.ask("HEAD", f"/v2/{repository}/blobs/{sha256(data)}").status == 404
        query = urlencode({"from": "", "mount": sha256(data), "origin": ""})
        begun = crane.ask("POST", f"/v2/{repository}/blobs/uploads/?{query}", b"", {"Content-Type": "application/json"})
        added = crane.ask("PATCH", begun.header("Location"), iter([data]))
        ended = crane.ask("PUT", f"{added.header('Location')}&digest={sha256(data)}", b"")
        assert (begun.status, added.status, ended.status) == (202, 202, 201)
        assert begun.header("Location").startswith("/v2/")
    assert crane.put_manifest(repository, "v1", docker_manifest(layer), DOCKER_MANIFEST).status == 201
    again = crane.ask("HEAD", f"/v2/{repository}/manifests/v1", headers=ACCEPT)
    assert again.header("Docker-Content-Digest") == sha256(docker_manifest(layer))


def test_buildkit_exports_its_cache_as_an_index_of_layers(
    anonymous: Registry, repository: str, robot: Credential
) -> None:
    """`--cache-to type=registry`: the index lists layers and the cache's own config, none of which is a manifest."""
    layers = [b"cache layer" * 1000, b"another" * 1000]
    config = encoded({"layers": [{"blob": sha256(layer)} for layer in layers], "records": []})
    buildkit = anonymous.as_(robot).scoped(f"repository:{repository}:pull,push")
    entries = [
        {
            "mediaType": "application/vnd.oci.image.layer.v1.tar+gzip",
            "digest": sha256(layer),
            "size": len(layer),
            "annotations": {"buildkit/createdat": "2030-01-01T00:00:00Z", "containerd.io/uncompressed": sha256(layer)},
        }
        for layer in layers
    ]
    entries.append(
        {"mediaType": "application/vnd.buildkit.cacheconfig.v0", "digest": sha256(config), "size": len(config)}
    )
    index = encoded({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries})

    early = buildkit.put_manifest(repository, "cache", index, OCI_INDEX)
    for data in (*layers, config):
        begun = buildkit.ask("POST", f"/v2/{repository}/blobs/uploads/", b"")
        assert buildkit.ask("PUT", f"{begun.header('Location')}&digest={sha256(data)}", data, OCTETS).status == 201
    pushed = buildkit.put_manifest(repository, "cache", index, OCI_INDEX)

    assert [error["detail"]["digest"] for error in early.json["errors"]] == [entry["digest"] for entry in entries]
    assert pushed.status == 201
    got = buildkit.ask("GET", f"/v2/{repository}/manifests/cache", headers=ACCEPT)
    assert (got.body, got.header("Content-Type"), got.header("Warning")) == (index, OCI_INDEX, "")
    assert buildkit.ask("DELETE", f"/v2/{repository}/blobs/{sha256(layers[0])}").status == 401


@pytest.mark.parametrize("client", ["docker", "podman", "containerd"])
def test_clients_without_a_login_pull_what_is_public(
    shared_server: Server, anonymous: Registry, registry: Registry, project: str, client: str
) -> None:
    """docker and podman ask at the root, containerd at the manifest; all fetch a token without a credential then."""
    repository = f"{project}/web"
    digest = registry.push_image(repository, "v1")
    shared_server.api("PATCH", f"/projects/{project}", {"visibility": "public"})
    first = "/v2/" if client in {"docker", "podman"} else f"/v2/{repository}/manifests/v1?ns={anonymous.host}"
    challenged = anonymous.ask("GET" if client in {"docker", "podman"} else "HEAD", first, headers=ACCEPT)
    assert challenged.status == 401
    assert challenged.header("WWW-Authenticate").startswith(f'Bearer realm="http://{anonymous.host}/v2/auth"')

    puller = anonymous.scoped(f"repository:{repository}:pull")

    head = puller.ask("HEAD", f"/v2/{repository}/manifests/v1", headers=ACCEPT)
    assert head.header("Docker-Content-Digest") == digest
    manifest = puller.ask("GET", f"/v2/{repository}/manifests/{digest}", headers=ACCEPT).json
    for part in (manifest["config"], *manifest["layers"]):
        assert len(puller.ask("GET", f"/v2/{repository}/blobs/{part['digest']}").body) == part["size"]


def test_oras_and_cosign_attach_and_discover(anonymous: Registry, repository: str, robot: Credential) -> None:
    """They trust `OCI-Subject`, then ask the referrers API; without a 404 there they keep no fallback tag."""
    oras = anonymous.as_(robot).scoped(f"repository:{repository}:pull,push")
    image = oras.push_image(repository, "v1")
    oras.push_blob(repository, b"{}")
    attached = encoded(
        {
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "artifactType": "application/vnd.example.signature.v1+json",
            "config": {"mediaType": "application/vnd.oci.empty.v1+json", "size": 2, "digest": sha256(b"{}")},
            "layers": [{"mediaType": "application/vnd.oci.empty.v1+json", "size": 2, "digest": sha256(b"{}")}],
            "subject": {"mediaType": OCI_MANIFEST, "size": 2, "digest": image},
        }
    )

    probed = oras.ask("GET", f"/v2/{repository}/referrers/sha256:{'0' * 64}")
    pushed = oras.put_manifest(repository, sha256(attached), attached)
    query = urlencode({"artifactType": "application/vnd.example.signature.v1+json"})
    found = oras.ask("GET", f"/v2/{repository}/referrers/{image}?{query}")

    assert (probed.status, probed.header("Content-Type")) == (200, OCI_INDEX)
    assert (pushed.status, pushed.header("OCI-Subject")) == (201, image)
    assert [entry["digest"] for entry in found.json["manifests"]] == [sha256(attached)]
    assert found.header("OCI-Filters-Applied") == "artifactType"


def test_oras_pushes_an_artifact(anonymous: Registry, repository: str, robot: Credential) -> None:
    """POST and PUT; the empty config `{}` is a blob like any other."""
    oras = anonymous.as_(robot).scoped(f"repository:{repository}:pull,push")
    body = encoded(
        {
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "artifactType": "application/vnd.example.report",
            "config": {"mediaType": "application/vnd.oci.empty.v1+json", "size": 2, "digest": sha256(b"{}")},
            "layers": [{"mediaType": "text/plain", "size": 6, "digest": sha256(b"report")}],
        }
    )
    for data in (b"{}", b"report"):
        oras.push_blob(repository, data)

    assert oras.put_manifest(repository, sha256(body), body).status == 201
    assert oras.put_manifest(repository, "report", body).status == 201
    got = oras.ask("GET", f"/v2/{repository}/manifests/report", headers=ACCEPT)
    assert (got.body, got.header("Warning")) == (body, "")
