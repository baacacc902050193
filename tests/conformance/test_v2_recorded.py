"""What clients that CI does not have send, request by request: docker on containerd, helm, ko, cosign, notation, oras.

The order of requests, their queries and media types are those of the clients; bodies are made here. What a client
decides on (a status, a header) is asserted where it does. More of them: test_v2_clients.py. Design: registry.md 3.
"""

import gzip
import json
from collections.abc import Iterable
from typing import Any, Final
from urllib.parse import urlencode

import pytest

from tests.conformance.conftest import Robots
from tests.real.protocol import OCI_CONFIG, OCI_INDEX, OCI_MANIFEST, Answer, Registry, descriptor, encoded, sha256
from tests.real.server import Credential, Server

GZIP_LAYER: Final = "application/vnd.oci.image.layer.v1.tar+gzip"
EMPTY: Final = "application/vnd.oci.empty.v1+json"
OCTETS: Final = {"Content-Type": "application/octet-stream"}
ACCEPT: Final = {"Accept": f"{OCI_INDEX}, {OCI_MANIFEST}, */*"}


@pytest.fixture
def robot(robots: Robots) -> Credential:
    return robots.developer


def manifest(config: tuple[bytes, str], layers: Iterable[tuple[bytes, str]], **more: Any) -> bytes:
    """A manifest of (content, media type) pairs."""
    return encoded(
        {
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "config": descriptor(*config),
            "layers": [descriptor(*layer) for layer in layers],
            **more,
        }
    )


def put_at_once(client: Registry, repository: str, data: bytes) -> None:
    """POST and one PUT with the body, as containerd and oras do, after a HEAD that is 404."""
    assert client.ask("HEAD", f"/v2/{repository}/blobs/{sha256(data)}").status == 404
    begun = client.ask("POST", f"/v2/{repository}/blobs/uploads/", b"")
    ended = client.ask("PUT", f"{begun.header('Location')}&digest={sha256(data)}", data, OCTETS)
    assert (begun.status, ended.status) == (202, 201)


def patched(client: Registry, repository: str, data: bytes, **query: str) -> Answer:
    """POST, PATCH in chunks, PUT, as go-containerregistry does, after a HEAD that is 404; or the mount's 201."""
    assert client.ask("HEAD", f"/v2/{repository}/blobs/{sha256(data)}").status == 404
    begun = client.ask("POST", f"/v2/{repository}/blobs/uploads/?{urlencode({'mount': sha256(data), **query})}", b"")
    if begun.status == 201:
        return begun
    added = client.ask("PATCH", begun.header("Location"), iter([data]), OCTETS)
    return client.ask("PUT", f"{added.header('Location')}&digest={sha256(data)}", b"", OCTETS)


def test_docker_on_containerd_pushes_an_image_with_its_attestation(
    anonymous: Registry, repository: str, robot: Credential
) -> None:
    """An index of the image and of BuildKit's provenance: children by digest, then the index by tag."""
    docker = anonymous.as_(robot).scoped(f"repository:{repository}:pull,push")
    layer, provenance = (
        gzip.compress(b"layer" * 9_000, mtime=0),
        encoded({"predicateType": "https://slsa.dev/provenance"}),
    )
    config = encoded({"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": []}})
    unknown = encoded({"architecture": "unknown", "os": "unknown", "rootfs": {"type": "layers", "diff_ids": []}})
    image = manifest((config, OCI_CONFIG), [(layer, GZIP_LAYER)])
    attested = manifest((unknown, OCI_CONFIG), [(provenance, "application/vnd.in-toto+json")])
    about = {"vnd.docker.reference.type": "attestation-manifest", "vnd.docker.reference.digest": sha256(image)}
    index = encoded(
        {
            "schemaVersion": 2,
            "mediaType": OCI_INDEX,
            "manifests": [
                descriptor(image, OCI_MANIFEST, platform={"architecture": "amd64", "os": "linux"}),
                descriptor(
                    attested, OCI_MANIFEST, annotations=about, platform={"architecture": "unknown", "os": "unknown"}
                ),
            ],
        }
    )

    assert docker.ask("HEAD", f"/v2/{repository}/manifests/v1", headers=ACCEPT).status == 404
    for data in (layer, config, provenance, unknown):
        put_at_once(docker, repository, data)
    for child in (image, attested):
        assert docker.ask("HEAD", f"/v2/{repository}/manifests/{sha256(child)}").status == 404
        assert docker.put_manifest(repository, sha256(child), child).status == 201
    assert docker.put_manifest(repository, "v1", index, OCI_INDEX).status == 201

    head = docker.ask("HEAD", f"/v2/{repository}/manifests/v1?ns={anonymous.host}", headers=ACCEPT)
    got = docker.ask("GET", f"/v2/{repository}/manifests/{head.header('Docker-Content-Digest')}", headers=ACCEPT)
    assert (head.header("Content-Type"), int(head.header("Content-Length"))) == (OCI_INDEX, len(index))
    assert got.body == index
    for child in (image, attested):
        assert docker.ask("GET", f"/v2/{repository}/manifests/{sha256(child)}", headers=ACCEPT).body == child
    assert docker.ask("GET", f"/v2/{repository}/blobs/{sha256(layer)}").body == layer


