"""Documents and manifests: what is read, and that nothing but the named errors comes of any bytes."""

import base64
import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from entrepot.oci.digest import Digest
from entrepot.oci.document import MAX_DEPTH, parse
from entrepot.oci.errors import DigestInvalidError, ManifestInvalidError, MediaTypeUnsupportedError
from entrepot.oci.manifest import Kind, Manifest, is_attestation
from entrepot.oci.mediatype import (
    ALL,
    ARTIFACT_MANIFEST,
    DOCKER_CONFIG,
    DOCKER_FOREIGN_LAYER,
    DOCKER_LIST,
    DOCKER_MANIFEST,
    OCI_CONFIG,
    OCI_EMPTY,
    OCI_INDEX,
    OCI_LAYER_GZIP,
    OCI_MANIFEST,
    is_foreign,
)

A, B = Digest.of(b"a"), Digest.of(b"b")


def descriptor(digest: Digest = A, media_type: str = OCI_LAYER_GZIP, **more: Any) -> dict[str, Any]:
    return {"mediaType": media_type, "digest": str(digest), "size": 1, **more}


def image(**fields: Any) -> dict[str, Any]:
    return {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": descriptor(A, OCI_CONFIG),
        "layers": [descriptor(B)],
        **fields,
    }


def index(*entries: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": list(entries), **fields}


def read(document: Any, content_type: str = "") -> Manifest:
    return Manifest.parse(json.dumps(document).encode(), content_type)


def test_an_image_is_read() -> None:
    manifest = read(image(subject=descriptor(B, OCI_MANIFEST)))

    assert (manifest.kind, manifest.media_type, manifest.artifact_type) == (Kind.IMAGE, OCI_MANIFEST, OCI_CONFIG)
    assert manifest.config is not None
    assert manifest.config.digest == A
    assert [layer.digest for layer in manifest.layers] == [B]
    assert manifest.subject == B


def test_an_index_is_read_in_order() -> None:
    platform = {"os": "linux", "architecture": "arm", "variant": "v7", "os.version": "1"}
    manifest = read(index(descriptor(B, OCI_MANIFEST, platform=platform), descriptor(A, OCI_INDEX)))

    assert manifest.kind is Kind.INDEX
    assert [(child.digest, child.platform) for child in manifest.children] == [(B, "linux/arm/v7"), (A, "")]
    assert manifest.config is None


@pytest.mark.parametrize(
    ("document", "kind"),
    [
        (image(), Kind.IMAGE),
        (image(config=descriptor(A, DOCKER_CONFIG), mediaType=DOCKER_MANIFEST), Kind.IMAGE),
        (image(artifactType="application/x"), Kind.IMAGE),
        (image(config=descriptor(A, OCI_EMPTY)), Kind.IMAGE),
        (image(config=descriptor(A, OCI_EMPTY), layers=[descriptor(B, "application/vnd.oci.image.layer.v1.tar+new")]),
         Kind.IMAGE),
        (image(config=descriptor(A, OCI_EMPTY), layers=[descriptor(B, "text/plain")]), Kind.ARTIFACT),
        (image(layers=[descriptor(B, "application/vnd.in-toto+json")]), Kind.ARTIFACT),
        (image(layers=[descriptor(B, "application/vnd.in-toto+json"), descriptor(B)]), Kind.IMAGE),
        (image(layers=[]), Kind.IMAGE),
    ],
)  # fmt: skip
def test_what_a_runtime_can_unpack_is_an_image_whatever_it_calls_itself(document: Any, kind: Kind) -> None:
    assert read(document).kind is kind


@pytest.mark.parametrize(
    ("stated", "announced", "taken"),
    [
        (OCI_MANIFEST, "", OCI_MANIFEST),
        ("", OCI_MANIFEST, OCI_MANIFEST),
        ("", f"{OCI_MANIFEST}; charset=utf-8", OCI_MANIFEST),
        ("", "", OCI_MANIFEST),
        (OCI_MANIFEST, OCI_MANIFEST.title(), OCI_MANIFEST),
    ],
)
def test_the_type_is_announced_or_stated(stated: str, announced: str, taken: str) -> None:
    document = image(mediaType=stated)
    if not stated:
        del document["mediaType"]

    assert read(document, announced).media_type == taken


@pytest.mark.parametrize(
    ("document", "announced", "words"),
    [
        (image(), DOCKER_MANIFEST, "differ"),
        ({"schemaVersion": 1, "fsLayers": []}, "", "schema 1"),
        (image(mediaType=ARTIFACT_MANIFEST), "", "withdrawn"),
        (image(mediaType="text/plain"), "", "not a manifest type"),
        ({"schemaVersion": 2}, OCI_MANIFEST, "no config"),
        (image(schemaVersion=3), "", "schemaVersion"),
        (image(manifests=[]), "", "two ways"),
        (index(layers=[]), "", "two ways"),
        (index(config=descriptor()), "", "two ways"),
        ({**image(), "mediaType": OCI_INDEX}, "", "two ways"),
        (index(manifests={}), "", "not a list"),
        (image(layers=[descriptor()] * 1001), "", "1000"),
        (index(*[descriptor(A, OCI_MANIFEST)] * 5001), "", "5000"),
        (image(layers=[descriptor(size=-1)]), "", "size"),
        (image(layers=[descriptor(size=True)]), "", "size"),
        (image(layers=[descriptor(size=1.0)]), "", "size"),
        (image(layers=[descriptor(size=2**63)]), "", "size"),
        (image(layers=[descriptor(data=base64.b64encode(b"b").decode())]), "", "data"),
        (image(layers=[descriptor(data=base64.b64encode(b"aa").decode())]), "", "data"),
        (image(layers=[descriptor(data=7)]), "", "data"),
        (index(descriptor(A, OCI_MANIFEST, platform="linux")), "", "platform"),
        (index(descriptor(A, OCI_MANIFEST, platform={"os": 1, "architecture": "x"})), "", "platform"),
        (image(artifactType="é"), "", "artifactType"),
    ],
)
def test_what_is_no_manifest_is_refused_with_the_reason(document: Any, announced: str, words: str) -> None:
    with pytest.raises(ManifestInvalidError, match=words):
        read(document, announced)


def test_the_fault_s_place_is_named() -> None:
    with pytest.raises(ManifestInvalidError) as caught:
        read(image(layers=[descriptor(), descriptor(size="1")]))

    assert caught.value.field == "/layers/1/size"


def test_data_that_is_the_content_is_taken() -> None:
    assert read(image(layers=[descriptor(A, data=base64.b64encode(b"a").decode())])).layers[0].digest == A


def test_an_unknown_type_is_told_apart() -> None:
    with pytest.raises(MediaTypeUnsupportedError):
        read(image(), "application/vnd.docker.distribution.manifest.v1+json")


def test_an_attestation_says_so_in_two_places() -> None:
    platform = {"os": "unknown", "architecture": "unknown"}
    notes = {"vnd.docker.reference.type": "attestation-manifest"}
    both = descriptor(A, OCI_MANIFEST, platform=platform, annotations=notes)
    one = descriptor(A, OCI_MANIFEST, annotations=notes)

    assert [is_attestation(child) for child in read(index(both, one)).children] == [True, False]


def test_windows_layers_may_be_elsewhere() -> None:
    assert is_foreign(DOCKER_FOREIGN_LAYER)
    assert is_foreign("application/vnd.oci.image.layer.nondistributable.v1.tar+zstd")
    assert not is_foreign(OCI_LAYER_GZIP)


# documents


def nested(depth: int) -> bytes:
    return b'{"a":' * (depth - 1) + b"{}" + b"}" * (depth - 1)


def test_depth_is_bounded_exactly() -> None:
    assert parse(nested(MAX_DEPTH))
    with pytest.raises(ManifestInvalidError):
        parse(nested(MAX_DEPTH + 1))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b"1",
        b'"x"',
        b"{",
        b'{"a":1,"a":1}',
        b'{"a":{"b":1,"b":2}}',
        b'{"a":NaN}',
        b'{"a":-Infinity}',
        b'{"a":1e999}',
        b'{"a":"\xff"}',
        b"\xef\xbb\xbf{}",
        "{}".encode("utf-16"),
        b"{}{}",
        b"{'a':1}",
        b'{"a":01}',
        b'{"a":"\n"}',
        b"{}\x00",
        b'{"a":' + b"9" * 5000 + b"}",
    ],
)
def test_what_has_two_meanings_or_none_is_refused(body: bytes) -> None:
    with pytest.raises(ManifestInvalidError):
        parse(body)


