"""Manifests: exact bytes, what is accepted and what not. Design: registry.md 2.2; security.md 10, classes 13 and 14."""

import base64
import json
import os
from typing import Any

import pytest

from tests.real.protocol import (
    DOCKER_LIST,
    DOCKER_MANIFEST,
    OCI_INDEX,
    OCI_LAYER,
    OCI_MANIFEST,
    Registry,
    descriptor,
    encoded,
    sha256,
)
from tests.real.server import Server

CONFIG = b'{"architecture":"amd64","os":"linux"}'
LAYER = b"layer bytes"
ABSENT = [f"sha256:{digit * 64}" for digit in "123"]


@pytest.fixture
def ready(registry: Registry, repository: str) -> str:
    """The repository, with CONFIG and LAYER in it."""
    return with_blobs(registry, repository)


@pytest.fixture(scope="module")
def kept_ready(registry: Registry, kept_project: str) -> str:
    """A repository with CONFIG and LAYER in it, to which nothing is added."""
    return with_blobs(registry, f"{kept_project}/web")


def with_blobs(registry: Registry, repository: str) -> str:
    """*repository*, with CONFIG and LAYER in it now."""
    registry.push_blob(repository, CONFIG)
    registry.push_blob(repository, LAYER)
    return repository


def manifest(**fields: Any) -> dict[str, Any]:
    """An image of CONFIG and LAYER with *fields* added or replaced; those of value ... left out."""
    document = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": descriptor(CONFIG, "application/vnd.oci.image.config.v1+json"),
        "layers": [descriptor(LAYER, OCI_LAYER)],
        **fields,
    }
    return {key: value for key, value in document.items() if value is not ...}


def nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


def docker_image() -> bytes:
    return encoded(
        manifest(
            mediaType=DOCKER_MANIFEST,
            config=descriptor(CONFIG, "application/vnd.docker.container.image.v1+json"),
            layers=[descriptor(LAYER, "application/vnd.docker.image.rootfs.diff.tar.gzip")],
        )
    )


@pytest.mark.parametrize(
    ("body", "media_type"),
    [
        (encoded(manifest()), OCI_MANIFEST),
        (json.dumps(manifest(), indent=7).encode() + b"\n \n", OCI_MANIFEST),
        (encoded(manifest(annotations={"é": "ü \u2028", "x": "\ud83d\ude00"}, later=[1, {"a": None}])), OCI_MANIFEST),
        (encoded(manifest(mediaType=...)), OCI_MANIFEST),
        (docker_image(), DOCKER_MANIFEST),
        (encoded(manifest(layers=[])), OCI_MANIFEST),
        (encoded(manifest(artifactType="application/vnd.example.thing")), OCI_MANIFEST),
    ],
)
def test_bytes_and_type_come_back_exactly(registry: Registry, ready: str, body: bytes, media_type: str) -> None:
    pushed = registry.put_manifest(ready, "v1", body, media_type)

    assert pushed.status == 201
    assert pushed.header("Location") == f"/v2/{ready}/manifests/{sha256(body)}"
    assert pushed.header("Docker-Content-Digest") == sha256(body)
    for reference in ("v1", sha256(body)):
        got = registry.ask("GET", f"/v2/{ready}/manifests/{reference}", headers={"Accept": "application/json"})
        head = registry.ask("HEAD", f"/v2/{ready}/manifests/{reference}")
        assert (got.status, got.body, got.header("Content-Type")) == (200, body, media_type)
        for answer in (got, head):
            assert answer.header("Content-Length") == str(len(body))
            assert answer.header("Docker-Content-Digest") == sha256(body)
            assert answer.header("ETag") == f'"{sha256(body)}"'


@pytest.mark.parametrize(
    ("index", "child", "index_type", "child_type"),
    [
        ("oci", encoded(manifest()), OCI_INDEX, OCI_MANIFEST),
        ("docker", docker_image(), DOCKER_LIST, DOCKER_MANIFEST),
    ],
)
def test_an_index_holds_what_is_there(
    registry: Registry, ready: str, index: str, child: bytes, index_type: str, child_type: str
) -> None:
    platform = {"os": "linux", "architecture": "arm64", "variant": "v8"}
    entry = descriptor(child, child_type, platform=platform)
    body = encoded({"schemaVersion": 2, "mediaType": index_type, "manifests": [entry], "annotations": {"k": index}})

    early = registry.put_manifest(ready, index, body, index_type)
    registry.put_manifest(ready, sha256(child), child, child_type)
    pushed = registry.put_manifest(ready, index, body, index_type)

    assert early.refusal == (404, "MANIFEST_BLOB_UNKNOWN")
    assert pushed.status == 201
    got = registry.ask("GET", f"/v2/{ready}/manifests/{index}", headers={"Accept": child_type})
    assert (got.body, got.header("Content-Type")) == (body, index_type)


