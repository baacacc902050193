"""One push, many tags: all of them or none. Spec: OCI distribution-spec, "Pushing Manifests", `tag` parameters."""

import hashlib
from urllib.parse import urlencode

import pytest

from tests.real.protocol import OCI_MANIFEST, Answer, Registry, sha256
from tests.real.server import Server


@pytest.fixture
def body(registry: Registry, repository: str) -> bytes:
    """A manifest that may be pushed."""
    return registry.image(repository)


def push(registry: Registry, repository: str, reference: str, body: bytes, *tags: str) -> Answer:
    query = urlencode([("tag", tag) for tag in tags])
    return registry.ask("PUT", f"/v2/{repository}/manifests/{reference}?{query}", body, {"Content-Type": OCI_MANIFEST})


def tags_of(registry: Registry, repository: str) -> list[str]:
    return list(registry.ask("GET", f"/v2/{repository}/tags/list").json["tags"])


def test_a_push_by_digest_names_it_by_each_tag(registry: Registry, repository: str, body: bytes) -> None:
    pushed = push(registry, repository, sha256(body), body, "1.2.3", "1.2", "1", "latest")

    assert pushed.status == 201
    assert pushed.headers.get_all("OCI-Tag") == ["1.2.3", "1.2", "1", "latest"]
    assert pushed.header("Location") == f"/v2/{repository}/manifests/{sha256(body)}"
    assert tags_of(registry, repository) == ["1", "1.2", "1.2.3", "latest"]
    for tag in ("1", "latest"):
        head = registry.ask("HEAD", f"/v2/{repository}/manifests/{tag}")
        assert head.header("Docker-Content-Digest") == sha256(body)


def test_a_push_by_tag_takes_more_tags_along(registry: Registry, repository: str, body: bytes) -> None:
    pushed = push(registry, repository, "v1", body, "v1.0", "v1.0", "v1")

    assert pushed.headers.get_all("OCI-Tag") == ["v1.0", "v1"]
    assert tags_of(registry, repository) == ["v1", "v1.0"]


def test_tags_may_come_with_sha512_which_a_push_by_tag_can_t(registry: Registry, repository: str, body: bytes) -> None:
    digest = f"sha512:{hashlib.sha512(body).hexdigest()}"

    pushed = push(registry, repository, digest, body, "far")

    assert (pushed.status, pushed.header("Docker-Content-Digest")) == (201, digest)
    got = registry.ask("GET", f"/v2/{repository}/manifests/far")
    assert (got.body, got.header("Docker-Content-Digest")) == (body, digest)
    assert push(registry, repository, digest, body + b" ").refusal == (400, "DIGEST_INVALID")
    assert registry.put_manifest(repository, "near", body).header("Docker-Content-Digest") == sha256(body)


@pytest.mark.parametrize("bad", ["", "-x", "a b", "a/b", "x" * 129])
def test_one_bad_tag_and_nothing_is_pushed(registry: Registry, repository: str, body: bytes, bad: str) -> None:
    refused = push(registry, repository, sha256(body), body, "good", bad)

    assert refused.refusal == (400, "MANIFEST_INVALID")
    assert "OCI-Tag" not in refused.headers
    assert registry.ask("GET", f"/v2/{repository}/manifests/{sha256(body)}").refusal == (404, "MANIFEST_UNKNOWN")
    assert tags_of(registry, repository) == []


def test_a_manifest_that_is_refused_leaves_all_tags_where_they_were(
    registry: Registry, repository: str, body: bytes
) -> None:
    push(registry, repository, "v1", body, "v2")
    missing = body.replace(sha256(b"layer").encode(), f"sha256:{'0' * 64}".encode())

    refused = push(registry, repository, "v1", missing, "v2", "v3")

    assert refused.refusal == (404, "MANIFEST_BLOB_UNKNOWN")
    assert tags_of(registry, repository) == ["v1", "v2"]
    assert registry.ask("HEAD", f"/v2/{repository}/manifests/v2").header("Docker-Content-Digest") == sha256(body)


def test_a_hundred_tags_are_taken_and_one_more_is_414(registry: Registry, repository: str, body: bytes) -> None:
    tags = [f"t{n:03}" for n in range(101)]

    assert push(registry, repository, sha256(body), body, *tags).refusal == (414, "UNSUPPORTED")
    assert tags_of(registry, repository) == []
    taken = push(registry, repository, sha256(body), body, *tags[:100], *tags[:100])
    assert ", ".join(taken.headers.get_all("OCI-Tag") or []).split(", ") == tags[:100]
    assert len(taken.headers) < 100
    assert tags_of(registry, repository) == tags[:100]


def test_each_tag_has_its_own_record(shared_server: Server, registry: Registry, repository: str, body: bytes) -> None:
    push(registry, repository, "a", body, "b")
    push(registry, repository, "b", body + b"\n", "c")

    events = shared_server.items(f"/audit?repository={repository}&action=tag.moved")

    assert [(event["reference"], event["digest"], event["detail"]["before"]) for event in reversed(events)] == [
        ("a", sha256(body), ""),
        ("b", sha256(body), ""),
        ("b", sha256(body + b"\n"), sha256(body)),
        ("c", sha256(body + b"\n"), ""),
    ]
