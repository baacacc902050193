"""Every kind of document goes in, is listed, comes back and goes out again, by sha256 and by sha512.

The rules are those that the conformance program of the distribution specification checks, document by document.
"""

import base64
import hashlib
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlencode

import pytest

from tests.real.protocol import OCI_CONFIG, OCI_INDEX, OCI_LAYER, OCI_MANIFEST, Registry, encoded

EMPTY: Final = "application/vnd.oci.empty.v1+json"
REPORT, SIGNATURE = "application/vnd.example.report", "application/vnd.example.signature"
PLATFORMS: Final = (("linux", "amd64"), ("linux", "arm64"))


@dataclass(slots=True)
class Content:
    """Documents that belong together, made with one algorithm: blobs and manifests in the order to push them."""

    algorithm: str
    blobs: dict[str, bytes] = field(default_factory=dict)
    manifests: dict[str, tuple[bytes, str]] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    referrers: dict[str, list[tuple[str, str]]] = field(default_factory=dict)
    """Subject → digest and artifact type of each that refers to it, in order."""

    def digest(self, data: bytes) -> str:
        return f"{self.algorithm}:{hashlib.new(self.algorithm, data).hexdigest()}"

    def blob(self, media_type: str, data: bytes | None = None) -> dict[str, Any]:
        """The descriptor of a new blob; its bytes are random unless *data* says which."""
        data = os.urandom(512) if data is None else data
        self.blobs[self.digest(data)] = data
        return {"mediaType": media_type, "digest": self.digest(data), "size": len(data)}

    def add(self, document: dict[str, Any], tag: str = "", artifact_type: str = "") -> dict[str, Any]:
        """The descriptor of *document*, which is to be pushed; artifact_type: that of its entry among referrers."""
        body = encoded({"schemaVersion": 2, **document})
        digest, media_type = self.digest(body), document["mediaType"]
        self.manifests[digest] = (body, media_type)
        if tag:
            self.tags[tag] = digest
        if "subject" in document:
            self.referrers.setdefault(document["subject"]["digest"], []).append((digest, artifact_type))
        return {"mediaType": media_type, "digest": digest, "size": len(body)}

    def image(self, tag: str = "", layers: int = 2, **more: Any) -> dict[str, Any]:
        config = self.blob(OCI_CONFIG, encoded({"architecture": "amd64", "os": "linux", "id": os.urandom(8).hex()}))
        listed = [self.blob(OCI_LAYER) for _ in range(layers)]
        document = {"mediaType": OCI_MANIFEST, "config": config, "layers": listed, **more}
        return self.add(document, tag, OCI_CONFIG)

    def artifact(self, tag: str = "", kind: str = REPORT, **more: Any) -> dict[str, Any]:
        config = self.blob(EMPTY, b"{}")
        document = {"artifactType": kind, "config": config, "layers": [self.blob(kind)], **more}
        return self.add({"mediaType": OCI_MANIFEST, **document}, tag, kind)

    def index(self, children: Sequence[dict[str, Any]], tag: str = "", **more: Any) -> dict[str, Any]:
        document = {"mediaType": OCI_INDEX, "manifests": list(children), **more}
        return self.add(document, tag, str(more.get("artifactType", "")))

    def platforms(self) -> list[dict[str, Any]]:
        return [self.image() | {"platform": {"os": os_, "architecture": arch}} for os_, arch in PLATFORMS]


def with_subjects(content: Content) -> None:
    image = content.image("image")
    content.image(subject=image)
    content.artifact("report", subject=image, annotations={"org.example.n": "1"})
    content.artifact("signature", SIGNATURE, subject=image, annotations={"org.example.n": "2"})
    content.index([], "list", subject=image, artifactType=SIGNATURE)


def with_data(content: Content) -> None:
    config, layer = (
        content.blob(media_type, data) | {"data": base64.b64encode(data).decode()}
        for media_type, data in ((EMPTY, b"{}"), (REPORT, b"report"))
    )
    content.add({"mediaType": OCI_MANIFEST, "artifactType": REPORT, "config": config, "layers": [layer]}, "data")


def not_to_distribute(content: Content) -> None:
    absent = {
        "mediaType": "application/vnd.oci.image.layer.nondistributable.v1.tar",
        "digest": content.digest(os.urandom(9)),
        "size": 9,
        "urls": ["https://layers.example/9"],
    }
    config = content.blob(OCI_CONFIG, b"{}")
    content.add({"mediaType": OCI_MANIFEST, "config": config, "layers": [absent, content.blob(OCI_LAYER)]}, "windows")