def test_an_index_may_hold_an_index_and_blobs(registry: Registry, ready: str) -> None:
    """BuildKit's cache lists layers in an index: entries are looked up by media type, not by place."""
    inner = encoded({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [descriptor(LAYER, OCI_LAYER)]})
    outer = encoded({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [descriptor(inner, OCI_INDEX)]})
    empty = encoded({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": []})

    answers = [
        registry.put_manifest(ready, tag, body, OCI_INDEX)
        for tag, body in (("inner", inner), ("outer", outer), ("empty", empty))
    ]

    assert [answer.status for answer in answers] == [201, 201, 201]


def test_each_missing_digest_is_named(registry: Registry, ready: str) -> None:
    layers = [{"mediaType": OCI_LAYER, "digest": digest, "size": 1} for digest in (*ABSENT, ABSENT[0])]

    refused = registry.put_manifest(ready, "v1", encoded(manifest(layers=layers)))

    assert refused.status == 404
    errors = refused.json["errors"]
    assert {error["code"] for error in errors} == {"MANIFEST_BLOB_UNKNOWN"}
    assert sorted(error["detail"]["digest"] for error in errors) == ABSENT
    assert registry.ask("GET", f"/v2/{ready}/manifests/v1").refusal == (404, "MANIFEST_UNKNOWN")


def test_foreign_layers_and_subjects_may_be_absent(registry: Registry, ready: str) -> None:
    foreign = {
        "mediaType": "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
        "digest": ABSENT[0],
        "size": 99,
        "urls": ["https://example.org/layer"],
    }
    subject = {"mediaType": OCI_MANIFEST, "digest": ABSENT[1], "size": 7}
    body = encoded(manifest(layers=[foreign, descriptor(LAYER, OCI_LAYER)], subject=subject))

    pushed = registry.put_manifest(ready, "v1", body)

    assert pushed.status == 201
    assert pushed.header("OCI-Subject") == ABSENT[1]
    assert registry.ask("GET", f"/v2/{ready}/manifests/v1").body == body


def test_a_size_that_is_not_the_blob_s_is_refused(registry: Registry, ready: str) -> None:
    lying = descriptor(LAYER, OCI_LAYER) | {"size": len(LAYER) + 1}

    assert registry.put_manifest(ready, "v1", encoded(manifest(layers=[lying]))).refusal == (400, "SIZE_INVALID")


def test_a_project_may_take_wrong_sizes_from_old_tools(shared_server: Server, registry: Registry, ready: str) -> None:
    lying = encoded(manifest(layers=[descriptor(LAYER, OCI_LAYER) | {"size": len(LAYER) + 1}]))
    project = f"/projects/{ready.partition('/')[0]}"

    shared_server.api("PATCH", project, {"strict_sizes": False})
    assert registry.put_manifest(ready, "v1", lying).status == 201
    absent = encoded(manifest(layers=[{"mediaType": OCI_LAYER, "digest": ABSENT[0], "size": 1}]))
    assert registry.put_manifest(ready, "v2", absent).refusal == (404, "MANIFEST_BLOB_UNKNOWN")
    shared_server.api("PATCH", project, {"strict_sizes": True})
    assert registry.put_manifest(ready, "v1", lying + b" ").refusal == (400, "SIZE_INVALID")


INVALID: dict[str, bytes] = {
    "empty": b"",
    "not JSON": b"hello",
    "cut": encoded(manifest())[:-1],
    "two documents": encoded(manifest()) * 2,
    "a list": b"[]",
    "a number": b"2",
    "null": b"null",
    "UTF-16": json.dumps(manifest()).encode("utf-16"),
    "a byte order mark": b"\xef\xbb\xbf" + encoded(manifest()),
    "bad UTF-8": encoded(manifest(note="x")).replace(b'"x"', b'"\xff\xfe"'),
    "doubled key": encoded(manifest()).replace(b'"layers"', b'"layers":[],"layers"'),
    "doubled key inside": encoded(manifest()).replace(b'"size"', b'"size":1,"size"', 1),
    "NaN": encoded(manifest(note=1)).replace(b'"note":1', b'"note":NaN'),
    "Infinity": encoded(manifest(note=1)).replace(b'"note":1', b'"note":-Infinity'),
    "1e999": encoded(manifest(note=1)).replace(b'"note":1', b'"note":1e999'),
    "deep": encoded(manifest(note=nested(40))),
    "very deep": b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "10,000 digits": encoded(manifest(note=1)).replace(b'"note":1', b'"note":' + b"9" * 10_000),
    "both layers and manifests": encoded(manifest(manifests=[])),
    "no config": encoded(manifest(config=...)),
    "config is a text": encoded(manifest(config="x")),
    "layers is an object": encoded(manifest(layers={})),
    "layer is null": encoded(manifest(layers=[None])),
    "layer without mediaType": encoded(manifest(layers=[{"digest": ABSENT[0], "size": 1}])),
    "layer without digest": encoded(manifest(layers=[{"mediaType": OCI_LAYER, "size": 1}])),
    "negative size": encoded(manifest(layers=[descriptor(LAYER, OCI_LAYER) | {"size": -1}])),
    "size over 2^63": encoded(manifest(layers=[descriptor(LAYER, OCI_LAYER) | {"size": 2**63}])),
    "size 1.0": encoded(manifest(layers=[descriptor(LAYER, OCI_LAYER) | {"size": 11.0}])),
    "size true": encoded(manifest(layers=[descriptor(LAYER, OCI_LAYER) | {"size": True}])),
    "1,001 layers": encoded(manifest(layers=[descriptor(LAYER, OCI_LAYER)] * 1001)),
    "data of other bytes": encoded(
        manifest(layers=[descriptor(LAYER, OCI_LAYER, data=base64.b64encode(b"other bytes").decode())])
    ),
    "data is no base64": encoded(manifest(layers=[descriptor(LAYER, OCI_LAYER, data="***")])),
    "annotations is a list": encoded(manifest(layers=[descriptor(LAYER, OCI_LAYER, annotations=[1])])),
    "schemaVersion 3": encoded(manifest(schemaVersion=3)),
    "schemaVersion 2 as text": encoded(manifest(schemaVersion="2")),
    "schemaVersion 2.0": encoded(manifest(schemaVersion=2.0)),
    "Layers beside layers": encoded(manifest(Layers=[])),
    "Layers alone": encoded(manifest(layers=..., LAYERS=[descriptor(LAYER, OCI_LAYER)])),
    "Manifests in an image": encoded(manifest(Manifests=[])),
    "mediatype beside mediaType": encoded(manifest(mediatype=OCI_INDEX)),
    "a long s in schemaVersion": encoded(manifest() | {"\u017fchemaVersion": 1}),
    "Digest in a descriptor": encoded(manifest(layers=[descriptor(LAYER, OCI_LAYER, Digest=ABSENT[0])])),
    "SIZE in the config": encoded(manifest(config=descriptor(CONFIG, OCI_LAYER, SIZE=1))),
    "OS in a platform": encoded(
        manifest(
            mediaType=OCI_INDEX,
            config=...,
            layers=...,
            manifests=[descriptor(LAYER, OCI_LAYER, platform={"os": "linux", "architecture": "arm64", "OS": "x"})],
        )
    ),
    "annotations of the document": encoded(manifest(annotations={"a": 1})),
    "no schemaVersion": encoded(manifest(schemaVersion=...)),
    "artifactType is a number": encoded(manifest(artifactType=1)),
    "subject is a text": encoded(manifest(subject="x")),
    "an index's type": encoded(manifest(mediaType=OCI_INDEX)),
    "schema 1": encoded({"schemaVersion": 1, "name": "x", "tag": "y", "fsLayers": [], "history": []}),
    "unknown type": encoded(manifest(mediaType="application/vnd.example+json")),
    "withdrawn artifact": encoded(
        {"schemaVersion": 2, "mediaType": "application/vnd.oci.artifact.manifest.v1+json", "blobs": []}
    ),
}


@pytest.mark.parametrize("case", INVALID)
def test_a_document_with_two_meanings_or_none_is_refused(registry: Registry, kept_ready: str, case: str) -> None:
    for headers in ({"Content-Type": OCI_MANIFEST}, {}):
        refused = registry.ask("PUT", f"/v2/{kept_ready}/manifests/v1", INVALID[case], headers)
        assert refused.refusal == (400, "MANIFEST_INVALID")

    assert registry.ask("GET", f"/v2/{kept_ready}/manifests/v1").refusal == (404, "MANIFEST_UNKNOWN")


def test_keys_of_annotations_and_foreign_fields_have_no_case_to_mind(registry: Registry, ready: str) -> None:
    body = encoded(
        manifest(annotations={"Size": "1", "Layers": "x", "layers": "y"}, other={"Digest": "x", "digest": "y"})
    )

    assert registry.put_manifest(ready, "v1", body).status == 201


@pytest.mark.parametrize("pointer", ["config", "layers", "subject"])
def test_a_descriptor_s_digest_must_be_one(registry: Registry, ready: str, pointer: str) -> None:
    broken = {"mediaType": OCI_LAYER, "digest": "sha256:xyz", "size": 1}
    body = encoded(manifest(**{pointer: [broken] if pointer == "layers" else broken}))

    assert registry.put_manifest(ready, "v1", body).refusal == (400, "DIGEST_INVALID")


@pytest.mark.parametrize(
    ("announced", "reason"),
    [
        (DOCKER_MANIFEST, "differ"),
        (OCI_INDEX, "differ"),
        ("application/vnd.docker.distribution.manifest.v1+prettyjws", "schema 1"),
        ("application/vnd.docker.distribution.manifest.v1+json", "schema 1"),
        ("text/plain", "differ"),
    ],
)
def test_a_type_that_disagrees_is_refused(registry: Registry, ready: str, announced: str, reason: str) -> None:
    refused = registry.put_manifest(ready, "v1", encoded(manifest()), announced)

    assert refused.refusal == (400, "MANIFEST_INVALID")
    assert reason in refused.message


def test_a_withdrawn_type_is_refused_with_the_way_out(registry: Registry, ready: str) -> None:
    type_ = "application/vnd.oci.artifact.manifest.v1+json"

    refused = registry.put_manifest(ready, "v1", encoded({"schemaVersion": 2, "mediaType": type_}), type_)

    assert "artifactType" in refused.message


@pytest.mark.parametrize("announced", [f"{OCI_MANIFEST}; charset=utf-8", OCI_MANIFEST.upper(), ""])
def test_parameters_case_and_absence_of_the_type_are_no_matter(registry: Registry, ready: str, announced: str) -> None:
    body = encoded(manifest())

    assert registry.put_manifest(ready, "v1", body, announced).status == 201
    assert registry.ask("GET", f"/v2/{ready}/manifests/v1").header("Content-Type") == OCI_MANIFEST


def test_a_manifest_pushed_by_digest_must_have_it(registry: Registry, ready: str) -> None:
    body = encoded(manifest())

    assert registry.put_manifest(ready, sha256(b"other"), body).refusal == (400, "DIGEST_INVALID")
    assert registry.put_manifest(ready, sha256(body), body).status == 201
    assert registry.ask("GET", f"/v2/{ready}/tags/list").json["tags"] == []


def test_a_body_of_4_mib_is_taken_and_one_byte_more_is_413(registry: Registry, ready: str) -> None:
    bare = encoded(manifest(annotations={"pad": ""}))
    whole = bare.replace(b'"pad":""', b'"pad":"' + b"x" * (4 * 2**20 - len(bare)) + b'"')
    assert len(whole) == 4 * 2**20

    assert registry.put_manifest(ready, "v1", whole).status == 201
    over = registry.ask("PUT", f"/v2/{ready}/manifests/v2", iter([whole, b" "]), {"Content-Type": OCI_MANIFEST})
    assert over.refusal == (413, "SIZE_INVALID")
    assert registry.ask("HEAD", f"/v2/{ready}/manifests/v2").status == 404


@pytest.mark.parametrize("tag", ["-x", ".x", "a" * 129, "a+b", "%C3%A9", "a%2Fb", "@", "a%20b"])
def test_what_is_no_tag_is_refused(registry: Registry, ready: str, tag: str) -> None:
    assert registry.put_manifest(ready, tag, encoded(manifest())).refusal == (400, "MANIFEST_INVALID")
    assert registry.ask("GET", f"/v2/{ready}/manifests/{tag}").refusal == (400, "MANIFEST_INVALID")


@pytest.mark.parametrize("reference", ["sha256:zz", "latest:1", "sha256:" + "a" * 63, "sha1:" + "a" * 40, ":"])
def test_what_is_no_digest_is_refused(registry: Registry, ready: str, reference: str) -> None:
    assert registry.put_manifest(ready, reference, encoded(manifest())).refusal == (400, "DIGEST_INVALID")
    assert registry.ask("GET", f"/v2/{ready}/manifests/{reference}").refusal == (400, "DIGEST_INVALID")


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_what_the_client_has_is_304(registry: Registry, ready: str, method: str) -> None:
    body = encoded(manifest())
    registry.put_manifest(ready, "v1", body)

    same = registry.ask(method, f"/v2/{ready}/manifests/v1", headers={"If-None-Match": f'"{sha256(body)}"'})
    other = registry.ask(method, f"/v2/{ready}/manifests/v1", headers={"If-None-Match": f'"{ABSENT[0]}"'})

    assert (same.status, same.body) == (304, b"")
    assert other.status == 200


def test_a_tag_moves(registry: Registry, repository: str) -> None:
    old = registry.push_image(repository, "v1", [os.urandom(10)])
    new = registry.push_image(repository, "v1", [os.urandom(10)])

    assert registry.ask("HEAD", f"/v2/{repository}/manifests/v1").header("Docker-Content-Digest") == new
    assert registry.ask("HEAD", f"/v2/{repository}/manifests/{old}").status == 200


def test_a_deleted_tag_leaves_its_manifest(registry: Registry, repository: str) -> None:
    digest = registry.push_image(repository, "v1")

    assert registry.ask("DELETE", f"/v2/{repository}/manifests/v1").status == 202
    assert registry.ask("GET", f"/v2/{repository}/manifests/v1").refusal == (404, "MANIFEST_UNKNOWN")
    assert registry.ask("DELETE", f"/v2/{repository}/manifests/v1").refusal == (404, "MANIFEST_UNKNOWN")
    assert registry.ask("HEAD", f"/v2/{repository}/manifests/{digest}").status == 200


def test_a_deleted_manifest_takes_its_tags_along_and_lives_again_by_a_push(registry: Registry, ready: str) -> None:
    body = encoded(manifest())
    for tag in ("v1", "v2"):
        registry.put_manifest(ready, tag, body)

    assert registry.ask("DELETE", f"/v2/{ready}/manifests/{sha256(body)}").status == 202
    for reference in ("v1", "v2", sha256(body)):
        assert registry.ask("GET", f"/v2/{ready}/manifests/{reference}").refusal == (404, "MANIFEST_UNKNOWN")
    assert registry.ask("DELETE", f"/v2/{ready}/manifests/{sha256(body)}").refusal == (404, "MANIFEST_UNKNOWN")
    assert registry.ask("GET", f"/v2/{ready}/tags/list").json["tags"] == []
    assert registry.put_manifest(ready, "v1", body).status == 201
    assert registry.ask("GET", f"/v2/{ready}/manifests/v1").body == body


def test_a_child_of_a_live_index_stays(registry: Registry, ready: str) -> None:
    child = encoded(manifest())
    index = encoded({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [descriptor(child, OCI_MANIFEST)]})
    registry.put_manifest(ready, "child", child)
    registry.put_manifest(ready, "index", index, OCI_INDEX)

    refused = registry.ask("DELETE", f"/v2/{ready}/manifests/{sha256(child)}")

    assert refused.refusal == (405, "UNSUPPORTED")
    assert "listed by index index" in refused.message
    assert refused.json["errors"][0]["detail"]["parents"] == [{"digest": sha256(index), "tags": ["index"]}]
    assert registry.ask("HEAD", f"/v2/{ready}/manifests/child").status == 200
    assert registry.ask("DELETE", f"/v2/{ready}/manifests/{sha256(index)}").status == 202
    assert registry.ask("DELETE", f"/v2/{ready}/manifests/{sha256(child)}").status == 202


def test_what_is_not_there_says_what_is_missing(registry: Registry, project: str, ready: str) -> None:
    assert registry.ask("GET", f"/v2/{ready}/manifests/none").refusal == (404, "MANIFEST_UNKNOWN")
    assert registry.ask("GET", f"/v2/{ready}/manifests/{ABSENT[0]}").refusal == (404, "MANIFEST_UNKNOWN")
    assert registry.ask("GET", f"/v2/{project}/none/manifests/v1").refusal == (404, "NAME_UNKNOWN")
    assert registry.ask("GET", f"/v2/{project}/none/tags/list").refusal == (404, "NAME_UNKNOWN")
    assert registry.ask("DELETE", f"/v2/{project}/none/manifests/v1").refusal == (404, "NAME_UNKNOWN")
    assert registry.ask("GET", f"/v2/{project}/none/blobs/{ABSENT[0]}").refusal == (404, "NAME_UNKNOWN")


@pytest.mark.one_server
@pytest.mark.parametrize("method", ["POST", "PATCH", "OPTIONS", "TRACE", "BREW"])
def test_a_method_that_means_nothing_is_refused(registry: Registry, ready: str, method: str) -> None:
    assert registry.ask(method, f"/v2/{ready}/manifests/v1").refusal == (405, "UNSUPPORTED")
