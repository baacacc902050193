"""Uploads. Spec: OCI distribution-spec, "Pushing blobs"; design: registry.md 2.3."""

import hashlib
import os
from urllib.parse import urlsplit

import pytest

from tests.real.protocol import Answer, Registry, sha256

EMPTY = sha256(b"")


def has(registry: Registry, repository: str, digest: str) -> bool:
    return registry.ask("HEAD", f"/v2/{repository}/blobs/{digest}").status == 200


def patch(registry: Registry, location: str, data: bytes, start: int) -> Answer:
    return registry.ask("PATCH", location, data, {"Content-Range": f"{start}-{start + len(data) - 1}"})


def state(registry: Registry, location: str) -> str:
    answer = registry.ask("GET", location)
    assert answer.status == 204
    return answer.header("Range")


def test_an_upload_begins_at_a_relative_location(registry: Registry, repository: str) -> None:
    begun = registry.ask("POST", f"/v2/{repository}/blobs/uploads/", b"")

    assert begun.status == 202
    assert begun.header("Location").startswith(f"/v2/{repository}/blobs/uploads/{begun.header('Docker-Upload-UUID')}")
    assert begun.header("Range") == "0-0"


def test_a_blob_is_pushed_by_post_and_put(registry: Registry, repository: str) -> None:
    data = os.urandom(100_000)
    location = registry.begin(repository)

    ended = registry.ask("PUT", f"{location}&digest={sha256(data)}", data)

    assert ended.status == 201
    assert ended.header("Location") == f"/v2/{repository}/blobs/{sha256(data)}"
    assert ended.header("Docker-Content-Digest") == sha256(data)
    assert registry.ask("GET", ended.header("Location")).body == data


def test_the_digest_may_be_percent_encoded(registry: Registry, repository: str) -> None:
    location = registry.begin(repository)

    ended = registry.ask("PUT", f"{location}&digest={sha256(b'x').replace(':', '%3A')}", b"x")

    assert ended.status == 201


def test_a_blob_is_pushed_by_one_post(registry: Registry, repository: str) -> None:
    ended = registry.ask("POST", f"/v2/{repository}/blobs/uploads/?digest={sha256(b'one')}", b"one")

    assert (ended.status, ended.header("Location")) == (201, f"/v2/{repository}/blobs/{sha256(b'one')}")
    assert has(registry, repository, sha256(b"one"))


def test_a_post_with_a_wrong_digest_leaves_nothing(registry: Registry, repository: str) -> None:
    refused = registry.ask("POST", f"/v2/{repository}/blobs/uploads/?digest={sha256(b'one')}", b"two")

    assert refused.refusal == (400, "DIGEST_INVALID")
    assert not has(registry, repository, sha256(b"one"))
    assert not has(registry, repository, sha256(b"two"))


def test_a_patch_without_length_is_streamed(registry: Registry, repository: str) -> None:
    pieces = [os.urandom(300_000) for _ in range(8)]
    data = b"".join(pieces)

    added = registry.ask("PATCH", registry.begin(repository), iter(pieces))
    ended = registry.ask("PUT", f"{added.header('Location')}&digest={sha256(data)}")

    assert (added.status, added.header("Range")) == (202, f"0-{len(data) - 1}")
    assert ended.status == 201
    assert registry.ask("GET", f"/v2/{repository}/blobs/{sha256(data)}").body == data


def test_chunks_come_in_order_and_the_last_may_ride_on_the_put(registry: Registry, repository: str) -> None:
    data = os.urandom(3000)
    location = registry.begin(repository)
    for start in (0, 1000):
        added = patch(registry, location, data[start : start + 1000], start)
        assert (added.status, added.header("Range")) == (202, f"0-{start + 999}")
        location = added.header("Location")

    url, range_ = f"{location}&digest={sha256(data)}", {"Content-Range": "2000-2999"}
    ended = registry.ask("PUT", url, data[2000:], range_)

    assert ended.status == 201
    assert registry.ask("GET", f"/v2/{repository}/blobs/{sha256(data)}").body == data


def test_patches_without_content_range_append(registry: Registry, repository: str) -> None:
    first = registry.ask("PATCH", registry.begin(repository), b"ab")
    second = registry.ask("PATCH", first.header("Location"), b"cd")

    assert second.header("Range") == "0-3"
    assert registry.ask("PUT", f"{second.header('Location')}&digest={sha256(b'abcd')}").status == 201


@pytest.mark.parametrize("start", [0, 5, 11, 10**17])
def test_a_chunk_that_starts_elsewhere_is_416_and_changes_nothing(
    registry: Registry, repository: str, start: int
) -> None:
    location = patch(registry, registry.begin(repository), b"0123456789", 0).header("Location")

    refused = patch(registry, location, b"wrong", start)

    assert refused.status == 416
    assert refused.header("Range") == "0-9"
    assert state(registry, location) == "0-9"
    last = patch(registry, refused.header("Location"), b"ab", 10)
    assert (last.status, last.header("Range")) == (202, "0-11")


