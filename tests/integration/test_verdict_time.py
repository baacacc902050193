"""How long after the push of a real 100 MB image its verdict is there."""

import gzip
import hashlib
import shutil
import tarfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from itertools import count
from pathlib import Path

import pytest

from tests.real.clients import Skopeo
from tests.real.feeds import EXTRACTS
from tests.real.layout import Layer, write_layout
from tests.real.server import Server
from tests.real.systems import Rootfs

pytestmark = pytest.mark.xdist_group("verdict-time")

LAYERS = 5
LAYER_BYTES = 20_000_000  # as pushed, compressed
MOST_SECONDS = 1.0
TRIES = 3
STATUS = "var/lib/dpkg/status"


@dataclass(frozen=True, slots=True)
class Body:
    """A layer without its end, so that each try can give it another: *path*, compressed; *state* of its diff_id."""

    path: Path
    state: "hashlib._Hash"


def test_the_verdict_on_100_mb_in_5_layers_is_there_within_a_second(
    server: Server, skopeo: Skopeo, debian_rootfs: Rootfs, tmp_path: Path
) -> None:
    server.import_feed("", EXTRACTS / "debian-12-minbase.jsonl.zst")
    server.create_project("big")
    robot = server.create_robot("big", "ci")
    client = skopeo.signed_in(server.host, robot.login, robot.secret)
    shares = share_out(debian_rootfs)
    with ThreadPoolExecutor(2) as pool:
        bodies = list(pool.map(lambda index: body(tmp_path / f"body-{index}", shares[index]), range(LAYERS)))

    taken = []
    for attempt in range(TRIES):
        layers = [finished(each, tmp_path / f"layer-{attempt}-{index}") for index, each in enumerate(bodies)]
        layout = write_layout(tmp_path / f"image-{attempt}", {"linux/amd64": layers})
        client.copy(layout.source, f"docker://{server.host}/big/app:{attempt}")
        scan = server.wait_for_scan("big/app", str(attempt))
        assert (scan["status"], scan["digest"]) == ("complete", layout.digest)
        taken.append(at(server, "verdict.changed", layout.digest) - at(server, "manifest.pushed", layout.digest))
    size = sum(layer.path.stat().st_size for layer in layers)
    print(f"\n{size / 1e6:.0f} MB in {LAYERS} layers, push to verdict: {', '.join(f'{each:.2f}' for each in taken)} s")

    assert size >= LAYERS * LAYER_BYTES
    assert min(taken) < MOST_SECONDS


def at(server: Server, action: str, digest: str) -> float:
    """When the audit log has *action* on *digest*, in seconds."""
    (event,) = server.items(f"/audit?action={action}&digest={digest}")
    return datetime.fromisoformat(event["at"]).timestamp()


def share_out(rootfs: Rootfs) -> list[dict[str, bytes]]:
    """The system's files in as many shares of about the same size as there are layers; the database is in each."""
    shares: list[dict[str, bytes]] = [{} for _ in range(LAYERS)]
    sizes = [0] * LAYERS
    with tarfile.open(rootfs.tar) as tar:
        for member in tar:
            if member.isfile() and (file := tar.extractfile(member)) is not None:
                content, name = file.read(), member.name.removeprefix("./")
                chosen = range(LAYERS) if name in {STATUS, "usr/lib/os-release"} else [sizes.index(min(sizes))]
                for index in chosen:
                    shares[index][name] = content
                    sizes[index] += len(content)
    return shares


def body(path: Path, files: dict[str, bytes]) -> Body:
    """A layer of *files*, and of copies of them in other folders until it has its size, but without an end."""
    state = hashlib.sha256()
    with gzip.GzipFile(path, "wb", compresslevel=1, mtime=0) as packed:
        for copy in count():
            for name, content in files.items():
                data = member(f"srv/copy-{copy}/{name}" if copy else name, content)
                state.update(data)
                packed.write(data)
                if copy and path.stat().st_size >= LAYER_BYTES:
                    return Body(path, state)
    raise AssertionError


def finished(start: Body, path: Path) -> Layer:
    """*start* with an end of its own, named after *path*: so no two layers are the same."""
    end = member("etc/build-id", path.name.encode()) + tarfile.NUL * (2 * tarfile.BLOCKSIZE)
    state = start.state.copy()
    state.update(end)
    with path.open("wb") as file:
        with start.path.open("rb") as beginning:
            shutil.copyfileobj(beginning, file)
        file.write(gzip.compress(end, mtime=0))
    return Layer(path, f"sha256:{state.hexdigest()}", f"RUN build {path.name}")


def member(name: str, content: bytes) -> bytes:
    """One regular file as it stands in a tar."""
    info = tarfile.TarInfo(name)
    info.size, info.mode = len(content), 0o644
    return info.tobuf(tarfile.PAX_FORMAT) + content + b"\0" * (-len(content) % tarfile.BLOCKSIZE)