def test_docker_on_containerd_mounts_what_it_pulled_from_another_repository(
    anonymous: Registry, project: str, robot: Credential
) -> None:
    """It remembers where a layer came from, asks for pull there in the same token, and takes 201 for done."""
    source, target, layer = f"{project}/base", f"{project}/app", b"base layer" * 9_000
    anonymous.as_(robot).push_blob(source, layer)
    docker = anonymous.as_(robot).scoped(f"repository:{source}:pull", f"repository:{target}:pull,push")

    assert docker.ask("HEAD", f"/v2/{target}/blobs/{sha256(layer)}").status == 404
    query = urlencode({"mount": sha256(layer), "from": source})
    mounted = docker.ask("POST", f"/v2/{target}/blobs/uploads/?{query}", b"")

    assert (mounted.status, mounted.header("Docker-Content-Digest")) == (201, sha256(layer))
    assert docker.ask("GET", mounted.header("Location")).body == layer


def test_containerd_2_shows_the_text_of_a_403_by_a_get_after_the_head(
    shared_server: Server, registry: Registry, project: str, anonymous: Registry, robots: Robots
) -> None:
    """It has no body of a HEAD: the reason must stand in that of the GET, in the form of an error of the registry."""
    repository = f"{project}/web"
    shared_server.set_mode(project, "enforce")
    registry.push_image(repository, "v1", [b"not a layer"])
    containerd = anonymous.as_(robots.viewer).scoped(f"repository:{repository}:pull")

    head = containerd.ask("HEAD", f"/v2/{repository}/manifests/v1?ns={anonymous.host}", headers=ACCEPT)
    got = containerd.ask("GET", f"/v2/{repository}/manifests/v1?ns={anonymous.host}", headers=ACCEPT)

    assert (head.status, got.refusal) == (403, (403, "DENIED"))
    assert project in got.message or "scan" in got.message
    assert len(got.body) <= 4096


def test_helm_pushes_and_pulls_a_chart_with_its_provenance(
    anonymous: Registry, project: str, robot: Credential
) -> None:
    """`helm registry login` asks /v2/ with Basic; `+` of a version is `_` in the tag."""
    repository = f"{project}/charts/web"
    assert anonymous.as_(robot).ask("GET", "/v2/").status == 200
    helm = anonymous.as_(robot).scoped(f"repository:{repository}:pull,push")
    chart, provenance = gzip.compress(b"Chart.yaml" * 500, mtime=0), b"-----BEGIN PGP SIGNED MESSAGE-----"
    config = encoded({"name": "web", "version": "1.0.0+build.1", "apiVersion": "v2"})
    layers = [
        (chart, "application/vnd.cncf.helm.chart.content.v1.tar+gzip"),
        (provenance, "application/vnd.cncf.helm.chart.provenance.v1.prov"),
    ]
    body = manifest(
        (config, "application/vnd.cncf.helm.config.v1+json"),
        layers,
        annotations={"org.opencontainers.image.title": "web", "org.opencontainers.image.version": "1.0.0+build.1"},
    )

    for data in (chart, config, provenance):
        put_at_once(helm, repository, data)
    assert helm.ask("HEAD", f"/v2/{repository}/manifests/{sha256(body)}").status == 404
    pushed = helm.put_manifest(repository, "1.0.0_build.1", body)
    assert (pushed.status, pushed.header("Docker-Content-Digest")) == (201, sha256(body))

    tags = helm.ask("GET", f"/v2/{repository}/tags/list")
    head = helm.ask("HEAD", f"/v2/{repository}/manifests/1.0.0_build.1", headers=ACCEPT)
    got = helm.ask("GET", f"/v2/{repository}/manifests/1.0.0_build.1", headers=ACCEPT)
    assert tags.json["tags"] == ["1.0.0_build.1"]
    assert (head.header("Docker-Content-Digest"), got.body) == (sha256(body), body)
    for data in (config, chart, provenance):
        assert helm.ask("GET", f"/v2/{repository}/blobs/{sha256(data)}").body == data


