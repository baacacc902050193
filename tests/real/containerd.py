"""containerd of the test's own, and its client `ctr`: state, socket, snapshots and mirrors lie in the test's folder."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from tests.real.clients import ClientError
from tests.real.daemons import daemon
from tests.real.layout import TAG
from tests.real.programs import missing, require_program

TIMEOUT_SECONDS: Final = 120
# The CRI plug-in wants a network of containers, the other snapshotters want modules of the kernel.
CONFIG: Final = """
version = 2
root = "{home}/root"
state = "{home}/state"
disabled_plugins = [
  "io.containerd.grpc.v1.cri", "io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.btrfs",
  "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.zfs",
]
[grpc]
address = "{home}/socket"
"""


@dataclass(frozen=True, slots=True)
class Containerd:
    """A running containerd, spoken to by `ctr`, over plain HTTP. *user* is `login:secret`, empty for nobody."""

    home: Path
    user: str = ""

    def ctr(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """What `ctr` did with *arguments*. Raises ClientError if it failed, unless *check* is false."""
        done = subprocess.run(
            ["ctr", "--address", str(self.home / "socket"), *arguments],
            env={"PATH": os.environ["PATH"], "HOME": str(self.home), "CONTAINERD_SNAPSHOTTER": "native"},
            cwd=self.home,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_SECONDS,
            check=False,
        )
        if check and done.returncode != 0:
            raise ClientError(f"ctr {' '.join(arguments)}: {done.returncode}\n{done.stdout}{done.stderr}")
        return done

    def signed_in(self, login: str, secret: str) -> "Containerd":
        """The same containerd, whose `pull` and `push` give this credential."""
        return Containerd(self.home, f"{login}:{secret}")

    def pull(self, reference: str, *options: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Pull *reference* (`127.0.0.1:5000/shop/web:1.0`) and unpack it."""
        return self.ctr("images", "pull", "--plain-http", *self._as_user(), *options, reference, check=check)

    def push(self, reference: str, *options: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Push the image *reference* to where its name says."""
        return self.ctr("images", "push", "--plain-http", *self._as_user(), *options, reference, check=check)

    def load(self, layout: Path, reference: str) -> None:
        """The one entry of the OCI *layout* is here as the image *reference*."""
        archive = self.home / "import.tar"
        subprocess.run(["tar", "-C", str(layout), "-cf", str(archive), "."], check=True)
        self.ctr("images", "import", "--all-platforms", "--no-unpack", "--base-name", "localhost/loaded", str(archive))
        self.ctr("images", "tag", f"localhost/loaded:{TAG}", reference)
        archive.unlink()

    def digest(self, reference: str) -> str:
        """The digest of the image *reference*, empty if it is not here."""
        rows = (line.split() for line in self.ctr("images", "list").stdout.splitlines())
        return next((row[2] for row in rows if row[0] == reference), "")

    def content(self, digest: str) -> bytes:
        """The bytes of *digest* in containerd's own content store."""
        return (
            self.home / "root/io.containerd.content.v1.content/blobs/sha256" / digest.partition(":")[2]
        ).read_bytes()

    def mirrors(self, host: str, *urls: str) -> Path:
        """A folder for `--hosts-dir`: images of *host* are pulled from *urls*, in that order, and only there."""
        folder = Path(tempfile.mkdtemp(prefix="hosts-", dir=self.home))
        entries = [f'[host."{url}"]\n  capabilities = ["pull", "resolve"]\n' for url in urls]
        (folder / host).mkdir()
        (folder / host / "hosts.toml").write_text(f'server = "{urls[-1]}"\n' + "".join(entries))
        return folder

    def _as_user(self) -> tuple[str, ...]:
        return ("--user", self.user) if self.user else ()


@pytest.fixture
def containerd() -> Iterator[Containerd]:
    """An empty containerd without a credential: see `Containerd.signed_in`. Needs to be root, to unpack layers."""
    require_program("ctr")
    program = require_program("containerd")
    if os.geteuid() != 0:
        missing("containerd unpacks layers only as root")
    home = Path(tempfile.mkdtemp(prefix="containerd-"))  # the path of a socket has at most 107 characters
    (home / "config.toml").write_text(CONFIG.format(home=home))
    client = Containerd(home)
    try:
        with daemon(
            [program, "--config", str(home / "config.toml")],
            home / "log",
            lambda: (home / "socket").exists() and client.ctr("version", check=False).returncode == 0,
        ):
            yield client
    finally:
        shutil.rmtree(home, ignore_errors=True)