def test_a_put_that_starts_elsewhere_is_416_and_the_upload_lives(registry: Registry, repository: str) -> None:
    location = patch(registry, registry.begin(repository), b"01234", 0).header("Location")
    whole = sha256(b"0123456789")

    refused = registry.ask("PUT", f"{location}&digest={whole}", b"56789", {"Content-Range": "7-11"})

    assert (refused.status, refused.header("Range")) == (416, "0-4")
    right = registry.ask("PUT", f"{location}&digest={whole}", b"56789", {"Content-Range": "5-9"})
    assert right.status == 201


def test_a_repeated_patch_to_an_old_location_is_416_and_changes_nothing(registry: Registry, repository: str) -> None:
    """A client whose answer was lost sends the same PATCH again: it must not append twice."""
    old = registry.begin(repository)
    new = registry.ask("PATCH", old, b"once").header("Location")

    again = registry.ask("PATCH", old, b"once")

    assert again.status == 416
    assert (again.header("Range"), again.header("Location")) == ("0-3", new)
    assert registry.ask("PUT", f"{again.header('Location')}&digest={sha256(b'once')}").status == 201


def test_a_length_that_is_not_the_range_s_is_refused(registry: Registry, repository: str) -> None:
    location = registry.begin(repository)

    refused = registry.ask("PATCH", location, b"four", {"Content-Range": "0-9"})

    assert refused.refusal == (400, "SIZE_INVALID")
    assert state(registry, location) == "0-0"
    assert registry.ask("PATCH", location, b"four", {"Content-Range": "0-3"}).status == 202


@pytest.mark.parametrize("content_range", ["0-9", "0-2"])
def test_a_streamed_body_that_is_not_as_long_as_its_range_is_refused(
    registry: Registry, repository: str, content_range: str
) -> None:
    location = registry.begin(repository)

    refused = registry.ask("PATCH", location, iter([b"f", b"our"]), {"Content-Range": content_range})

    assert refused.refusal == (400, "SIZE_INVALID")
    assert state(registry, location) == "0-0"
    ended = registry.ask("PUT", f"{location}&digest={sha256(b'four')}", iter([b"four"]), {"Content-Range": "0-3"})
    assert ended.status == 201


def test_a_streamed_put_that_is_not_as_long_as_its_range_leaves_the_upload(registry: Registry, repository: str) -> None:
    location = registry.begin(repository)
    url = f"{location}&digest={sha256(b'four')}"

    refused = registry.ask("PUT", url, iter([b"four"]), {"Content-Range": "0-9"})

    assert refused.refusal == (400, "SIZE_INVALID")
    assert not has(registry, repository, sha256(b"four"))
    assert registry.ask("PUT", url, b"four").status == 201


@pytest.mark.parametrize("content_range", ["", "x", "3-1", "0-", "-5", "0-3-4", "1e3-2000", "٣-٤"])
def test_a_content_range_that_can_t_be_read_is_refused(registry: Registry, repository: str, content_range: str) -> None:
    location = registry.begin(repository)

    refused = registry.ask("PATCH", location, b"four", {"Content-Range": content_range.encode().decode("latin-1")})

    assert refused.status == 400
    assert "Content-Range" in refused.message
    assert state(registry, location) == "0-0"


def test_a_wrong_digest_ends_the_upload(registry: Registry, repository: str) -> None:
    location = registry.begin(repository)

    refused = registry.ask("PUT", f"{location}&digest={sha256(b'other')}", b"bytes")

    assert refused.refusal == (400, "DIGEST_INVALID")
    assert registry.ask("GET", location).refusal == (404, "BLOB_UPLOAD_UNKNOWN")
    assert not has(registry, repository, sha256(b"other"))
    assert not has(registry, repository, sha256(b"bytes"))


@pytest.mark.parametrize("digest", ["", "sha256:12", "md5:d41d8cd98f00b204e9800998ecf8427e", f"sha256:{'A' * 64}", "x"])
def test_a_put_names_a_digest_that_is_one(registry: Registry, repository: str, digest: str) -> None:
    location = registry.begin(repository)

    refused = registry.ask("PUT", f"{location}&digest={digest}", b"bytes")

    assert refused.refusal == (400, "DIGEST_INVALID")
    assert state(registry, location) == "0-0"


def test_a_closing_put_may_name_sha512(registry: Registry, repository: str) -> None:
    """The conformance program pushes so: the algorithm is known only at the end."""
    digest = f"sha512:{hashlib.sha512(b'bytes').hexdigest()}"
    location = registry.ask("PATCH", registry.begin(repository), b"bytes").header("Location")

    assert registry.ask("PUT", f"{location}&digest={digest}").status == 201
    assert registry.ask("GET", f"/v2/{repository}/blobs/{digest}").body == b"bytes"


