"""Blobs: GET, HEAD, ranges, conditions, mounts, delete. Design: registry.md 2.4, 2.5; RFC 9110, 13 and 14."""

import os

import pytest

from tests.conformance.conftest import Robots
from tests.real.protocol import Registry, encoded, sha256
from tests.real.server import Server

DATA = bytes(range(256)) * 40
SIZE = len(DATA)
DIGEST = sha256(DATA)
EMPTY = sha256(b"")
ABSENT = sha256(b"nobody has these bytes")


@pytest.fixture
def blob(registry: Registry, repository: str) -> str:
    """The URL of DATA."""
    registry.push_blob(repository, DATA)
    return f"/v2/{repository}/blobs/{DIGEST}"


def test_a_blob_comes_back_whole(registry: Registry, blob: str) -> None:
    answer = registry.ask("GET", blob)

    assert (answer.status, answer.body) == (200, DATA)
    assert answer.header("Content-Length") == str(SIZE)
    assert answer.header("Content-Type") == "application/octet-stream"
    assert answer.header("Docker-Content-Digest") == DIGEST
    assert answer.header("ETag") == f'"{DIGEST}"'
    assert answer.header("Accept-Ranges") == "bytes"
    assert answer.header("Cache-Control") == "private, max-age=31536000, immutable"
    assert answer.header("Content-Security-Policy") == "sandbox"


def test_head_says_what_get_would(registry: Registry, blob: str) -> None:
    head, get = registry.ask("HEAD", blob), registry.ask("GET", blob)

    assert head.status == 200
    passing = {"date", "x-request-id"}
    assert {(k.lower(), v) for k, v in head.headers.items() if k.lower() not in passing} == {
        (k.lower(), v) for k, v in get.headers.items() if k.lower() not in passing
    }


@pytest.mark.parametrize(
    ("asked", "first", "last"),
    [
        ("bytes=0-0", 0, 0),
        ("bytes=0-99", 0, 99),
        ("bytes=100-199", 100, 199),
        ("bytes=100-", 100, SIZE - 1),
        ("bytes=-100", SIZE - 100, SIZE - 1),
        (f"bytes={SIZE - 1}-", SIZE - 1, SIZE - 1),
        (f"bytes=0-{SIZE * 9}", 0, SIZE - 1),
        (f"bytes=-{SIZE * 9}", 0, SIZE - 1),
        (f"bytes=0-{'9' * 18}", 0, SIZE - 1),
        ("Bytes=5-9", 5, 9),
    ],
)
def test_a_range_is_206(registry: Registry, blob: str, asked: str, first: int, last: int) -> None:
    answer = registry.ask("GET", blob, headers={"Range": asked})

    assert answer.status == 206
    assert answer.body == DATA[first : last + 1]
    assert answer.header("Content-Range") == f"bytes {first}-{last}/{SIZE}"
    assert answer.header("Content-Length") == str(last - first + 1)
    assert answer.header("Docker-Content-Digest") == DIGEST


@pytest.mark.parametrize("asked", ["bytes=500-0", f"bytes={SIZE}-", f"bytes={SIZE}-{SIZE + 9}", "bytes=-0"])
def test_a_range_outside_is_416(registry: Registry, blob: str, asked: str) -> None:
    answer = registry.ask("GET", blob, headers={"Range": asked})

    assert answer.status == 416
    assert answer.header("Content-Range") == f"bytes */{SIZE}"


@pytest.mark.parametrize("asked", ["bytes=0-", "bytes=0-0", "bytes=-1"])
def test_any_range_of_the_empty_blob_is_416(registry: Registry, repository: str, asked: str) -> None:
    registry.push_blob(repository, b"")

    answer = registry.ask("GET", f"/v2/{repository}/blobs/{EMPTY}", headers={"Range": asked})

    assert (answer.status, answer.header("Content-Range")) == (416, "bytes */0")


@pytest.mark.parametrize("asked", ["bytes=0-1,4-5", "bytes=-", "bytes=a-b", "lines=0-1", "bytes", "", "bytes=0-1x"])
def test_several_ranges_or_none_readable_give_all(registry: Registry, blob: str, asked: str) -> None:
    answer = registry.ask("GET", blob, headers={"Range": asked})

    assert (answer.status, answer.body) == (200, DATA)


