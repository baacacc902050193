"""The logins of docker and podman: their configuration files, and the credential helpers these name.

A file that is damaged, a helper that is missing or fails, or one that has nothing to say is as no login: whoever is
refused then is told how to log in. Spec: docker/cli, "Credential stores" and docker-credential-helpers' protocol.
"""

import base64
import json
import re
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from shutil import which
from typing import Final
from urllib.parse import urlsplit

HELPER_SECONDS: Final = 10
HELPER: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*\Z")
VERSIONS: Final = frozenset({"", "/", "/v1", "/v1/", "/v2", "/v2/"})
"""Paths behind a host in a configuration file that mean the whole registry."""
IDENTITY: Final = "<token>"
"""The user name by which a helper says that its secret is no password."""

Account = tuple[str, str]
"""A name and its secret."""


def docker_login(url: str, environment: Mapping[str, str], *, helpers: bool = True) -> Account | None:
    """The login for the registry at *url* that the user has with docker or podman; None if there is none.

    helpers: whether programs may be asked, which may ask the user in turn.
    """
    host = _host(url)
    for path in _files(environment):
        document = _document(path)
        found = _inline(document, host)
        helper = _helper(document, host) if helpers else None
        asked = _ask(helper, host, environment) if helper else None
        if (account := asked or found) is not None:
            return account
    return None


def _files(environment: Mapping[str, str]) -> Iterator[Path]:
    home = Path(environment.get("HOME") or Path.home())
    yield Path(environment.get("DOCKER_CONFIG") or home / ".docker") / "config.json"
    if named := environment.get("REGISTRY_AUTH_FILE"):
        yield Path(named)
    if runtime := environment.get("XDG_RUNTIME_DIR"):
        yield Path(runtime) / "containers" / "auth.json"
    yield Path(environment.get("XDG_CONFIG_HOME") or home / ".config") / "containers" / "auth.json"


def _document(path: Path) -> Mapping[str, object]:
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _host(text: str) -> str:
    """`host[:port]` of an address, with or without a scheme; empty for one of a part of a registry."""
    try:
        parts = urlsplit(text if "://" in text else f"//{text}")
    except ValueError:
        return ""
    return parts.netloc.lower() if parts.path in VERSIONS else ""


def _part(document: Mapping[str, object], key: str) -> dict[str, object]:
    found = document.get(key)
    return {_host(name): value for name, value in found.items()} if isinstance(found, dict) else {}


def _inline(document: Mapping[str, object], host: str) -> Account | None:
    entry = _part(document, "auths").get(host)
    encoded = entry.get("auth") if isinstance(entry, dict) else None
    if not isinstance(encoded, str):
        return None
    try:
        name, colon, secret = base64.b64decode(encoded, validate=True).decode().partition(":")
    except ValueError:
        return None
    return (name, secret) if colon and name and secret else None


def _helper(document: Mapping[str, object], host: str) -> str | None:
    named = _part(document, "credHelpers").get(host) or document.get("credsStore")
    return named if isinstance(named, str) and HELPER.match(named) else None


def _ask(helper: str, host: str, environment: Mapping[str, str]) -> Account | None:
    program = which(f"docker-credential-{helper}", path=environment.get("PATH"))
    if program is None:
        return None
    try:
        done = subprocess.run(  # noqa: S603  the user's own program, found by the name in his own file
            [program, "get"],
            input=host.encode(),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=dict(environment),
            timeout=HELPER_SECONDS,
            check=False,
        )
        answer = json.loads(done.stdout) if done.returncode == 0 else {}
    except (OSError, ValueError, RecursionError, subprocess.TimeoutExpired):
        return None
    name, secret = (answer.get(key) for key in ("Username", "Secret")) if isinstance(answer, dict) else (None, None)
    if not isinstance(name, str) or not isinstance(secret, str) or not name or not secret or name == IDENTITY:
        return None
    return name, secret
