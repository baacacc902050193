"""Real S3 servers. moto knows the semantics (create-only PUT, ranges), but no signature; rclone checks signatures.

Traps: rclone answers a ranged GET with 200 and knows no create-only PUT.
"""

import os
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import pytest
import urllib3
from obstore import sign
from obstore.store import S3Store

from tests.real.daemons import free_port, listens
from tests.real.programs import missing

READY_SECONDS: Final = 30
STOP_SECONDS: Final = 10
POLL_SECONDS: Final = 0.02
REGION: Final = "us-east-1"
ACCESS_KEY: Final = "ENTREPOTTESTKEY"
SECRET_KEY: Final = "a-secret-that-opens-only-this-test"


@dataclass(frozen=True, slots=True)
class S3Server:
    """A running server *name* at *endpoint*; *root* is the folder whose sub-folders are its buckets, if it has one."""

    name: str
    endpoint: str
    root: Path | None = None

    def bucket(self) -> str:
        """The name of a new, empty bucket."""
        name = f"bucket-{uuid.uuid4().hex}"
        # Signed, also where nobody checks. Not a folder made behind a server's back: it looks only every few minutes.
        config: Any = {"endpoint": self.endpoint, "region": REGION, "virtual_hosted_style_request": False}
        credential: Any = {"access_key_id": ACCESS_KEY, "secret_access_key": SECRET_KEY}
        root = S3Store(name, config=config | credential, client_options={"allow_http": True})
        url = sign(root, "PUT", "", timedelta(minutes=1))
        answer = urllib3.request("PUT", url, retries=False, timeout=READY_SECONDS)
        assert answer.status == 200, answer.data
        return name


@dataclass(frozen=True, slots=True)
class ObjectStore:
    """A place for objects that nobody else uses: *prefix* in a new *bucket* of *server*."""

    server: S3Server
    bucket: str
    prefix: str = "blobs"

    @property
    def url(self) -> str:
        """The store in the form of the setting `storage.url`."""
        options = f"region={REGION}&allow_http=true&virtual_hosted_style=false"
        return f"s3://{self.bucket}/{self.prefix}?endpoint={self.server.endpoint}&{options}"

    @property
    def environment(self) -> Mapping[str, str]:
        """The credentials, as the variables in which every S3 client looks for them."""
        return {"AWS_ACCESS_KEY_ID": ACCESS_KEY, "AWS_SECRET_ACCESS_KEY": SECRET_KEY}


@pytest.fixture(scope="session")
def moto_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """moto's S3 server."""
    port = free_port()
    command = [_program("moto_server"), "-H", "127.0.0.1", "-p", str(port)]
    with _running(command, port, tmp_path_factory.mktemp("moto")) as endpoint:
        yield S3Server("moto", endpoint)


@pytest.fixture(scope="session")
def lenient_moto_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """moto's S3 server, which takes parts of any size: what matters is their number."""
    port = free_port()
    command = ["env", "S3_UPLOAD_PART_MIN_SIZE=1", _program("moto_server"), "-H", "127.0.0.1", "-p", str(port)]
    with _running(command, port, tmp_path_factory.mktemp("lenient-moto")) as endpoint:
        yield S3Server("moto", endpoint)


@pytest.fixture(scope="session")
def rclone_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """rclone's S3 server on a folder."""
    port, folder = free_port(), tmp_path_factory.mktemp("rclone")
    root = folder / "root"
    root.mkdir()
    address = ["--addr", f"127.0.0.1:{port}", "--auth-key", f"{ACCESS_KEY},{SECRET_KEY}"]
    alone = ["--config", os.devnull, "--cache-dir", str(folder / "cache")]
    with _running([_program("rclone"), "serve", "s3", *alone, *address, str(root)], port, folder) as endpoint:
        yield S3Server("rclone", endpoint, root)


@pytest.fixture(params=["moto", "rclone"])
def s3(request: pytest.FixtureRequest) -> ObjectStore:
    """A new bucket; the test runs once on each server. `indirect` parameters choose: `("s3", ["moto"])`."""
    server: S3Server = request.getfixturevalue(f"{request.param}_server")
    return ObjectStore(server, server.bucket())


@pytest.fixture
def s3_environment(s3: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> ObjectStore:
    """The store `s3`, with its credentials in this process's environment."""
    for name, value in s3.environment.items():
        monkeypatch.setenv(name, value)
    return s3


@contextmanager
def _running(command: list[str], port: int, folder: Path) -> Iterator[str]:
    """The endpoint of the server *command* starts; it ends with this process, however that ends."""
    plain = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "RCLONE_"))}
    log = folder / "log"
    with log.open("ab") as output:
        process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", "--", *command],
            env=plain,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
    try:
        deadline = time.monotonic() + READY_SECONDS
        while not listens(port):
            if process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(log.read_text()[-4000:])
            time.sleep(POLL_SECONDS)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait(STOP_SECONDS)


def _program(name: str) -> str:
    path = Path(sys.executable).parent / name
    if not path.exists():
        missing(f"the program {name} (requirements/dev.txt brings it)")
    return str(path)
