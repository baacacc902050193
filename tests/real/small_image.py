"""An image of one small layer that is read whole and passes every policy."""

import gzip
import io
import tarfile

from tests.real.protocol import OCI_CONFIG, OCI_LAYER, OCI_MANIFEST, Registry, descriptor, encoded, sha256


def tar(text: str) -> bytes:
    """A layer that is read whole, with nothing in it that a policy minds."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        member = tarfile.TarInfo("hello")
        member.size = len(text)
        archive.addfile(member, io.BytesIO(text.encode()))
    return packed.getvalue()


def push_image(registry: Registry, repository: str, tag: str, layer: bytes) -> str:
    """An image of one *layer*, as its config says too; its digest."""
    packed = gzip.compress(layer, mtime=0)
    rootfs = {"type": "layers", "diff_ids": [sha256(layer)]}
    config = encoded({"architecture": "amd64", "os": "linux", "rootfs": rootfs})
    for data in (config, packed):
        registry.push_blob(repository, data)
    body = encoded(
        {
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "config": descriptor(config, OCI_CONFIG),
            "layers": [descriptor(packed, OCI_LAYER)],
        }
    )
    assert registry.put_manifest(repository, tag, body).status == 201
    return sha256(body)
