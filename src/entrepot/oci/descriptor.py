"""Descriptors: what a document says about bytes it names. Spec: OCI image-spec, descriptor.md."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from entrepot.oci.digest import Digest


@dataclass(frozen=True, slots=True)
class Descriptor:
    """Media type, digest and size in bytes of content; platform as `os/architecture[/variant]`, empty if not said."""

    media_type: str
    digest: Digest
    size: int
    platform: str = ""
    annotations: Mapping[str, str] = field(default_factory=dict)