json_values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=6), inner, max_size=3)),
    max_leaves=8,
)
keys = ["schemaVersion", "mediaType", "config", "layers", "manifests", "subject", "artifactType", "annotations"]
pieces = st.one_of(
    json_values,
    st.sampled_from([2, 1, *sorted(ALL), ARTIFACT_MANIFEST, descriptor(), [descriptor()], descriptor(platform={})]),
    st.dictionaries(st.sampled_from(["mediaType", "digest", "size", "data", "platform", "annotations"]), json_values),
)
documents = st.dictionaries(st.sampled_from(keys), pieces).map(lambda value: {**image(), **value})


@given(documents, st.one_of(st.sampled_from(["", *sorted(ALL)]), st.text(max_size=20)))
def test_any_document_gives_a_manifest_or_one_of_its_errors(document: Any, content_type: str) -> None:
    with contextlib.suppress(ManifestInvalidError, DigestInvalidError):
        manifest = read(document, content_type)
        assert manifest.media_type in ALL
        assert (manifest.kind is Kind.INDEX) == (manifest.media_type in {OCI_INDEX, DOCKER_LIST})
        assert (manifest.config is None) == (manifest.kind is Kind.INDEX)
        for each in (*manifest.layers, *manifest.children):
            assert 0 <= each.size < 2**63


