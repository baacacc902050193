"""Referrers: who is listed, how, and in which pages. Spec: OCI distribution-spec, "Listing Referrers"."""

import re
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import pytest

from tests.conformance.conftest import Robots
from tests.real.protocol import OCI_INDEX, OCI_MANIFEST, Answer, Registry, descriptor, encoded, sha256

EMPTY = b"{}"
SBOM, SIGNATURE = "application/vnd.example.sbom+json", "application/vnd.example.signature"
ABSENT = f"sha256:{'0' * 64}"


def referring(subject: str, artifact_type: str | None = SBOM, **more: Any) -> bytes:
    """An artifact without layers whose subject is *subject*."""
    document = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "artifactType": artifact_type,
        "config": descriptor(EMPTY, "application/vnd.oci.empty.v1+json"),
        "layers": [],
        "subject": {"mediaType": OCI_MANIFEST, "digest": subject, "size": 7},
        **more,
    }
    return encoded({key: value for key, value in document.items() if value is not None})


@pytest.fixture
def place(registry: Registry, repository: str) -> str:
    """A repository with the empty blob in it."""
    registry.push_blob(repository, EMPTY)
    return repository


def push(registry: Registry, place: str, body: bytes, media_type: str = OCI_MANIFEST) -> str:
    """*body* is in *place* by its digest; which that is."""
    answer = registry.put_manifest(place, sha256(body), body, media_type)
    assert answer.status == 201, answer.body
    return sha256(body)


def listed(answer: Answer) -> list[str]:
    """The digests of an answer, which must be an index."""
    assert answer.status == 200, answer.body
    assert answer.header("Content-Type") == OCI_INDEX
    assert (answer.json["schemaVersion"], answer.json["mediaType"]) == (2, OCI_INDEX)
    return [entry["digest"] for entry in answer.json["manifests"]]


def test_a_referrer_is_described_by_what_it_says_of_itself(registry: Registry, place: str) -> None:
    annotations = {"org.example.made": "2030-01-01", "é": "ü"}
    body = referring(ABSENT, annotations=annotations)

    push(registry, place, body)

    assert registry.ask("GET", f"/v2/{place}/referrers/{ABSENT}").json["manifests"] == [
        {
            "mediaType": OCI_MANIFEST,
            "digest": sha256(body),
            "size": len(body),
            "artifactType": SBOM,
            "annotations": annotations,
        }
    ]


def test_the_artifact_type_is_the_config_s_where_the_manifest_has_none_and_an_index_may_have_none(
    registry: Registry, place: str
) -> None:
    subject = {"mediaType": OCI_MANIFEST, "digest": ABSENT, "size": 7}
    index = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [], "subject": subject}
    plain, typed = encoded(index), encoded({**index, "artifactType": SIGNATURE})
    old = referring(ABSENT, None)
    push(registry, place, old)
    for body in (plain, typed):
        push(registry, place, body, OCI_INDEX)

    entries = registry.ask("GET", f"/v2/{place}/referrers/{ABSENT}").json["manifests"]

    assert [(entry["digest"], entry["mediaType"], entry.get("artifactType")) for entry in entries] == [
        (sha256(old), OCI_MANIFEST, "application/vnd.oci.empty.v1+json"),
        (sha256(plain), OCI_INDEX, None),
        (sha256(typed), OCI_INDEX, SIGNATURE),
    ]
    assert all("annotations" not in entry for entry in entries)


def test_a_push_says_that_the_subject_was_understood_by_tag_and_by_digest(registry: Registry, place: str) -> None:
    body = referring(ABSENT)

    for reference in ("v1", sha256(body)):
        assert registry.put_manifest(place, reference, body).header("OCI-Subject") == ABSENT
    without = registry.image(place)
    assert "OCI-Subject" not in registry.put_manifest(place, "v2", without).headers


