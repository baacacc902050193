"""Manifests and indexes: bytes are kept exactly, and read once into what the registry must know.

Specs: OCI image-spec, manifest.md and image-index.md; Docker image manifest v2, schema 2.
"""

import base64
import binascii
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from entrepot.oci import mediatype
from entrepot.oci.descriptor import Descriptor
from entrepot.oci.digest import Digest
from entrepot.oci.document import parse
from entrepot.oci.errors import ManifestInvalidError, MediaTypeUnsupportedError

MAX_LAYERS: Final = 1_000
MAX_CHILDREN: Final = 5_000
MAX_SIZE: Final = 2**63 - 1
# Keys that are read, by their form without case.
DOCUMENT: Final = {
    key.casefold(): key
    for key in ("schemaVersion", "mediaType", "artifactType", "config", "layers", "manifests", "subject", "annotations")
}
DESCRIPTOR: Final = {
    key.casefold(): key
    for key in ("mediaType", "artifactType", "digest", "size", "data", "urls", "annotations", "platform")
}
PLATFORM: Final = {key: key for key in ("os", "architecture", "variant")}
# BuildKit hangs its attestations into the index with this annotation and an unknown platform.
ATTESTATION_KEY: Final = "vnd.docker.reference.type"
IN_TOTO: Final = "application/vnd.in-toto+json"


class Kind(StrEnum):
    """What a manifest is to a runtime: something it unpacks, a list of such, or neither."""

    IMAGE = "image"
    INDEX = "index"
    ARTIFACT = "artifact"


@dataclass(frozen=True, slots=True)
class Manifest:
    """A manifest as pushed: its bytes and what they say.

    children: what an index lists, in order; those with a manifest's media type are manifests, all others blobs
    (BuildKit's cache lists layers). config, layers: of an image or artifact.
    """

    body: bytes
    media_type: str
    kind: Kind
    artifact_type: str
    config: Descriptor | None
    layers: tuple[Descriptor, ...]
    children: tuple[Descriptor, ...]
    subject: Digest | None

    @classmethod
    def parse(cls, body: bytes, content_type: str) -> "Manifest":
        """The manifest *body*, announced as *content_type* (may be empty, parameters are ignored).

        Raises ManifestInvalidError, MediaTypeUnsupportedError, DigestInvalidError (a descriptor's digest).
        """
        document = parse(body)
        _check_keys(document, DOCUMENT, "")
        media_type = _media_type(document, content_type.partition(";")[0].strip().lower())
        _check_shape(document, media_type)
        _annotations(document, "")
        subject = _descriptor(document["subject"], "/subject").digest if document.get("subject") is not None else None
        artifact_type = _text(document, "artifactType", "")
        if media_type in mediatype.INDEXES:
            children = _descriptors(document, "manifests", MAX_CHILDREN)
            # BuildKit's cache is an index of layers: it lists nothing that a runtime could choose.
            chooses = any(child.media_type in mediatype.ALL for child in children)
            kind = Kind.INDEX if chooses else Kind.ARTIFACT
            return cls(body, media_type, kind, artifact_type, None, (), children, subject)
        if document.get("config") is None:
            raise ManifestInvalidError("manifest has no config", "/config")
        config = _descriptor(document["config"], "/config")
        layers = _descriptors(document, "layers", MAX_LAYERS)
        kind = _kind(config, layers)
        return cls(body, media_type, kind, artifact_type or config.media_type, config, layers, (), subject)


def is_attestation(descriptor: Descriptor) -> bool:
    """Whether an index's child says that it is a BuildKit attestation. The child's own layers must agree."""
    return ATTESTATION_KEY in descriptor.annotations and descriptor.platform.startswith("unknown/")


def _kind(config: Descriptor, layers: tuple[Descriptor, ...]) -> Kind:
    """An image is whatever a runtime can unpack, whatever else the document claims to be (policy.md, PO12)."""
    if layers and all(layer.media_type == IN_TOTO for layer in layers):
        return Kind.ARTIFACT
    if config.media_type in mediatype.IMAGE_CONFIGS or any(mediatype.is_image_layer(x.media_type) for x in layers):
        return Kind.IMAGE
    return Kind.ARTIFACT


