"""OCI image layouts written straight from the specification, without the product's own code.

Spec: image-spec 1.1, image-layout.md, manifest.md, config.md, image-index.md.
"""

import gzip
import hashlib
import io
import json
import os
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

OCI: Final = "application/vnd.oci.image"
CHUNK_BYTES: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Layer:
    """A gzip layer in the file *path*. *diff_id* is the digest of the tar inside, *step* the build line."""

    path: Path
    diff_id: str
    step: str


@dataclass(frozen=True, slots=True)
class Layout:
    """An OCI layout in *folder* with one tagged entry; *digest* is its manifest's or index's."""

    folder: Path
    digest: str

    @property
    def source(self) -> str:
        """The entry as skopeo names it."""
        return f"oci:{self.folder}:{TAG}"


TAG: Final = "it"


def layer_from_tar(tar: Path, step: str) -> Layer:
    """*tar* compressed next to itself, level 1: 170 MB take about 2 s."""
    target = tar.with_name(tar.name + ".gz")
    diff = hashlib.sha256()
    with tar.open("rb") as source, gzip.GzipFile(target, "wb", compresslevel=1, mtime=0) as packed:
        while chunk := source.read(CHUNK_BYTES):
            diff.update(chunk)
            packed.write(chunk)
    return Layer(target, f"sha256:{diff.hexdigest()}", step)


def layer_from_files(target: Path, files: Mapping[str, bytes], step: str) -> Layer:
    """A layer of *files* (path in the image → content) in *target*; a whiteout is a file named `.wh.…`."""
    with tarfile.open(target.with_suffix(".tar"), "w", format=tarfile.PAX_FORMAT) as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(content), 0o644
            tar.addfile(member, io.BytesIO(content))
    return layer_from_tar(target.with_suffix(".tar"), step)


def layer_from_tree(target: Path, tree: Path, place: str, step: str) -> Layer:
    """A layer with the folder *tree* as *place* of the image, in *target*."""
    with tarfile.open(target.with_suffix(".tar"), "w", format=tarfile.PAX_FORMAT) as tar:
        tar.add(tree, place)
    return layer_from_tar(target.with_suffix(".tar"), step)


def write_layout(folder: Path, images: Mapping[str, Sequence[Layer]]) -> Layout:
    """A layout in the new *folder*: platform (`linux/amd64`) → layers. More than one platform makes an index."""
    blobs = folder / "blobs" / "sha256"
    blobs.mkdir(parents=True)
    manifests = [_image(blobs, platform, layers) for platform, layers in images.items()]
    entry = manifests[0] if len(manifests) == 1 else _document(blobs, f"{OCI}.index.v1+json", {"manifests": manifests})
    tagged = {**entry, "annotations": {"org.opencontainers.image.ref.name": TAG}}
    (folder / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
    (folder / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [tagged]}))
    return Layout(folder, entry["digest"])


def _image(blobs: Path, platform: str, layers: Sequence[Layer]) -> dict[str, Any]:
    system, architecture = platform.split("/")
    config = {
        "architecture": architecture,
        "os": system,
        "config": {"Cmd": ["/bin/sh"]},
        "rootfs": {"type": "layers", "diff_ids": [layer.diff_id for layer in layers]},
        "history": [{"created": "2026-01-01T00:00:00Z", "created_by": layer.step} for layer in layers],
    }
    described = _blob(blobs, f"{OCI}.config.v1+json", json.dumps(config).encode())
    content = {"config": described, "layers": [_link(blobs, layer) for layer in layers]}
    manifest = _document(blobs, f"{OCI}.manifest.v1+json", content)
    return {**manifest, "platform": {"os": system, "architecture": architecture}}


def _document(blobs: Path, media_type: str, content: Mapping[str, Any]) -> dict[str, Any]:
    return _blob(blobs, media_type, json.dumps({"schemaVersion": 2, "mediaType": media_type, **content}).encode())


def _blob(blobs: Path, media_type: str, content: bytes) -> dict[str, Any]:
    digest = hashlib.sha256(content).hexdigest()
    (blobs / digest).write_bytes(content)
    return {"mediaType": media_type, "digest": f"sha256:{digest}", "size": len(content)}


def _link(blobs: Path, layer: Layer) -> dict[str, Any]:
    with layer.path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if not (blobs / digest).exists():
        os.link(layer.path, blobs / digest)
    return {
        "mediaType": f"{OCI}.layer.v1.tar+gzip",
        "digest": f"sha256:{digest}",
        "size": layer.path.stat().st_size,
    }
