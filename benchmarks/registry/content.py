"""What is pushed and pulled: seeded bytes that compress about two to one, in tar files, so that they can be analyzed.

Every blob is a header that makes it unlike all others, the first bytes of one shared file, and the end of a tar. So
gigabytes of different blobs need one file, and the client sends them without a copy. Spec: image-spec 1.1; POSIX ustar.
"""

import base64
import hashlib
import io
import json
import random
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.registry.http1 import Part

KIB: Final = 1 << 10
MIB: Final = 1 << 20
GIB: Final = 1 << 30
TAR_END: Final = bytes(1024)
MANIFEST: Final = "application/vnd.oci.image.manifest.v1+json"
CONFIG: Final = "application/vnd.oci.image.config.v1+json"
LAYER: Final = "application/vnd.oci.image.layer.v1.tar"
# 16 letters for 256 bytes: half the information is gone, so the bytes compress, and none is zero.
LETTERS: Final = bytes(b"etaoinshrdlcumwf"[value & 15] for value in range(256))
LAYERS: Final = 10
PACKAGES: Final = 100


@dataclass(frozen=True, slots=True)
class Blob:
    """Bytes to push, with their digest."""

    part: Part
    digest: str

    @property
    def size(self) -> int:
        """Bytes."""
        return self.part.size


@dataclass(frozen=True, slots=True)
class Image:
    """A manifest and the blobs it names: the layers, then the config."""

    manifest: bytes
    digest: str
    blobs: tuple[Blob, ...]

    @property
    def size(self) -> int:
        """Bytes of blobs and manifest."""
        return len(self.manifest) + sum(blob.size for blob in self.blobs)


@dataclass(slots=True)
class Contents:
    """Makes blobs and images; the same *seed* gives the same bytes. *pool*: the file with the bytes they share."""

    pool: Path
    seed: int
    _pool_bytes: int = 0

    def blob(self, name: str, size: int) -> Blob:
        """A tar of *size* bytes (a multiple of 512, at least 2 KiB) with one file; *name* makes it unlike others."""
        inside = size - 512 - len(TAR_END)
        header = tarfile.TarInfo(f"srv/{name}")
        header.size, header.mode = inside, 0o644
        self._grow(inside)
        part = Part(header.tobuf(tarfile.USTAR_FORMAT), self.pool, inside, TAR_END)
        return Blob(part, _digest(part))

    def image(self, name: str, layer_bytes: int, *, system: bool = False) -> Image:
        """An image of 10 layers of *layer_bytes* each; with *system* the lowest is a small one with 100 packages."""
        layers = [self.blob(f"{name}/{index}", layer_bytes) for index in range(LAYERS - system)]
        if system:
            layers.insert(0, small(_system_layer()))
        config = {
            "architecture": "amd64",
            "os": "linux",
            "config": {"Cmd": ["/bin/sh"], "Labels": {"bench": f"{self.seed}/{name}"}},
            # Not compressed: the digest of a layer's tar is that of its blob.
            "rootfs": {"type": "layers", "diff_ids": [layer.digest for layer in layers]},
            "history": [{"created": "2026-01-01T00:00:00Z", "created_by": f"COPY {i} /srv"} for i in range(LAYERS)],
        }
        blobs = (*layers, small(_json(config)))
        manifest = {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": _descriptor(CONFIG, blobs[-1]),
            "layers": [_descriptor(LAYER, layer) for layer in layers],
        }
        body = _json(manifest)
        return Image(body, small(body).digest, blobs)

    def _grow(self, size: int) -> None:
        """The pool has *size* bytes at least; what it has stays as it is."""
        with self.pool.open("ab") as file:
            while self._pool_bytes < size:
                source = random.Random(f"{self.seed}/{self._pool_bytes}")
                file.write(source.randbytes(MIB).translate(LETTERS))
                self._pool_bytes += MIB


def small(data: bytes) -> Blob:
    """*data* as a blob that is kept in memory."""
    return Blob(Part(data), f"sha256:{hashlib.sha256(data).hexdigest()}")


def basic(name: str, secret: str) -> str:
    """The value of an Authorization header. Spec: RFC 7617."""
    return "Basic " + base64.b64encode(f"{name}:{secret}".encode()).decode()


def _digest(part: Part) -> str:
    running = hashlib.sha256(part.head)
    if part.file is not None:
        left = part.count
        with part.file.open("rb") as file:
            while left and (piece := file.read(min(4 * MIB, left))):
                running.update(piece)
                left -= len(piece)
    running.update(part.tail)
    return f"sha256:{running.hexdigest()}"


def _descriptor(media_type: str, blob: Blob) -> Mapping[str, object]:
    return {"mediaType": media_type, "digest": blob.digest, "size": blob.size}


def _json(document: object) -> bytes:
    return json.dumps(document, separators=(",", ":")).encode()


def _system_layer() -> bytes:
    """A layer that says which system this is and what is installed, so that the image has findings to be looked for."""
    status = "\n".join(
        f"Package: bench{number}\nStatus: install ok installed\nArchitecture: amd64\nVersion: 1.{number}-1\n"
        for number in range(PACKAGES)
    )
    release = 'ID=debian\nVERSION_ID="12"\nPRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\n'
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name, text in (("etc/os-release", release), ("var/lib/dpkg/status", status)):
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(text), 0o644
            tar.addfile(member, io.BytesIO(text.encode()))
    return packed.getvalue()