def test_if_range_holds_or_gives_all(registry: Registry, blob: str) -> None:
    same = registry.ask("GET", blob, headers={"Range": "bytes=0-1", "If-Range": f'"{DIGEST}"'})
    other = registry.ask("GET", blob, headers={"Range": "bytes=0-1", "If-Range": f'"{ABSENT}"'})

    assert (same.status, same.body) == (206, DATA[:2])
    assert (other.status, other.body) == (200, DATA)


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_what_the_client_has_is_304(registry: Registry, blob: str, method: str) -> None:
    same = registry.ask(method, blob, headers={"If-None-Match": f'"{ABSENT}", "{DIGEST}"'})
    other = registry.ask(method, blob, headers={"If-None-Match": f'"{ABSENT}"'})

    assert (same.status, same.body, same.header("ETag")) == (304, b"", f'"{DIGEST}"')
    assert other.status == 200


def test_an_absent_blob_is_404(registry: Registry, blob: str) -> None:
    url = blob.replace(DIGEST, ABSENT)

    assert registry.ask("GET", url).refusal == (404, "BLOB_UNKNOWN")
    assert registry.ask("HEAD", url).status == 404
    assert registry.ask("DELETE", url).refusal == (404, "BLOB_UNKNOWN")


@pytest.mark.parametrize("text", ["latest", "sha256:", "sha256:xyz", f"SHA256:{'a' * 64}", f"sha256:{'a' * 63}"])
def test_what_is_no_digest_is_400(registry: Registry, blob: str, text: str) -> None:
    assert registry.ask("GET", blob.replace(DIGEST, text)).refusal == (400, "DIGEST_INVALID")


def test_a_manifest_is_no_blob(registry: Registry, repository: str) -> None:
    """Clients try both places by themselves (registry.md 3)."""
    digest = registry.push_image(repository, "v1")

    assert registry.ask("GET", f"/v2/{repository}/blobs/{digest}").refusal == (404, "BLOB_UNKNOWN")


def test_a_deleted_blob_is_gone_at_once_and_comes_back_by_a_push(registry: Registry, blob: str) -> None:
    repository = blob.partition("/blobs/")[0].removeprefix("/v2/")

    assert registry.ask("DELETE", blob).status == 202
    assert registry.ask("GET", blob).refusal == (404, "BLOB_UNKNOWN")
    assert registry.ask("DELETE", blob).refusal == (404, "BLOB_UNKNOWN")
    registry.push_blob(repository, DATA)
    assert registry.ask("GET", blob).body == DATA


def test_a_blob_that_a_manifest_needs_stays(registry: Registry, repository: str) -> None:
    manifest = registry.push_image(repository, "v1", [DATA])
    url = f"/v2/{repository}/blobs/{DIGEST}"

    refused = registry.ask("DELETE", url)

    assert refused.refusal == (405, "UNSUPPORTED")
    assert refused.json["errors"][0]["detail"]["parents"] == [{"digest": manifest, "tags": ["v1"]}]
    assert registry.ask("GET", url).body == DATA
    assert registry.ask("DELETE", f"/v2/{repository}/manifests/{manifest}").status == 202
    assert registry.ask("DELETE", url).status == 202


def test_a_deleted_blob_is_not_there_for_a_manifest(registry: Registry, repository: str) -> None:
    body = registry.image(repository, [DATA])
    registry.ask("DELETE", f"/v2/{repository}/blobs/{DIGEST}")

    assert registry.put_manifest(repository, "v1", body).refusal == (404, "MANIFEST_BLOB_UNKNOWN")


@pytest.mark.usefixtures("blob")
def test_a_mount_links_the_blob(registry: Registry, project: str) -> None:
    there = f"{project}/other"

    answer = registry.ask("POST", f"/v2/{there}/blobs/uploads/?mount={DIGEST}&from={project}/web", b"")

    assert (answer.status, answer.header("Location")) == (201, f"/v2/{there}/blobs/{DIGEST}")
    assert answer.header("Docker-Content-Digest") == DIGEST
    # read-your-writes: docker asks at once, perhaps another process
    for _ in range(4):
        assert registry.ask("HEAD", answer.header("Location")).status == 200


@pytest.mark.usefixtures("blob")
def test_a_mount_without_a_source_finds_one(registry: Registry, project: str) -> None:
    answer = registry.ask("POST", f"/v2/{project}/other/blobs/uploads/?mount={DIGEST}", b"")

    assert (answer.status, answer.header("Location")) == (201, f"/v2/{project}/other/blobs/{DIGEST}")
    assert registry.ask("GET", answer.header("Location")).body == DATA


