"""Debian's docker-registry as a pull-through cache in front of another registry."""

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from tests.real.daemons import daemon, free_port, listens
from tests.real.programs import require_program

# Its own keys. JSON is YAML too. Without the log level it writes a line for each request.
STORAGE: Final = {"delete": {"enabled": True}, "cache": {"blobdescriptor": "inmemory"}}


@contextlib.contextmanager
def pull_through(folder: Path, upstream: str, login: str, secret: str) -> Iterator[str]:
    """The `host:port` of a docker-registry that serves what *upstream* has, read as (*login*, *secret*), and keeps it.

    It asks for no credential of its own. Its files and its log are in the new *folder*.
    """
    program = require_program("docker-registry")
    folder.mkdir()
    port = free_port()
    config = {
        "version": "0.1",
        "log": {"level": "warn"},
        "storage": {**STORAGE, "filesystem": {"rootdirectory": str(folder / "storage")}},
        "http": {"addr": f"127.0.0.1:{port}"},
        "proxy": {"remoteurl": upstream, "username": login, "password": secret},
    }
    (folder / "config.yml").write_text(json.dumps(config))
    with daemon([program, "serve", str(folder / "config.yml")], folder / "log", lambda: listens(port)):
        yield f"127.0.0.1:{port}"