def test_ko_pushes_an_index_and_an_sbom_beside_it(anonymous: Registry, project: str, robot: Credential) -> None:
    """Blobs by PATCH, with a base mounted; children by digest, the index by digest and by each tag; an `.sbom` tag."""
    base, repository = f"{project}/base", f"{project}/app"
    below, own = b"base layer" * 5_000, b"binary" * 5_000
    anonymous.as_(robot).push_blob(base, below)
    ko = anonymous.as_(robot).scoped(f"repository:{repository}:push,pull", f"repository:{base}:pull")
    children = []
    for architecture in ("amd64", "arm64"):
        config = encoded({"architecture": architecture, "os": "linux", "rootfs": {"type": "layers", "diff_ids": []}})
        child = manifest((config, OCI_CONFIG), [(below, GZIP_LAYER), (own, GZIP_LAYER)])
        for data in (below, own, config):
            if ko.ask("HEAD", f"/v2/{repository}/blobs/{sha256(data)}").status != 200:
                made = patched(ko, repository, data, **({"from": base} if data is below else {}), origin="")
                assert made.status == 201
        assert ko.put_manifest(repository, sha256(child), child).status == 201
        children.append(descriptor(child, OCI_MANIFEST, platform={"architecture": architecture, "os": "linux"}))
    index = encoded({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": children})
    sbom = b"SPDXVersion: SPDX-2.3"
    attached = manifest((b"{}", OCI_CONFIG), [(sbom, "text/spdx")])

    for reference in (sha256(index), "latest", "v1"):
        assert ko.put_manifest(repository, reference, index, OCI_INDEX).status == 201
    for data in (sbom, b"{}"):
        assert patched(ko, repository, data).status == 201
    beside = f"{sha256(index).replace(':', '-')}.sbom"
    assert ko.put_manifest(repository, beside, attached).status == 201

    assert ko.ask("GET", f"/v2/{repository}/manifests/latest", headers=ACCEPT).body == index
    assert ko.ask("GET", f"/v2/{repository}/manifests/{beside}", headers=ACCEPT).body == attached
    assert ko.ask("GET", f"/v2/{repository}/tags/list?n=1000").json["tags"] == ["latest", beside, "v1"]


@pytest.mark.parametrize("suffix", ["sig", "att"])
def test_cosign_signs_twice_under_one_tag(anonymous: Registry, repository: str, robot: Credential, suffix: str) -> None:
    """It reads the tag that signatures are under, pushes them all anew with the new one, and moves the tag."""
    cosign = anonymous.as_(robot).scoped(f"repository:{repository}:push,pull")
    image = anonymous.as_(robot).push_image(repository, "v1")
    tag = f"{image.replace(':', '-')}.{suffix}"
    media_type = "application/vnd.dev.cosign.simplesigning.v1+json"
    signed: list[bytes] = []

    for number in range(2):
        before = cosign.ask("GET", f"/v2/{repository}/manifests/{tag}", headers=ACCEPT)
        assert before.refusal == (404, "MANIFEST_UNKNOWN") if not signed else before.status == 200
        payload = encoded({"critical": {"image": {"docker-manifest-digest": image}}, "optional": {"n": number}})
        signed.append(payload)
        config = encoded({"rootfs": {"type": "layers", "diff_ids": [sha256(each) for each in signed]}})
        body = manifest((config, OCI_CONFIG), [(each, media_type) for each in signed])
        for layer in json.loads(body)["layers"]:
            layer["annotations"] = {"dev.cosignproject.cosign/signature": "MEUCIQ=="}
        for data in (payload, config):
            assert patched(cosign, repository, data).status == 201
        assert cosign.put_manifest(repository, tag, body).status == 201

    found = cosign.ask("GET", f"/v2/{repository}/manifests/{tag}", headers=ACCEPT)
    assert [layer["digest"] for layer in found.json["layers"]] == [sha256(each) for each in signed]
    assert [cosign.ask("GET", f"/v2/{repository}/blobs/{sha256(each)}").body for each in signed] == signed
    assert cosign.ask("GET", f"/v2/{repository}/manifests/v1").status == 200


def test_notation_keeps_an_index_under_the_fallback_tag(
    registry: Registry, anonymous: Registry, repository: str, robot: Credential
) -> None:
    """With `--force-referrers-tag` it reads, extends and pushes the index itself, and deletes the one before."""
    notation = anonymous.as_(robot).scoped(f"repository:{repository}:pull,push")
    image = anonymous.as_(robot).push_image(repository, "v1")
    subject = descriptor(notation.ask("GET", f"/v2/{repository}/manifests/v1").body, OCI_MANIFEST)
    tag = image.replace(":", "-")
    notation.push_blob(repository, b"{}")
    listed: list[dict[str, Any]] = []
    replaced = ""

    for number in range(2):
        envelope = encoded({"payload": number})
        notation.push_blob(repository, envelope)
        signature = manifest(
            (b"{}", "application/vnd.cncf.notary.signature"), [(envelope, "application/jose+json")], subject=subject
        )
        assert notation.put_manifest(repository, sha256(signature), signature).status == 201
        old = notation.ask("GET", f"/v2/{repository}/manifests/{tag}", headers={"Accept": OCI_INDEX})
        assert old.status == (200 if listed else 404)
        replaced = sha256(old.body) if listed else ""
        listed.append(descriptor(signature, OCI_MANIFEST, artifactType="application/vnd.cncf.notary.signature"))
        index = encoded({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": listed})
        assert notation.put_manifest(repository, tag, index, OCI_INDEX).status == 201
    swept = registry.ask("DELETE", f"/v2/{repository}/manifests/{replaced}")

    assert swept.status == 202
    by_tag = notation.ask("GET", f"/v2/{repository}/manifests/{tag}", headers={"Accept": OCI_INDEX})
    by_api = notation.ask("GET", f"/v2/{repository}/referrers/{image}")
    assert [each["digest"] for each in by_tag.json["manifests"]] == [each["digest"] for each in listed]
    assert sorted(each["digest"] for each in by_api.json["manifests"]) == sorted(each["digest"] for each in listed)
    for each in listed:
        assert notation.ask("GET", f"/v2/{repository}/manifests/{each['digest']}").status == 200


def test_oras_attaches_to_an_attachment_and_copies_it_all(anonymous: Registry, project: str, robot: Credential) -> None:
    """`oras copy -r` asks for the referrers of each, deepest last, and pushes subjects before what is about them."""
    source, target = f"{project}/from", f"{project}/to"
    oras = anonymous.as_(robot).scoped(f"repository:{source}:pull,push", f"repository:{target}:pull,push")
    image = anonymous.as_(robot).image(source)
    assert oras.put_manifest(source, "v1", image).status == 201
    put_at_once(oras, source, b"report")
    bodies = [image]
    oras.push_blob(source, b"{}")
    for kind in ("sbom", "signature"):
        bodies.append(
            manifest(
                (b"{}", EMPTY),
                [(b"report", "text/plain")],
                artifactType=f"application/vnd.example.{kind}",
                subject=descriptor(bodies[-1], OCI_MANIFEST),
            )
        )
        pushed = oras.put_manifest(source, sha256(bodies[-1]), bodies[-1])
        assert (pushed.status, pushed.header("OCI-Subject")) == (201, sha256(bodies[-2]))

    walked = [sha256(image)]
    while found := oras.ask("GET", f"/v2/{source}/referrers/{walked[-1]}").json["manifests"]:
        walked.append(found[0]["digest"])
    for digest in walked:
        body = oras.ask("GET", f"/v2/{source}/manifests/{digest}").body
        for part in [json.loads(body)["config"], *json.loads(body)["layers"]]:
            query = urlencode({"mount": part["digest"], "from": source})
            assert oras.ask("POST", f"/v2/{target}/blobs/uploads/?{query}", b"").status == 201
        assert oras.put_manifest(target, digest, body).status == 201

    assert walked == [sha256(body) for body in bodies]
    assert oras.ask("GET", f"/v2/{target}/referrers/{walked[1]}").json["manifests"][0]["digest"] == walked[2]


def test_a_client_whose_token_is_refused_in_the_middle_gets_another_and_goes_on(
    anonymous: Registry, repository: str, robot: Credential
) -> None:
    """A push longer than a token's life: 401 with the scope, a new token, and the upload is as it was."""
    first = anonymous.as_(robot).scoped(f"repository:{repository}:pull,push")
    data = b"long" * 9_000
    begun = first.ask("POST", f"/v2/{repository}/blobs/uploads/", b"")
    added = first.ask("PATCH", begun.header("Location"), iter([data[:20_000]]), OCTETS)

    refused = anonymous.with_token("no.longer.valid").ask("PATCH", added.header("Location"), data[20_000:], OCTETS)
    challenge = refused.header("WWW-Authenticate")
    scope = challenge.partition('scope="')[2].partition('"')[0]
    second = anonymous.as_(robot).scoped(scope)
    again = second.ask("PATCH", added.header("Location"), data[20_000:], OCTETS)
    ended = second.ask("PUT", f"{again.header('Location')}&digest={sha256(data)}", b"", OCTETS)

    assert refused.refusal == (401, "UNAUTHORIZED")
    assert sorted(scope.rpartition(":")[2].split(",")) == ["pull", "push"]
    assert (again.status, again.header("Range"), ended.status) == (202, f"0-{len(data) - 1}", 201)