def test_referrers_stand_in_the_order_of_pushes_before_and_after_the_subject(registry: Registry, place: str) -> None:
    image = registry.image(place)
    early = push(registry, place, referring(sha256(image)))
    push(registry, place, image)
    later = [push(registry, place, referring(sha256(image), annotations={"n": str(n)})) for n in range(3)]

    answer = registry.ask("GET", f"/v2/{place}/referrers/{sha256(image)}")

    assert listed(answer) == [early, *later]
    assert "OCI-Filters-Applied" not in answer.headers
    assert answer.header("Link") == ""


def test_a_subject_may_be_a_referrer_itself_and_its_digest_sha512(registry: Registry, place: str) -> None:
    far = f"sha512:{'a' * 128}"
    first = push(registry, place, referring(far))
    second = push(registry, place, referring(first, SIGNATURE))

    assert listed(registry.ask("GET", f"/v2/{place}/referrers/{far}")) == [first]
    assert listed(registry.ask("GET", f"/v2/{place}/referrers/{first}")) == [second]


@pytest.mark.parametrize("spelt", [quote(SBOM), SBOM], ids=["escaped", "as typed"])
def test_the_list_is_filtered_by_artifact_type(registry: Registry, place: str, spelt: str) -> None:
    sbom = push(registry, place, referring(ABSENT))
    push(registry, place, referring(ABSENT, SIGNATURE))

    filtered = registry.ask("GET", f"/v2/{place}/referrers/{ABSENT}?artifactType={spelt}")
    none = registry.ask("GET", f"/v2/{place}/referrers/{ABSENT}?artifactType=x/y")

    assert listed(filtered) == [sbom]
    assert listed(none) == []
    for answer in (filtered, none):
        assert answer.header("OCI-Filters-Applied") == "artifactType"


@pytest.mark.parametrize("kind", ["%00", "a%00b", "%0A"])
def test_a_type_that_can_be_none_is_refused(registry: Registry, place: str, kind: str) -> None:
    refused = registry.ask("GET", f"/v2/{place}/referrers/{ABSENT}?artifactType={kind}")

    assert refused.refusal == (400, "UNSUPPORTED")


def test_who_may_pull_never_gets_404(registry: Registry, project: str, place: str) -> None:
    for path in (f"{place}/referrers/{ABSENT}", f"{project}/none/referrers/{ABSENT}"):
        answer = registry.ask("GET", f"/v2/{path}")
        assert (listed(answer), answer.json["manifests"]) == ([], [])


@pytest.mark.parametrize("digest", ["sha256:x", "latest", "sha256:" + "A" * 64, "sha1:" + "a" * 40, "md5:abc", ":"])
def test_what_is_no_digest_is_400(registry: Registry, place: str, digest: str) -> None:
    assert registry.ask("GET", f"/v2/{place}/referrers/{digest}").refusal == (400, "DIGEST_INVALID")


@pytest.mark.parametrize("last", ["x", "1", "1.", ".sha256:aa", "-1.sha256:aa", "9" * 30 + ".sha256:aa", "1.a/b"])
def test_a_page_begins_where_a_link_says_and_nowhere_else(registry: Registry, place: str, last: str) -> None:
    refused = registry.ask("GET", f"/v2/{place}/referrers/{ABSENT}?last={quote(last)}")

    assert refused.refusal == (400, "UNSUPPORTED")


def test_pages_stay_under_the_size_that_clients_read_and_keep_the_filter(registry: Registry, place: str) -> None:
    """Five lists of annotations of 1.5 MiB, and a small one: three pages. Not one is longer than a manifest may be."""
    pad = "x" * (3 << 19)
    large = [push(registry, place, referring(ABSENT, annotations={"pad": pad, "n": str(n)})) for n in range(5)]
    small = push(registry, place, referring(ABSENT))
    push(registry, place, referring(ABSENT, SIGNATURE))

    for query, expected in (("", 7), (f"?artifactType={quote(SBOM)}", 6)):
        seen: list[str] = []
        sizes = []
        url = f"/v2/{place}/referrers/{ABSENT}{query}"
        while url:
            answer = registry.ask("GET", url)
            seen += listed(answer)
            sizes.append(len(answer.body))
            assert ("OCI-Filters-Applied" in answer.headers) == bool(query)
            link = re.fullmatch(r'<(/v2/[^>]*)>; rel="next"', answer.header("Link"))
            url = link[1] if link else ""
            if link and query:
                assert parse_qs(urlsplit(url).query)["artifactType"] == [SBOM]
        assert seen[:6] == [*large, small]
        assert len(seen) == expected
        assert len(sizes) == 3
        assert max(sizes) < 4 << 20


