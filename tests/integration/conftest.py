"""A project of the test's own on the shared server, with robots, and images of bytes that no other test has."""

import hashlib
import json
import random
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import pytest

from tests.real.layout import Layer, Layout, layer_from_files, write_layout
from tests.real.protocol import Registry
from tests.real.server import Credential, Server

MakeImage: TypeAlias = Callable[..., Layout]


@dataclass(frozen=True, slots=True)
class Shop:
    """A new project *name* of *server* in monitor mode: one robot that pushes, one that pulls."""

    server: Server
    name: str
    developer: Credential
    viewer: Credential

    def image(self, rest: str) -> str:
        """`127.0.0.1:5000/PROJECT/` + *rest* (`web:1.0`)."""
        return f"{self.server.host}/{self.name}/{rest}"

    def publish(self) -> None:
        """Whoever asks may pull from the project now."""
        self.server.api("PATCH", f"/projects/{self.name}", {"visibility": "public"})

    def status(self, rest: str) -> int:
        """What a GET of `web/tags/list` as plain HTTP is answered with."""
        return Registry(self.server.host).as_(self.developer).ask("GET", f"/v2/{self.name}/{rest}").status

    def get(self, rest: str) -> bytes:
        """The bytes of `web/manifests/1.0` or `web/blobs/sha256:…` as plain HTTP gives them; they have that digest."""
        answer = Registry(self.server.host).as_(self.developer).ask("GET", f"/v2/{self.name}/{rest}")
        assert answer.status == 200, answer.body
        assert answer.header("Docker-Content-Digest") == f"sha256:{hashlib.sha256(answer.body).hexdigest()}"
        return answer.body


@pytest.fixture
def shop(shared_server: Server) -> Shop:
    """A project without a repository."""
    name = f"s{uuid.uuid4().hex[:10]}"
    shared_server.create_project(name)
    viewer = shared_server.create_robot(name, "reader", "viewer")
    return Shop(shared_server, name, shared_server.create_robot(name, "ci"), viewer)


@pytest.fixture
def image(tmp_path: Path) -> MakeImage:
    """Makes a layout: `image("amd64", "arm64", layers=2, size=300_000)`; its blobs are no other call's."""

    def make(*architectures: str, layers: int = 2, size: int = 300_000) -> Layout:
        mark = uuid.uuid4().hex

        def layer(name: str) -> Layer:
            noise = random.Random(name).randbytes(size)  # noqa: S311 - nothing to guess: it must not compress
            return layer_from_files(tmp_path / name, {f"srv/{name}": noise}, f"COPY {name}")

        platforms = {
            f"linux/{each}": [layer(f"{mark}-{each}-{number}") for number in range(layers)]
            for each in architectures or ("amd64",)
        }
        return write_layout(tmp_path / mark, platforms)

    return make


@pytest.fixture
def unjudged(tmp_path: Path) -> Layout:
    """An image of a system for which the shared server has no feed: a project that enforces does not serve it."""
    status = b"Package: bash\nStatus: install ok installed\nArchitecture: amd64\nVersion: 5.2-1\n"
    files = {"etc/os-release": b'ID=debian\nVERSION_ID="12"\n', "var/lib/dpkg/status": status}
    return write_layout(
        tmp_path / "unjudged", {"linux/amd64": [layer_from_files(tmp_path / "unjudged-layer", files, "COPY / /")]}
    )


def blobs(layout: Path) -> dict[str, bytes]:
    """Digest → bytes of every blob in an OCI layout."""
    return {f"sha256:{file.name}": file.read_bytes() for file in (layout / "blobs/sha256").iterdir()}


def entries(layout: Layout) -> Sequence[str]:
    """The digests in the manifest or index that *layout* is."""
    document = json.loads(blobs(layout.folder)[layout.digest])
    return [each["digest"] for each in document.get("manifests") or [document["config"], *document["layers"]]]