@given(st.binary(max_size=200), st.text(max_size=20))
def test_any_bytes_give_a_manifest_or_one_of_its_errors(body: bytes, content_type: str) -> None:
    with contextlib.suppress(ManifestInvalidError, DigestInvalidError):
        Manifest.parse(body, content_type)


@given(st.data())
def test_a_flipped_byte_gives_a_manifest_or_one_of_its_errors(data: st.DataObject) -> None:
    body = bytearray(json.dumps(image(subject=descriptor())).encode())
    for _ in range(data.draw(st.integers(1, 3))):
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))

    with contextlib.suppress(ManifestInvalidError, DigestInvalidError):
        assert Manifest.parse(bytes(body), OCI_MANIFEST).body == bytes(body)


@pytest.mark.parametrize("text", ["\\ud800", "\\uDFFFa", "\\\\ud83d\\ude00", "\\u0000", "\\\\\\u0000"])
def test_a_text_of_half_a_pair_of_surrogates_or_with_a_nul_is_refused(text: str) -> None:
    """Such an annotation was taken, and then neither the referrers nor the image could be shown: 500."""
    for document in (f'{{"a": [{{"b": "{text}"}}]}}', f'{{"a": {{"{text}": 1}}}}'):
        with pytest.raises(ManifestInvalidError, match=r"with a NUL|half a pair"):
            parse(document.encode())


def test_whole_pairs_of_surrogates_and_escaped_backslashes_are_texts() -> None:
    assert parse(b'{"a": "\\ud83d\\ude00"}') == {"a": "\U0001f600"}
    assert parse(b'{"a": "\\\\u0000\\\\ud800"}') == {"a": "\\u0000\\ud800"}