KINDS: Final[dict[str, Callable[[Content], Any]]] = {
    "an image": lambda content: content.image("image"),
    "an image of 3 MiB of annotations": lambda content: content.image("large", annotations={"pad": "x" * (3 << 20)}),
    "an image without layers": lambda content: content.image("bare", layers=0),
    "fields of a later specification": lambda content: content.image("later", org_example={"a": [1, None, "é"]}),
    "an index": lambda content: content.index(content.platforms(), "index"),
    "an index of indexes": lambda content: content.index(
        [content.index(content.platforms()) for _ in range(2)], "nested"
    ),
    "an empty index": lambda content: content.index([], "none"),
    "an artifact": lambda content: content.artifact("artifact"),
    "an index of artifacts": lambda content: content.index(
        [content.artifact() for _ in range(2)], "artifacts", artifactType=REPORT
    ),
    "referrers of an image": with_subjects,
    "a referrer of nothing": lambda content: content.artifact(
        "early", subject={"mediaType": OCI_MANIFEST, "digest": content.digest(os.urandom(9)), "size": 9}
    ),
    "an index that refers": lambda content: content.index(
        content.platforms(), "refers", subject=content.image("subject")
    ),
    "data in descriptors": with_data,
    "layers not to distribute": not_to_distribute,
    "the empty blob": lambda content: content.add(
        {"mediaType": OCI_MANIFEST, "config": content.blob(EMPTY, b"{}"), "layers": [content.blob(OCI_LAYER, b"")]},
        "empty",
    ),
}


def push(registry: Registry, repository: str, content: Content) -> None:
    """All of *content* is in *repository*; tags come with the push by digest, and once more by themselves."""
    for digest, data in content.blobs.items():
        begun = registry.ask("POST", f"/v2/{repository}/blobs/uploads/?digest-algorithm={content.algorithm}", b"")
        assert begun.status == 202, begun.body
        ended = registry.ask("PUT", f"{begun.header('Location')}&digest={digest}", data)
        assert (ended.status, ended.header("Docker-Content-Digest")) == (201, digest), ended.body
    subjects = {digest: subject for subject, entries in content.referrers.items() for digest, _ in entries}
    for digest, (body, media_type) in content.manifests.items():
        tags = [tag for tag, named in content.tags.items() if named == digest]
        query = urlencode([("tag", tag) for tag in tags])
        path = f"/v2/{repository}/manifests/{digest}?{query}"
        pushed = registry.ask("PUT", path, body, {"Content-Type": media_type})
        assert (pushed.status, pushed.header("Docker-Content-Digest")) == (201, digest), pushed.body
        assert pushed.headers.get_all("OCI-Tag", []) == tags
        assert pushed.header("OCI-Subject") == subjects.get(digest, "")
        for tag in tags if content.algorithm == "sha256" else ():
            again = registry.put_manifest(repository, tag, body, media_type)
            assert (again.status, again.header("Docker-Content-Digest")) == (201, digest)


@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_of_document_lives_from_push_to_delete(
    registry: Registry, repository: str, kind: str, algorithm: str
) -> None:
    content = Content(algorithm)
    KINDS[kind](content)

    push(registry, repository, content)

    for reference, digest in [*content.tags.items(), *((digest, digest) for digest in content.manifests)]:
        body, media_type = content.manifests[digest]
        head = registry.ask("HEAD", f"/v2/{repository}/manifests/{reference}")
        got = registry.ask("GET", f"/v2/{repository}/manifests/{reference}")
        assert got.body == body
        for answer in (head, got):
            assert (answer.status, answer.header("Content-Type")) == (200, media_type)
            assert answer.header("Content-Length") == str(len(body))
            assert answer.header("Docker-Content-Digest") == digest
    for digest, data in content.blobs.items():
        got = registry.ask("GET", f"/v2/{repository}/blobs/{digest}")
        assert (got.body, got.header("Docker-Content-Digest")) == (data, digest)
    listed = sorted(content.tags)
    assert registry.ask("GET", f"/v2/{repository}/tags/list").json["tags"] == listed
    for n, last in enumerate(listed, 1):
        assert registry.ask("GET", f"/v2/{repository}/tags/list?last={last}").json["tags"] == listed[n:]
    for subject, entries in content.referrers.items():
        found = registry.ask("GET", f"/v2/{repository}/referrers/{subject}").json["manifests"]
        assert [(entry["digest"], entry.get("artifactType", "")) for entry in found] == entries
        for wanted in {each for _, each in entries if each}:
            query = urlencode({"artifactType": wanted})
            answer = registry.ask("GET", f"/v2/{repository}/referrers/{subject}?{query}")
            assert answer.header("OCI-Filters-Applied") == "artifactType"
            assert [entry["digest"] for entry in answer.json["manifests"]] == [
                digest for digest, each in entries if each == wanted
            ]

    for tag, digest in content.tags.items():
        assert registry.ask("DELETE", f"/v2/{repository}/manifests/{tag}").status == 202
        assert registry.ask("HEAD", f"/v2/{repository}/manifests/{tag}").status == 404
        assert registry.ask("HEAD", f"/v2/{repository}/manifests/{digest}").status == 200
    # Parents come after what they need, so the other way round nothing is needed any more.
    for digest in reversed(content.manifests):
        assert registry.ask("DELETE", f"/v2/{repository}/manifests/{digest}").status == 202, kind
        assert registry.ask("GET", f"/v2/{repository}/manifests/{digest}").refusal == (404, "MANIFEST_UNKNOWN")
    for digest in content.blobs:
        assert registry.ask("DELETE", f"/v2/{repository}/blobs/{digest}").status == 202
        assert registry.ask("GET", f"/v2/{repository}/blobs/{digest}").refusal == (404, "BLOB_UNKNOWN")
    assert registry.ask("GET", f"/v2/{repository}/tags/list").json["tags"] == []