def _media_type(document: dict[str, Any], announced: str) -> str:
    if document.get("schemaVersion") == 1 or announced in mediatype.SCHEMA_1:
        raise MediaTypeUnsupportedError("docker schema 1 manifests are not accepted: push with a newer client")
    stated = _text(document, "mediaType", "")
    if stated and announced and stated != announced:
        raise ManifestInvalidError("Content-Type and mediaType of the manifest differ", "/mediaType")
    media_type = announced or stated
    if not media_type and document.get("schemaVersion") == 2:
        media_type = mediatype.OCI_INDEX if "manifests" in document else mediatype.OCI_MANIFEST
    if media_type == mediatype.ARTIFACT_MANIFEST:
        raise MediaTypeUnsupportedError(
            "the OCI artifact manifest was withdrawn: push an image manifest with artifactType"
        )
    if media_type not in mediatype.ALL:
        raise MediaTypeUnsupportedError("not a manifest type this registry takes: OCI or Docker schema 2")
    # 2.0 is 2 to some readers, and no number to others.
    if document.get("schemaVersion") != 2 or not isinstance(document["schemaVersion"], int):
        raise ManifestInvalidError("schemaVersion of the manifest is not 2", "/schemaVersion")
    return media_type


def _check_shape(document: dict[str, Any], media_type: str) -> None:
    """Who reads by type and who reads by shape must see the same thing (GHSA-qq97-vm5h-rrhg)."""
    if "manifests" in document and ("layers" in document or "config" in document):
        raise ManifestInvalidError("manifest has both manifests and layers: it can be read in two ways")
    if media_type in mediatype.INDEXES and ("layers" in document or "config" in document):
        raise ManifestInvalidError("an index has neither layers nor config: it can be read in two ways")


def _text(document: dict[str, Any], key: str, default: str) -> str:
    value = document.get(key)
    if value is None:
        return default
    if not isinstance(value, str) or len(value) > 255 or not value.isascii():
        raise ManifestInvalidError(f"{key} is not a short text", f"/{key}")
    return value


def _descriptors(document: dict[str, Any], key: str, limit: int) -> tuple[Descriptor, ...]:
    values = document.get(key)
    if values is None:
        values = []
    if not isinstance(values, list):
        raise ManifestInvalidError(f"{key} is not a list", f"/{key}")
    if len(values) > limit:
        raise ManifestInvalidError(f"{key} has more than {limit} entries", f"/{key}")
    return tuple(_descriptor(value, f"/{key}/{index}") for index, value in enumerate(values))


def _descriptor(value: object, pointer: str) -> Descriptor:
    if not isinstance(value, dict):
        raise ManifestInvalidError("a descriptor is not an object", pointer)
    _check_keys(value, DESCRIPTOR, pointer)
    media_type, digest, size = value.get("mediaType"), value.get("digest"), value.get("size")
    if not isinstance(media_type, str) or not media_type or len(media_type) > 255:
        raise ManifestInvalidError("a descriptor has no mediaType", f"{pointer}/mediaType")
    if not isinstance(digest, str):
        raise ManifestInvalidError("a descriptor has no digest", f"{pointer}/digest")
    if not isinstance(size, int) or isinstance(size, bool) or not 0 <= size <= MAX_SIZE:
        raise ManifestInvalidError("a descriptor's size is not a number of bytes", f"{pointer}/size")
    parsed = Digest.parse(digest)
    _check_data(value.get("data"), parsed, size, pointer)
    return Descriptor(media_type, parsed, size, _platform(value.get("platform"), pointer), _annotations(value, pointer))


def _annotations(value: dict[str, Any], pointer: str) -> dict[str, str]:
    annotations = value.get("annotations") or {}
    if not isinstance(annotations, dict) or not all(isinstance(item, str) for item in annotations.values()):
        raise ManifestInvalidError("annotations map text to text", f"{pointer}/annotations")
    return annotations


def _check_keys(value: dict[str, Any], known: dict[str, str], pointer: str) -> None:
    """Go's reader takes `Layers` for `layers`: a key that is a known one but for its case has two meanings."""
    for key in value:
        meant = known.get(key.casefold(), key)
        if key != meant:
            raise ManifestInvalidError(f"{meant} is written in another case: it can be read in two ways", pointer)


def _check_data(data: object, digest: Digest, size: int, pointer: str) -> None:
    """A descriptor may carry its content; then it must be that content."""
    if data is None:
        return
    try:
        content = base64.b64decode(data if isinstance(data, str) else "", validate=True)
    except (binascii.Error, ValueError):
        raise ManifestInvalidError("a descriptor's data is not base64", f"{pointer}/data") from None
    if len(content) != size or Digest.of(content, digest.algorithm) != digest:
        raise ManifestInvalidError("a descriptor's data is not what its digest says", f"{pointer}/data")


def _platform(value: object, pointer: str) -> str:
    if value is None:
        return ""
    if not isinstance(value, dict):
        raise ManifestInvalidError("platform is not an object", f"{pointer}/platform")
    _check_keys(value, PLATFORM, f"{pointer}/platform")
    parts = [value.get("os"), value.get("architecture")]
    if value.get("variant"):
        parts.append(value["variant"])
    if not all(isinstance(part, str) and len(part) <= 40 for part in parts):
        raise ManifestInvalidError("platform names no os and architecture", f"{pointer}/platform")
    return "/".join(str(part) for part in parts)
