"""skopeo, podman and buildah, as their users run them, but with state of their own.

They never see the user's images, credentials, mirrors or trust policy: home, temporary and run-time folder, storage
and authentication file lie in the test's folder. As root both also keep a cache of blob locations under a fixed
path, which remembers registries of former runs; there they run in a mount namespace of their own, where it is allowed.
"""

import base64
import functools
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Self

import pytest

from tests.real.programs import missing, require_program

TIMEOUT_SECONDS: Final = 120
SHARED_STATE: Final = Path("/var/lib/containers")  # where both keep their cache as root, whatever --root says
HIDE_SHARED_STATE: Final = ("unshare", "--mount", "sh", "-c", f'mount --bind "$0" {SHARED_STATE} && exec "$@"')


class ClientError(AssertionError):
    """A client ended with an error where the test asked for success; the text is all it printed."""


@dataclass(frozen=True, slots=True)
class Client:
    """One program with state of its own under *home*, signed in with the file *auth*."""

    command: tuple[str, ...]
    home: Path
    auth: Path

    def run(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """What the program did with *arguments*. Raises ClientError if it failed, unless *check* is false."""
        environment = {
            "PATH": os.environ["PATH"],
            "LC_ALL": "C.UTF-8",
            "HOME": str(self.home),
            "TMPDIR": str(self.home / "tmp"),
            "XDG_RUNTIME_DIR": str(self.home / "run"),
            "REGISTRY_AUTH_FILE": str(self.auth),
            "CONTAINERS_REGISTRIES_CONF": str(self.home / "registries.conf"),
        }
        done = subprocess.run(
            [*_hidden(self.home), *self.command, *arguments],
            env=environment,
            cwd=self.home,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_SECONDS,
            check=False,
        )
        if check and done.returncode != 0:
            raise ClientError(f"{self.command[0]} {' '.join(arguments)}: {done.returncode}\n{done.stdout}{done.stderr}")
        return done

    def signed_in(self, host: str, login: str, secret: str) -> Self:
        """The same client with the credential (*login*, *secret*) for *host* (`127.0.0.1:5000`), and no other."""
        auth = self.home / f"auth-{login.replace('/', '-')}-{host.replace(':', '-')}.json"
        pair = base64.b64encode(f"{login}:{secret}".encode()).decode()
        auth.write_text(json.dumps({"auths": {host: {"auth": pair}}}))
        return replace(self, auth=auth)


@dataclass(frozen=True, slots=True)
class Skopeo(Client):
    """skopeo, over plain HTTP. References are its own: `docker://127.0.0.1:5000/shop/web:1.0`, `oci:FOLDER:TAG`."""

    def copy(self, source: str, target: str, *options: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Copy the image *source* to *target*; `--all` in *options* takes every image of an index."""
        plain = ("--src-tls-verify=false", "--dest-tls-verify=false")
        return self.run("copy", *plain, *options, source, target, check=check)

    def manifest(self, reference: str) -> bytes:
        """The manifest that *reference* names, byte for byte."""
        return self.run("inspect", "--raw", "--tls-verify=false", reference).stdout.encode()


@dataclass(frozen=True, slots=True)
class Podman(Client):
    """podman, over plain HTTP, storage driver vfs. References as users write them: `127.0.0.1:5000/shop/web:1.0`."""

    def pull(self, reference: str, *options: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Pull *reference* into this client's own storage."""
        return self.run("pull", "--tls-verify=false", *options, reference, check=check)

    def push(self, image: str, reference: str, *options: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Push *image* of this client's own storage as *reference*."""
        return self.run("push", "--tls-verify=false", *options, image, reference, check=check)

    def digest(self, reference: str) -> str:
        """The digest of the manifest that the pulled *reference* came with."""
        return self.run("image", "inspect", "--format", "{{.Digest}}", reference).stdout.strip()


@dataclass(frozen=True, slots=True)
class Buildah(Client):
    """buildah, over plain HTTP, storage driver vfs, builds without containers of the kernel's."""

    def build(self, context: Path, reference: str, *options: str) -> subprocess.CompletedProcess[str]:
        """Build the Containerfile in the folder *context* as the image *reference*, in the OCI format."""
        plain = ("--tls-verify=false", "--isolation", "chroot")
        return self.run("build", *plain, *options, "--tag", reference, str(context))

    def push(self, image: str, reference: str, *options: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Push *image* of this client's own storage as *reference*."""
        return self.run("push", "--tls-verify=false", *options, image, f"docker://{reference}", check=check)


@pytest.fixture
def skopeo(tmp_path: Path) -> Skopeo:
    """skopeo without a credential: see `Client.signed_in`."""
    home = _home(tmp_path / "skopeo")
    return Skopeo((require_program("skopeo"),), home, home / "auth.json")


@pytest.fixture
def podman() -> Iterator[Podman]:
    """podman with empty storage and without a credential: see `Client.signed_in`."""
    home = _home(Path(tempfile.mkdtemp(prefix="podman-")))  # podman refuses a --runroot of more than 50 characters
    options = {
        "root": home / "root",
        "runroot": home / "runroot",
        "tmpdir": home / "libpod",
        "storage-driver": "vfs",  # needs no kernel module and no FUSE
        "cgroup-manager": "cgroupfs",  # needs no systemd
        "events-backend": "file",  # needs no journal
    }
    command = (require_program("podman"), *(f"--{name}={value}" for name, value in options.items()))
    client = Podman(command, home, home / "auth.json")
    try:
        if (trial := client.run("info", check=False)).returncode != 0:
            missing(f"podman does not run here: {trial.stderr.strip()[-300:]}")
        yield client
    finally:
        # Layers of a rootless podman belong to subordinate ids, and a process holds its user namespace: both are
        # podman's own to remove.
        client.run("system", "reset", "--force", check=False)
        shutil.rmtree(home, ignore_errors=True)


@pytest.fixture
def buildah() -> Iterator[Buildah]:
    """buildah with empty storage and without a credential: see `Client.signed_in`."""
    home = _home(Path(tempfile.mkdtemp(prefix="buildah-")))
    options = {"root": home / "root", "runroot": home / "runroot", "storage-driver": "vfs"}
    command = (require_program("buildah"), *(f"--{name}={value}" for name, value in options.items()))
    client = Buildah(command, home, home / "auth.json")
    try:
        if (trial := client.run("info", check=False)).returncode != 0:
            missing(f"buildah does not run here: {trial.stderr.strip()[-300:]}")
        yield client
    finally:
        client.run("rm", "--all", check=False)
        client.run("rmi", "--all", "--force", check=False)  # layers of a rootless buildah belong to subordinate ids
        shutil.rmtree(home, ignore_errors=True)


def _home(folder: Path) -> Path:
    for name in ("tmp", "run", "state", ".config/containers"):
        (folder / name).mkdir(parents=True, mode=0o700)
    (folder / "registries.conf").write_text("unqualified-search-registries = []\n")
    (folder / ".config/containers/policy.json").write_text('{"default": [{"type": "insecureAcceptAnything"}]}')
    (folder / "auth.json").write_text('{"auths": {}}')
    return folder


def _hidden(home: Path) -> tuple[str, ...]:
    return (*HIDE_SHARED_STATE, str(home / "state")) if _may_hide_shared_state() else ()


@functools.cache
def _may_hide_shared_state() -> bool:
    if os.geteuid() != 0:
        return False  # the cache is under HOME then
    SHARED_STATE.mkdir(mode=0o700, exist_ok=True)
    trial = subprocess.run([*HIDE_SHARED_STATE, str(SHARED_STATE), "true"], capture_output=True, check=False)
    return trial.returncode == 0
