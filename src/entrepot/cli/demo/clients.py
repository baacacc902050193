"""Pulls by skopeo and podman, where they are installed: what their users would see.

Each runs with a home, a store and an authentication file of its own inside the demo's folder; the user's
configuration is neither read nor written. Secrets are in that file (0600), never in arguments.
"""

import json
import os
import shutil
import subprocess
from base64 import b64encode
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from entrepot.cli.output import plain

PROGRAMS: Final = ("skopeo", "podman")
SECONDS: Final = 30
ANY_SIGNATURE: Final = {"default": [{"type": "insecureAcceptAnything"}]}


@dataclass(frozen=True, slots=True)
class Attempt:
    """What a program did: whether it succeeded, and what it printed, on one line."""

    succeeded: bool
    printed: str


@dataclass(frozen=True, slots=True)
class RealClient:
    """One of PROGRAMS, with a folder of its own, logged in to one registry."""

    program: str
    path: str
    folder: Path
    host: str

    def pull(self, image: str) -> Attempt:
        """Pull *image* (`shop/web:1.0`) from the registry into the client's own store."""
        address = f"docker://{self.host}/{image}"
        if self.program == "skopeo":
            target = f"dir:{self.folder}/{image.replace('/', '-').replace(':', '-')}"
            return self._run("--policy", self._policy, "copy", "--src-tls-verify=false", address, target)
        return self._run(
            *self._podman, "pull", "--quiet", "--tls-verify=false", "--signature-policy", self._policy, address
        )

    def works(self) -> Attempt:
        """Whether the program runs here at all: podman needs more of a machine than a demo can ask for."""
        return self._run("--version") if self.program == "skopeo" else self._run(*self._podman, "images", "--quiet")

    @property
    def _policy(self) -> str:
        return str(self.folder / "policy.json")

    @property
    def _podman(self) -> tuple[str, ...]:
        # podman refuses a runroot of more than 50 characters.
        stores = ("--root", str(self.folder / "store"), "--runroot", str(self.folder / "run"))
        return (*stores, "--storage-driver", "vfs", "--cgroup-manager", "cgroupfs", "--events-backend", "none")

    def _run(self, *arguments: str) -> Attempt:
        environment = {
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": str(self.folder),
            "TMPDIR": str(self.folder),
            "XDG_RUNTIME_DIR": str(self.folder / "xdg"),
            "CONTAINERS_REGISTRIES_CONF": str(self.folder / "registries.conf"),
            "REGISTRY_AUTH_FILE": str(self.folder / "auth.json"),
        }
        try:
            done = subprocess.run(  # noqa: S603  a fixed program, our own arguments
                [self.path, *arguments],
                cwd=self.folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                timeout=SECONDS,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            return Attempt(succeeded=False, printed=plain(str(error)))
        printed = done.stdout.decode(errors="replace").strip().replace('\\"', '"')  # skopeo's log quotes its messages
        return Attempt(done.returncode == 0, plain(printed))


def installed(folder: Path, host: str, username: str, password: str) -> tuple[RealClient, ...]:
    """Those of PROGRAMS on PATH, prepared below *folder* for one user of the registry *host*. Raises OSError."""
    found = []
    for program in PROGRAMS:
        path = shutil.which(program)
        if path is None:
            continue
        own = folder / program
        (own / "xdg").mkdir(mode=0o700, parents=True)
        (own / "policy.json").write_text(json.dumps(ANY_SIGNATURE))
        (own / "registries.conf").write_text("")
        auth = own / "auth.json"
        auth.touch(mode=0o600)
        encoded = b64encode(f"{username}:{password}".encode()).decode()
        auth.write_text(json.dumps({"auths": {host: {"auth": encoded}}}))
        found.append(RealClient(program, path, own, host))
    return tuple(found)
