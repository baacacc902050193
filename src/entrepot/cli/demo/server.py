"""The demo's own server: `entrepot serve` as a child, on a free port, with a folder of its own."""

import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from entrepot.cli.http import Http, Server
from entrepot.errors import UnavailableError

READY_SECONDS: Final = 20.0
STOP_SECONDS: Final = 10.0
POLL_SECONDS: Final = 0.02
SERVE: Final = "from entrepot.cli.main import main; main()"


@dataclass(frozen=True, slots=True)
class DemoServer:
    """A running server. folder: all that it wrote; log: its output, a file in it. ready_seconds: start to ready."""

    process: subprocess.Popen[bytes]
    http: Http
    folder: Path
    ready_seconds: float

    @property
    def url(self) -> str:
        """Its address."""
        return self.http.server.url

    @property
    def host(self) -> str:
        """Its host and port, as they begin an image's name for docker."""
        return self.url.partition("://")[2]

    def admin_password(self) -> str:
        """The first administrator's, as the server wrote it. Raises OSError."""
        return (self.folder / "data" / "admin-password").read_text().strip()

    def stop(self) -> None:
        """End it: politely, and after STOP_SECONDS by force."""
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def log_of(folder: Path) -> Path:
    """Where the server of *folder* writes its output."""
    return folder / "server.log"


def start(folder: Path, *, detached: bool) -> DemoServer:
    """A server on *folder*, once it is ready. detached: it outlives this process and its terminal.

    Settings of the caller's environment do not reach it. Raises UnavailableError if it ends or is not ready within
    READY_SECONDS; nothing is left running then.
    """
    port = _free_port()
    begun = time.monotonic()
    arguments = ("serve", "--data", str(folder / "data"), "--listen", f"127.0.0.1:{port}")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("ENTREPOT_")}
    # No load balancer has to notice that this server stops.
    environment["ENTREPOT_SERVER__DRAIN"] = "0s"
    with log_of(folder).open("wb") as log:
        process = subprocess.Popen(  # noqa: S603  our own program, our own arguments
            [sys.executable, "-c", SERVE, *arguments],
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=detached,
        )
    http = Http(Server.parse(f"http://127.0.0.1:{port}", insecure=False))
    server = DemoServer(process, http, folder, 0.0)
    try:
        _wait(process, http, folder)
    except BaseException:
        server.stop()
        raise
    return DemoServer(process, http, folder, time.monotonic() - begun)


def _wait(process: subprocess.Popen[bytes], http: Http, folder: Path) -> None:
    end = time.monotonic() + READY_SECONDS
    while not _is_ready(http):
        if process.poll() is not None:
            raise UnavailableError(f"the server ended by itself with code {process.returncode}: {_last_line(folder)}")
        if time.monotonic() > end:
            raise UnavailableError(f"the server was not ready within {READY_SECONDS:.0f} s")
        time.sleep(POLL_SECONDS)


def _last_line(folder: Path) -> str:
    lines = log_of(folder).read_text(errors="replace").strip().splitlines()
    return lines[-1] if lines else ""


def _is_ready(http: Http) -> bool:
    try:
        return http.send("GET", "/readyz", headers={}).status == 200
    except UnavailableError:
        return False


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
