"""A builder of OCI images whose every byte follows from its arguments.

Invariant: the same arguments give the same bytes on every machine and every Python >= 3.11. It holds because
nothing is taken from outside (no clock, no user, no file system) and nothing is left to a library that may change
its mind: tar members are sorted and carry one time, documents are JSON with sorted keys and no blanks, and layers
are gzip of *stored* blocks written here. zlib, zlib-ng and their versions compress to different bytes; stored
blocks have one form only. The price is that layers are as large as their files.

Worked example: `image([layer({"etc/hostname": b"web"})])` is an `Image` whose `digest` is fixed for ever.
The test that breaks otherwise: tests/unit/cli/demo/test_build.py, with written-out digests.

Specs: OCI image-spec, layer.md, config.md, manifest.md, image-index.md, image-layout.md; RFC 1951, 3.2.4; RFC 1952.
"""

import io
import json
import struct
import tarfile
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, TypeAlias

from entrepot.oci.digest import Digest
from entrepot.oci.mediatype import OCI_CONFIG, OCI_INDEX, OCI_LAYER_GZIP, OCI_MANIFEST

CREATED: Final = "2023-06-10T00:00:00Z"
MTIME: Final = 1_686_355_200  # CREATED in seconds
STORED_BLOCK: Final = 65_535
GZIP_HEADER: Final = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"  # deflate, no flags, mtime 0, unknown system
WHITEOUT: Final = ".wh."
OPAQUE: Final = ".wh..wh..opq"


@dataclass(frozen=True, slots=True)
class File:
    """A regular file of a layer. *mode*: permission bits, also setuid."""

    data: bytes
    mode: int = 0o644


@dataclass(frozen=True, slots=True)
class Symlink:
    """A symbolic link of a layer, *target* as written."""

    target: str


@dataclass(frozen=True, slots=True)
class Directory:
    """A directory of a layer; those on the way to a file need not be named."""

    mode: int = 0o755


Entry: TypeAlias = bytes | File | Symlink | Directory


@dataclass(frozen=True, slots=True)
class Blob:
    """Bytes with their name and media type."""

    media_type: str
    data: bytes = field(repr=False)
    digest: Digest = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "digest", Digest.of(self.data))

    @property
    def size(self) -> int:
        """Bytes."""
        return len(self.data)

    def descriptor(self) -> dict[str, object]:
        """The blob's descriptor. Spec: OCI image-spec, descriptor.md."""
        return {"mediaType": self.media_type, "digest": str(self.digest), "size": self.size}


@dataclass(frozen=True, slots=True)
class Layer:
    """A layer: its blob as it is stored, and the digest of its tar."""

    blob: Blob
    diff_id: Digest
    step: str = ""

    @classmethod
    def of_tar(cls, tar: bytes, step: str = "") -> "Layer":
        """The layer whose tar is *tar*, whatever that holds: also for hostile ones."""
        return cls(Blob(OCI_LAYER_GZIP, gzip_stored(tar)), Digest.of(tar), step)

    @property
    def digest(self) -> Digest:
        """Of the blob."""
        return self.blob.digest


@dataclass(frozen=True, slots=True)
class Image:
    """An image for one platform: manifest, config, layers (lowest first)."""

    manifest: Blob
    config: Blob
    layers: tuple[Layer, ...]
    platform: str

    @property
    def digest(self) -> Digest:
        """Of the manifest."""
        return self.manifest.digest

    def blobs(self) -> tuple[Blob, ...]:
        """What must be pushed before the manifest, each once, in the manifest's order."""
        return tuple({blob.digest: blob for blob in (*(layer.blob for layer in self.layers), self.config)}.values())


@dataclass(frozen=True, slots=True)
class Index:
    """An index and the images it names."""

    manifest: Blob
    images: tuple[Image, ...]

    @property
    def digest(self) -> Digest:
        """Of the index."""
        return self.manifest.digest