@pytest.mark.usefixtures("blob")
def test_a_mount_without_a_source_never_tells_what_others_have(
    registry: Registry, robots: Robots, project: str
) -> None:
    """Whether nobody has it or somebody else has it: the answers are the same."""
    other = robots.stranger.login.partition("+")[0]
    stranger = registry.as_(robots.stranger)
    secret = os.urandom(100)
    registry.push_blob(f"{project}/web", secret)

    answers = [
        stranger.ask("POST", f"/v2/{other}/mine/blobs/uploads/?mount={digest}", b"")
        for digest in (sha256(secret), sha256(b"nobody has these bytes either"))
    ]

    assert [answer.status for answer in answers] == [202, 202]
    assert {tuple(sorted(answer.headers.keys())) for answer in answers} == {tuple(sorted(answers[0].headers.keys()))}


@pytest.mark.usefixtures("blob")
@pytest.mark.parametrize("source", ["absent/at/all", "{project}/web", "UPPER", "..", ""])
def test_a_mount_that_can_t_be_begins_an_upload(registry: Registry, project: str, source: str) -> None:
    digest = ABSENT if source.endswith("web") else DIGEST
    query = f"mount={digest}&from={source.format(project=project)}"

    answer = registry.ask("POST", f"/v2/{project}/other/blobs/uploads/?{query}", b"")

    assert answer.status == 202
    assert registry.ask("DELETE", answer.header("Location")).status == 204


def test_a_mount_of_a_deleted_blob_begins_an_upload(registry: Registry, project: str, blob: str) -> None:
    registry.ask("DELETE", blob)

    assert (
        registry.ask("POST", f"/v2/{project}/other/blobs/uploads/?mount={DIGEST}&from={project}/web", b"").status == 202
    )


@pytest.mark.usefixtures("blob")
@pytest.mark.parametrize("by", ["basic", "token", "token that asked"])
def test_a_mount_is_no_oracle(anonymous: Registry, project: str, robots: Robots, by: str) -> None:
    """Whether a foreign repository has a blob, or is there at all, is not for everybody to know."""
    mine = robots.stranger.login.partition("+")[0]
    asked = [f"repository:{project}/{name}:pull" for name in ("web", "none")] if by == "token that asked" else []
    stranger = anonymous.as_(robots.stranger)
    if by != "basic":
        stranger = stranger.scoped(f"repository:{mine}/x:pull,push", *asked)

    answers = [
        stranger.ask("POST", f"/v2/{mine}/x/blobs/uploads/?mount={digest}&from={source}", b"")
        for digest, source in ((DIGEST, f"{project}/web"), (ABSENT, f"{project}/web"), (DIGEST, f"{project}/none"))
    ]

    assert {answer.status for answer in answers} == {202}
    assert {tuple(sorted(answer.headers.keys())) for answer in answers} == {tuple(sorted(answers[0].headers.keys()))}
    assert {answer.body for answer in answers} == {b""}
    assert stranger.ask("HEAD", f"/v2/{mine}/x/blobs/{DIGEST}").status == 404


@pytest.mark.usefixtures("blob")
def test_a_mount_needs_no_scope_on_its_source(registry: Registry, project: str) -> None:
    """The conformance program never asks for one: then the account's own right decides (registry.md 2.4)."""
    narrow = registry.scoped(f"repository:{project}/other:pull,push")

    answer = narrow.ask("POST", f"/v2/{project}/other/blobs/uploads/?mount={DIGEST}&from={project}/web", b"")

    assert answer.status == 201


@pytest.mark.usefixtures("blob")
def test_bytes_known_elsewhere_must_still_be_sent(anonymous: Registry, robots: Robots) -> None:
    """A digest alone opens nothing: GET, HEAD and manifests of one repository never differ because another has it."""
    stranger = anonymous.as_(robots.stranger)
    mine = robots.stranger.login.partition("+")[0] + "/x"
    body = stranger.image(mine, [])
    document = {"mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": DIGEST, "size": SIZE}
    claimed = body.replace(b'"layers":[]', b'"layers":[' + encoded(document) + b"]")

    assert stranger.ask("HEAD", f"/v2/{mine}/blobs/{DIGEST}").status == 404
    assert stranger.put_manifest(mine, "v1", claimed).refusal == (404, "MANIFEST_BLOB_UNKNOWN")


@pytest.mark.one_server
def test_a_damaged_copy_is_404_and_healed_by_a_push(shared_server: Server, registry: Registry, repository: str) -> None:
    data = b"soon to be cut" * 1000
    registry.push_blob(repository, data)
    url = f"/v2/{repository}/blobs/{sha256(data)}"
    hex_ = sha256(data).removeprefix("sha256:")
    (file,) = (path for path in shared_server.data.rglob(f"{hex_}.*") if path.is_file())
    file.write_bytes(data[:100])

    assert registry.ask("HEAD", url).status == 404
    assert registry.ask("GET", url).refusal == (404, "BLOB_UNKNOWN")
    registry.push_blob(repository, data)
    assert registry.ask("GET", url).body == data