def test_one_entry_over_the_size_of_a_page_still_comes(registry: Registry, place: str) -> None:
    pad = "x" * ((4 << 20) - 1000)
    digests = [push(registry, place, referring(ABSENT, annotations={"pad": pad, "n": str(n)})) for n in range(2)]

    first = registry.ask("GET", f"/v2/{place}/referrers/{ABSENT}")

    assert listed(first) == digests[:1]
    second = registry.ask("GET", first.header("Link").partition(">")[0][1:])
    assert listed(second) == digests[1:]
    assert second.header("Link") == ""


def test_a_deleted_referrer_is_gone_and_comes_back_by_a_push(registry: Registry, place: str) -> None:
    body = referring(ABSENT)
    digest = push(registry, place, body)

    assert registry.ask("DELETE", f"/v2/{place}/manifests/{digest}").status == 202
    assert listed(registry.ask("GET", f"/v2/{place}/referrers/{ABSENT}")) == []
    push(registry, place, body)
    assert listed(registry.ask("GET", f"/v2/{place}/referrers/{ABSENT}")) == [digest]


def test_a_fallback_tag_stays_a_tag_and_what_it_lists_is_in_the_list_anyway(registry: Registry, place: str) -> None:
    """Clients that know no referrers API keep an index under `sha256-<hex>`; it is not a referrer itself."""
    image = registry.image(place)
    digest = push(registry, place, image)
    signature = referring(digest, SIGNATURE)
    push(registry, place, signature)
    tag = digest.replace(":", "-")
    index = encoded({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [descriptor(signature, OCI_MANIFEST)]})

    for body in (index, index + b" "):
        assert registry.put_manifest(place, tag, body, OCI_INDEX).status == 201

    assert registry.ask("GET", f"/v2/{place}/manifests/{tag}").body == index + b" "
    assert registry.ask("GET", f"/v2/{place}/tags/list").json["tags"] == [tag]
    assert listed(registry.ask("GET", f"/v2/{place}/referrers/{digest}")) == [sha256(signature)]


@pytest.mark.parametrize("value", [1, ["x"], {"a": 1}, {"a": None}, "x"], ids=str)
def test_annotations_that_are_not_text_are_refused_before_anybody_has_to_list_them(
    registry: Registry, place: str, value: Any
) -> None:
    refused = registry.put_manifest(place, "v1", referring(ABSENT, annotations=value))

    assert refused.refusal == (400, "MANIFEST_INVALID")


@pytest.mark.parametrize("method", ["PUT", "POST", "DELETE", "PATCH"])
def test_the_list_is_read_only(registry: Registry, place: str, method: str) -> None:
    assert registry.ask(method, f"/v2/{place}/referrers/{ABSENT}").refusal == (405, "UNSUPPORTED")


def test_a_list_needs_the_right_to_pull_and_a_token_with_pull_is_enough(
    anonymous: Registry, registry: Registry, place: str, robots: Robots
) -> None:
    digest = push(registry, place, referring(ABSENT))
    path = f"/v2/{place}/referrers/{ABSENT}"

    assert f'scope="repository:{place}:pull"' in anonymous.ask("GET", path).header("WWW-Authenticate")
    assert anonymous.as_(robots.stranger).ask("GET", path).refusal == (403, "DENIED")
    assert listed(anonymous.as_(robots.viewer).scoped(f"repository:{place}:pull").ask("GET", path)) == [digest]
