"""What real images hold: a Debian root file system, an Alpine package database, an environment of old wheels.

Each is made once in a test run, whichever worker asks first, and never kept for the next one.
"""

import fcntl
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import distributions
from pathlib import Path
from typing import Final

import pytest

from tests.real.layout import Layer, layer_from_tar
from tests.real.programs import missing, require_program

DATA: Final = Path(__file__).parents[1] / "data"
SUITE: Final = "bookworm"
STEP: Final = f"mmdebstrap --variant=minbase {SUITE}"
LISTING: Final = "${Package}\t${Version}\t${Architecture}\t${source:Package}\t${source:Version}\n"
TIMEOUT_SECONDS: Final = 280


@dataclass(frozen=True, slots=True)
class Rootfs:
    """A Debian root file system: *tar* as mmdebstrap wrote it, the *layer* made of it, and its package database."""

    tar: Path
    layer: Layer
    admin_folder: Path

    def packages(self) -> frozenset[tuple[str, str, str, str, str]]:
        """What dpkg-query lists: name, version, architecture, source name, source version."""
        query = ["dpkg-query", f"--admindir={self.admin_folder}", "-W", "-f", LISTING]
        lines = subprocess.run(query, capture_output=True, text=True, check=True).stdout.splitlines()
        rows = (line.split("\t") for line in lines)
        return frozenset((name, version, arch, source, origin) for name, version, arch, source, origin in rows)


@dataclass(frozen=True, slots=True)
class AlpineDatabase:
    """The *files* of an Alpine image that name its system and packages, by path (tests/data/alpine/README.md)."""

    files: dict[str, bytes]

    def packages(self) -> frozenset[tuple[str, str, str, str]]:
        """Name, version, architecture and origin of each package, read line by line."""
        found = set()
        for block in self.files["lib/apk/db/installed"].decode().split("\n\n"):
            fields = dict(line.split(":", 1) for line in block.splitlines() if line[1:2] == ":")
            if fields:
                found.add((fields["P"], fields["V"], fields["A"], fields["o"]))
        return frozenset(found)


@dataclass(frozen=True, slots=True)
class OldWheels:
    """A virtual environment in *folder* with the releases of tests/data/old-wheels.txt, as pip installed them."""

    folder: Path

    @property
    def site_packages(self) -> Path:
        """Where the distributions are."""
        return next(self.folder.glob("lib/python3*/site-packages"))

    def packages(self) -> frozenset[tuple[str, str]]:
        """Name (as the distribution writes it) and version of each, as Python's own importlib.metadata reads them."""
        found = distributions(path=[str(self.site_packages)])
        return frozenset((each.metadata["Name"], each.version) for each in found)


@pytest.fixture(scope="session")
def debian_rootfs(tmp_path_factory: pytest.TempPathFactory) -> Rootfs:
    """Debian 12 as `mmdebstrap --variant=minbase` makes it now from the package archive: about 170 MB, 15 s."""
    require_program("dpkg-query")
    program = require_program("mmdebstrap")

    def make(folder: Path) -> None:
        _run([program, "--quiet", "--variant=minbase", SUITE, str(folder / "rootfs.tar")])
        _run(["tar", "-C", str(folder), "-xf", str(folder / "rootfs.tar"), "./var/lib/dpkg"])
        (folder / "diff_id").write_text(layer_from_tar(folder / "rootfs.tar", STEP).diff_id)

    folder = _once(tmp_path_factory, "debian", make)
    layer = Layer(folder / "rootfs.tar.gz", (folder / "diff_id").read_text(), STEP)
    return Rootfs(folder / "rootfs.tar", layer, folder / "var/lib/dpkg")


@pytest.fixture(scope="session")
def alpine_database() -> AlpineDatabase:
    """An Alpine 3.19 with 26 packages, some older than a fix."""
    release = 'NAME="Alpine Linux"\nID=alpine\nVERSION_ID=3.19.0\nPRETTY_NAME="Alpine Linux v3.19"\n'
    return AlpineDatabase(
        {
            "etc/alpine-release": b"3.19.0\n",
            "etc/os-release": release.encode(),
            "lib/apk/db/installed": (DATA / "alpine/installed").read_bytes(),
        }
    )


@pytest.fixture(scope="session")
def old_wheels_venv(tmp_path_factory: pytest.TempPathFactory) -> OldWheels:
    """A new virtual environment with 14 old releases, fetched from the package index by pip: about 8 s."""

    def make(folder: Path) -> None:
        _run([sys.executable, "-m", "venv", str(folder / "venv")])
        options = ["--quiet", "--no-deps", "--no-compile", "--only-binary=:all:", "--require-hashes"]
        _run([str(folder / "venv/bin/pip"), "install", *options, "--requirement", str(DATA / "old-wheels.txt")])

    return OldWheels(_once(tmp_path_factory, "old-wheels", make) / "venv")


def _once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], None]) -> Path:
    """The folder *name* of this test run, filled by *make* in the first worker that comes."""
    base = factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / f"real-{name}"
    folder.mkdir(exist_ok=True)
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / ".made").exists():
            make(folder)
            (folder / ".made").touch()
    return folder


def _run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_SECONDS, check=False)
    if done.returncode != 0:
        missing(f"{Path(command[0]).name} does not work here: {(done.stderr or done.stdout).strip()[-300:]}")