def layer(
    files: Mapping[str, Entry], *, whiteouts: Iterable[str] = (), opaques: Iterable[str] = (), step: str = ""
) -> Layer:
    """The layer that adds *files* (path without leading / -> content).

    whiteouts: paths it hides in lower layers; opaques: directories it empties there. step: the build step that the
    image's history will name. Spec: OCI image-spec, layer.md, "Whiteouts".
    """
    entries = dict(files)
    for path in whiteouts:
        folder, _, name = path.rpartition("/")
        entries[f"{folder}/{WHITEOUT}{name}" if folder else WHITEOUT + name] = b""
    for path in opaques:
        entries[f"{path}/{OPAQUE}"] = b""
    for path in tuple(entries):
        parts = path.split("/")[:-1]
        for depth in range(1, len(parts) + 1):
            entries.setdefault("/".join(parts[:depth]), Directory())
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for path in sorted(entries):
            info, data = _member(path, entries[path])
            tar.addfile(info, io.BytesIO(data))
    return Layer.of_tar(out.getvalue(), step)


def image(
    layers: Sequence[Layer],
    *,
    platform: str = "linux/amd64",
    history: Sequence[str] | None = None,
    labels: Mapping[str, str] | None = None,
    command: Sequence[str] = ("/bin/sh",),
) -> Image:
    """The image of *layers*, lowest first.

    platform: `os/architecture[/variant]`. history: one text per layer; else each layer's own *step*. An entry whose
    text is empty is written as empty text, not left out.
    """
    system, architecture, *variant = platform.split("/")
    steps = [each.step for each in layers] if history is None else list(history)
    config: dict[str, object] = {
        "created": CREATED,
        "architecture": architecture,
        "os": system,
        "config": {"Cmd": list(command), "Env": ["PATH=/usr/bin:/bin"], "Labels": dict(labels or {})},
        "rootfs": {"type": "layers", "diff_ids": [str(each.diff_id) for each in layers]},
        "history": [{"created": CREATED, "created_by": step} for step in steps],
    }
    if variant:
        config["variant"] = variant[0]
    config_blob = Blob(OCI_CONFIG, _document(config))
    manifest = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": config_blob.descriptor(),
        "layers": [each.blob.descriptor() for each in layers],
    }
    return Image(Blob(OCI_MANIFEST, _document(manifest)), config_blob, tuple(layers), platform)


def index(images: Sequence[Image]) -> Index:
    """The index that names *images*, each with its platform."""
    children = []
    for each in images:
        system, architecture, *variant = each.platform.split("/")
        named = {"os": system, "architecture": architecture} | ({"variant": variant[0]} if variant else {})
        children.append(each.manifest.descriptor() | {"platform": named})
    document = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": children}
    return Index(Blob(OCI_INDEX, _document(document)), tuple(images))


def write_layout(folder: Path, tags: Mapping[str, Image | Index]) -> None:
    """Write an OCI layout into *folder*, made if absent: skopeo reads it as `oci:FOLDER:TAG`.

    Raises OSError. Spec: OCI image-spec, image-layout.md.
    """
    named = []
    for tag, item in sorted(tags.items()):
        for blob in _closure(item):
            path = folder / "blobs" / blob.digest.algorithm / blob.digest.hex
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(blob.data)
        named.append(item.manifest.descriptor() | {"annotations": {"org.opencontainers.image.ref.name": tag}})
    (folder / "index.json").write_bytes(_document({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": named}))
    (folder / "oci-layout").write_bytes(_document({"imageLayoutVersion": "1.0.0"}))


def gzip_stored(data: bytes) -> bytes:
    """*data* as gzip of stored blocks: valid for every reader, and one form only. Spec: RFC 1951, 3.2.4."""
    out = bytearray(GZIP_HEADER)
    for start in range(0, max(len(data), 1), STORED_BLOCK):
        block = data[start : start + STORED_BLOCK]
        last = start + STORED_BLOCK >= len(data)
        out += struct.pack("<BHH", last, len(block), len(block) ^ 0xFFFF) + block
    return bytes(out + struct.pack("<II", zlib.crc32(data), len(data) & 0xFFFF_FFFF))


def _closure(item: Image | Index) -> list[Blob]:
    images = item.images if isinstance(item, Index) else (item,)
    below = [blob for each in images for blob in (*each.blobs(), each.manifest)]
    return [*below, item.manifest]


def _member(path: str, entry: Entry) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(path)
    info.mtime = MTIME
    match entry:
        case bytes():
            info.mode, info.size = 0o644, len(entry)
            return info, entry
        case File(data, mode):
            info.mode, info.size = mode, len(data)
            return info, data
        case Symlink(target):
            info.type, info.mode, info.linkname = tarfile.SYMTYPE, 0o777, target
        case Directory(mode):
            info.type, info.mode = tarfile.DIRTYPE, mode
    return info, b""


def _document(value: Mapping[str, object]) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()
