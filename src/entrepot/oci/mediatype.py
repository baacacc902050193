"""Media types of manifests and layers. Specs: OCI image-spec, media-types.md; Docker image manifest v2, schema 2."""

from typing import Final

OCI_MANIFEST: Final = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX: Final = "application/vnd.oci.image.index.v1+json"
OCI_CONFIG: Final = "application/vnd.oci.image.config.v1+json"
OCI_LAYER: Final = "application/vnd.oci.image.layer.v1.tar"
OCI_LAYER_GZIP: Final = "application/vnd.oci.image.layer.v1.tar+gzip"
OCI_LAYER_ZSTD: Final = "application/vnd.oci.image.layer.v1.tar+zstd"
OCI_EMPTY: Final = "application/vnd.oci.empty.v1+json"
DOCKER_MANIFEST: Final = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_LIST: Final = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_CONFIG: Final = "application/vnd.docker.container.image.v1+json"
DOCKER_LAYER: Final = "application/vnd.docker.image.rootfs.diff.tar.gzip"
DOCKER_FOREIGN_LAYER: Final = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"

MANIFESTS: Final = frozenset({OCI_MANIFEST, DOCKER_MANIFEST})
INDEXES: Final = frozenset({OCI_INDEX, DOCKER_LIST})
ALL: Final = MANIFESTS | INDEXES

IMAGE_CONFIGS: Final = frozenset({OCI_CONFIG, DOCKER_CONFIG})

SCHEMA_1: Final = frozenset(
    {
        "application/vnd.docker.distribution.manifest.v1+json",
        "application/vnd.docker.distribution.manifest.v1+prettyjws",
    }
)
ARTIFACT_MANIFEST: Final = "application/vnd.oci.artifact.manifest.v1+json"


def is_image_layer(media_type: str) -> bool:
    """Whether a container runtime would unpack a blob of *media_type* into a root file system.

    Also by the families' common stems, so that a later compression suffix is not a way around the scan.
    """
    return media_type.startswith(
        (
            "application/vnd.oci.image.layer.",
            "application/vnd.docker.image.rootfs.",
        )
    )


def is_foreign(media_type: str) -> bool:
    """Whether the layer may be absent from a registry (Windows base layers, non-distributable layers)."""
    return media_type == DOCKER_FOREIGN_LAYER or ".layer.nondistributable." in media_type