@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
def test_the_algorithm_may_be_named_at_the_start(registry: Registry, repository: str, algorithm: str) -> None:
    data = os.urandom(100_000)
    digest = f"{algorithm}:{hashlib.new(algorithm, data).hexdigest()}"
    begun = registry.ask("POST", f"/v2/{repository}/blobs/uploads/?digest-algorithm={algorithm}", b"")

    added = registry.ask("PATCH", begun.header("Location"), data)

    assert begun.status == 202
    assert registry.ask("PUT", f"{added.header('Location')}&digest={digest}").status == 201
    assert registry.ask("GET", f"/v2/{repository}/blobs/{digest}").body == data


@pytest.mark.parametrize("algorithm", ["", "md5", "SHA256", "sha384", "sha256:x"])
def test_an_algorithm_that_is_not_known_is_refused(registry: Registry, repository: str, algorithm: str) -> None:
    refused = registry.ask("POST", f"/v2/{repository}/blobs/uploads/?digest-algorithm={algorithm}", b"")

    assert refused.refusal == (400, "DIGEST_INVALID")


def test_a_blob_is_pushed_by_one_post_under_sha512(registry: Registry, repository: str) -> None:
    digest = f"sha512:{hashlib.sha512(b'one').hexdigest()}"
    ended = registry.ask("POST", f"/v2/{repository}/blobs/uploads/?digest={digest}", b"one")

    assert (ended.status, ended.header("Location")) == (201, f"/v2/{repository}/blobs/{digest}")
    assert registry.ask("GET", ended.header("Location")).body == b"one"


def test_the_empty_blob_is_a_blob(registry: Registry, repository: str) -> None:
    location = registry.begin(repository)

    assert registry.ask("PUT", f"{location}&digest={EMPTY}").status == 201
    got = registry.ask("GET", f"/v2/{repository}/blobs/{EMPTY}")
    assert (got.status, got.header("Content-Length"), got.body) == (200, "0", b"")


def test_nothing_and_one_byte_both_read_0_0(registry: Registry, repository: str) -> None:
    location = registry.begin(repository)
    assert state(registry, location) == "0-0"

    added = registry.ask("PATCH", location, b"x")

    assert added.header("Range") == "0-0"
    assert state(registry, added.header("Location")) == "0-0"


def test_the_status_names_the_latest_location(registry: Registry, repository: str) -> None:
    old = registry.begin(repository)
    new = registry.ask("PATCH", old, b"12345").header("Location")

    answer = registry.ask("GET", urlsplit(old).path)

    assert (answer.status, answer.header("Location"), answer.header("Range")) == (204, new, "0-4")


def test_a_cancelled_upload_is_gone(registry: Registry, repository: str) -> None:
    location = registry.ask("PATCH", registry.begin(repository), b"12345").header("Location")

    assert registry.ask("DELETE", location).status == 204
    assert registry.ask("GET", location).refusal == (404, "BLOB_UPLOAD_UNKNOWN")
    assert registry.ask("PATCH", location, b"x").refusal == (404, "BLOB_UPLOAD_UNKNOWN")
    assert registry.ask("DELETE", location).refusal == (404, "BLOB_UPLOAD_UNKNOWN")


def test_an_ended_upload_is_gone(registry: Registry, repository: str) -> None:
    location = registry.begin(repository)
    registry.ask("PUT", f"{location}&digest={sha256(b'x')}", b"x")

    assert registry.ask("PUT", f"{location}&digest={sha256(b'x')}", b"x").refusal == (404, "BLOB_UPLOAD_UNKNOWN")


@pytest.mark.parametrize(
    "id_", ["x", "01M884B74R7KNNBWFE29JRQ6NT", "..", "%2e%2e", "0" * 300, "01m884b74r7knnbwfe29jrq6nt"]
)
def test_an_id_that_names_no_upload_is_404(registry: Registry, repository: str, id_: str) -> None:
    registry.begin(repository)

    for method in ("GET", "PATCH", "DELETE"):
        answer = registry.ask(method, f"/v2/{repository}/blobs/uploads/{id_}", b"" if method == "PATCH" else None)
        assert answer.refusal == (404, "BLOB_UPLOAD_UNKNOWN")


def test_an_upload_belongs_to_its_repository(registry: Registry, project: str) -> None:
    location = registry.begin(f"{project}/one")
    registry.begin(f"{project}/two")

    elsewhere = registry.ask("GET", location.replace("/one/", "/two/"))

    assert elsewhere.refusal == (404, "BLOB_UPLOAD_UNKNOWN")


@pytest.mark.parametrize("epoch", ["x", "-1", "1.0", "9" * 30, "%D9%A3"])
def test_an_epoch_that_is_none_is_refused(registry: Registry, repository: str, epoch: str) -> None:
    location = registry.begin(repository).partition("?")[0]

    assert registry.ask("PATCH", f"{location}?epoch={epoch}", b"x").status == 400
    assert state(registry, location) == "0-0"


def test_a_push_of_present_bytes_succeeds_again(registry: Registry, repository: str) -> None:
    for _ in range(2):
        assert registry.push_blob(repository, b"same") == sha256(b"same")

    assert registry.ask("GET", f"/v2/{repository}/blobs/{sha256(b'same')}").body == b"same"
