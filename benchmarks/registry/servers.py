"""The servers that are compared: each is started on a fresh folder, or was running already."""

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode, urlsplit

from benchmarks.registry.content import MANIFEST, Blob, Image, basic
from benchmarks.registry.http1 import Address, Connection, HttpError, Part, write_part
from benchmarks.registry.processes import Group

READY_SECONDS: Final = 60
ANALYZED_SECONDS: Final = 120
POLL_SECONDS: Final = 0.05
PROJECT: Final = "bench"
OURS: Final = "entrepot"
OTHERS: Final = "docker-registry"
FILES: Final = "nginx"
CHALLENGE: Final = re.compile(r'(\w+)="([^"]*)"')


class MissingProgramError(Exception):
    """A program that this run needs is not installed. *program*: its name."""

    def __init__(self, program: str) -> None:
        super().__init__(f"the program {program} is not installed")
        self.program = program


@dataclass(frozen=True, slots=True)
class Access:
    """How a client comes in: where, and with which Basic credential (empty: none)."""

    address: Address
    credential: str = ""

    def authorization(self, connection: Connection, scope: str) -> str:
        """The header for requests within *scope*, got as every client gets it: by the challenge of /v2/.

        Raises HttpError.
        """
        challenge = connection.ask("GET", "/v2/", {}, keep=True)
        if challenge.status != 401:
            return ""
        scheme, _, rest = challenge.headers.get("www-authenticate", "").partition(" ")
        if scheme.lower() == "basic":
            return self.credential
        fields = dict(CHALLENGE.findall(rest))
        query = urlencode({"service": fields.get("service", ""), "scope": scope})
        target = f"{urlsplit(fields['realm']).path}?{query}"
        answer = connection.expect(200, "GET", target, {"Authorization": self.credential}, keep=True)
        document = json.loads(answer.body)
        return f"Bearer {document.get('token') or document['access_token']}"


@dataclass(frozen=True, slots=True)
class Server:
    """A server that runs. *registry*: whether it takes pushes; *many_tags*: makes many tags, without the protocol."""

    name: str
    writer: Access
    reader: Access
    group: Group
    version: str
    notes: str
    registry: bool = True
    folder: Path | None = None
    database: Path | None = None

    # What is there before anything is measured.

    def put_blobs(self, repository: str, blobs: Sequence[Blob]) -> None:
        """*blobs* are in *repository*. Raises HttpError."""
        if not self.registry:
            for blob in blobs:
                self._file(f"v2/{repository}/blobs/{blob.digest}", blob.part)
            return
        with Connection(self.writer.address) as connection:
            authorization = self.writer.authorization(connection, f"repository:{repository}:pull,push")
            for blob in blobs:
                push_blob(connection, authorization, repository, blob)

    def put_image(self, repository: str, tag: str, image: Image, *, analyzed: bool = True) -> None:
        """*image* is in *repository* under *tag*; with *analyzed* also looked into, where that is done.

        Raises HttpError.
        """
        if not self.registry:
            for name in (tag, image.digest):
                self._file(f"v2/{repository}/manifests/{name}", Part(image.manifest))
            return
        self.put_blobs(repository, image.blobs)
        with Connection(self.writer.address) as connection:
            authorization = self.writer.authorization(connection, f"repository:{repository}:pull,push")
            push_manifest(connection, authorization, repository, tag, image)
        if analyzed:
            self._wait_until_analyzed(repository, tag)

    def put_tags(self, repository: str, names: Sequence[str], image: Image) -> None:
        """*repository* has *image* under each of *names*, by one push per tag or by SQL. Raises HttpError."""
        first, rest = names[0], names[1:]
        self.put_image(repository, first, image)
        if self.database is not None:
            copy_tag(self.database, repository, first, rest)
            return
        with Connection(self.writer.address) as connection:
            authorization = self.writer.authorization(connection, f"repository:{repository}:pull,push")
            for name in rest:
                push_manifest(connection, authorization, repository, name, image)

    def _wait_until_analyzed(self, repository: str, tag: str) -> None:
        """What is not analyzed yet is served with a warning that says so."""
        deadline = time.monotonic() + ANALYZED_SECONDS
        with Connection(self.reader.address) as connection:
            authorization = self.reader.authorization(connection, f"repository:{repository}:pull")
            headers = {"Authorization": authorization, "Accept": MANIFEST}
            while True:
                answer = connection.expect(200, "GET", f"/v2/{repository}/manifests/{tag}", headers)
                if "waits for its scan" not in answer.headers.get("warning", ""):
                    return
                if time.monotonic() > deadline:
                    raise HttpError(f"{repository}:{tag} is not analyzed: {answer.headers['warning']}")
                time.sleep(POLL_SECONDS)

    def _file(self, path: str, part: Part) -> None:
        assert self.folder is not None
        target = self.folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        write_part(part, target)


def push_blob(connection: Connection, authorization: str, repository: str, blob: Blob) -> None:
    """POST, then one PUT with the body, as containerd does. Raises HttpError, OSError."""
    headers = {"Authorization": authorization}
    begun = connection.expect(202, "POST", f"/v2/{repository}/blobs/uploads/", headers)
    location = urlsplit(begun.headers["location"])
    query = f"{location.query}&" if location.query else ""
    target = f"{location.path}?{query}digest={blob.digest}"
    typed = {**headers, "Content-Type": "application/octet-stream"}
    connection.expect(201, "PUT", target, typed, blob.part)


def push_manifest(connection: Connection, authorization: str, repository: str, tag: str, image: Image) -> None:
    """PUT of the manifest. Raises HttpError, OSError."""
    headers = {"Authorization": authorization, "Content-Type": MANIFEST}
    connection.expect(201, "PUT", f"/v2/{repository}/manifests/{tag}", headers, Part(image.manifest))


def copy_tag(database: Path, repository: str, tag: str, names: Sequence[str]) -> None:
    """Gives what *tag* names all of *names* too, in rows like its own: pushing 100,000 takes too long to wait for."""
    with contextlib.closing(sqlite3.connect(database, timeout=60)) as connection, connection:
        columns = [row[1] for row in connection.execute("PRAGMA table_info(tag)")]
        others = ", ".join(column for column in columns if column != "name")
        repo = connection.execute("SELECT id FROM repo WHERE name = ?", (repository,)).fetchone()[0]
        connection.executemany(
            f"INSERT INTO tag (name, {others}) SELECT ?, {others} FROM tag WHERE repo_id = ? AND name = ?",
            ((name, repo, tag) for name in names),
        )


# Starting and stopping.


@contextmanager
def entrepot(folder: Path, database: str = "") -> Iterator[Server]:
    """`entrepot serve` on a fresh data folder: default policy, audit on, tokens; two robots, one per direction.

    database: URL of an empty database of PostgreSQL instead of the file in the folder.
    """
    address, data = _free_address(), folder / "data"
    program = str(Path(sys.executable).parent / "entrepot")
    command = [program, "serve", "--data", str(data), "--listen", str(address)]
    drain = {"ENTREPOT_SERVER__DRAIN": "0s", "ENTREPOT_SERVER__BODY_DRAIN": "5s"}
    where = {"ENTREPOT_DATABASE__URL": database} if database else {}
    with _running(command, folder, address, "/readyz", {**drain, **where}) as pid:
        admin = basic("admin", (data / "admin-password").read_text().strip())
        with Connection(address) as connection:
            _api(connection, admin, "/projects", {"name": PROJECT})
            writer, reader = (
                _api(connection, admin, f"/projects/{PROJECT}/robots", {"name": name, "role": role})
                for name, role in (("writer", "developer"), ("reader", "viewer"))
            )
        yield Server(
            OURS,
            Access(address, basic(writer["login"], writer["secret"])),
            Access(address, basic(reader["login"], reader["secret"])),
            Group(pid, _entrepot_role),
            _output([program, "--version"]).split(" ")[-1],
            f"{'on PostgreSQL; ' if database else ''}token of a robot, gate, analyzed images, audit, default policy "
            "and settings; every push synced to disk",
            database=None if database else data / "entrepot.db",
        )


def _entrepot_role(command: str, has_children: bool) -> str:
    if "scanning.layers.child" in command:
        return "analyser"
    if "--role web" in command:
        return "web parent" if has_children else "web"
    return "worker" if "--role worker" in command else "parent"


@contextmanager
def docker_registry(folder: Path) -> Iterator[Server]:
    """Debian's docker-registry with Debian's own settings, but no login, and its files beside ours."""
    program, address = _program(OTHERS), _free_address()
    (folder / "data").mkdir(parents=True)
    config = folder / "config.yml"
    config.write_text(
        f"""\
version: 0.1
log: {{fields: {{service: registry}}}}
storage:
  cache: {{blobdescriptor: inmemory}}
  filesystem: {{rootdirectory: {folder / "data"}}}
  delete: {{enabled: true}}
http:
  addr: {address}
  headers: {{X-Content-Type-Options: [nosniff]}}
health: {{storagedriver: {{enabled: true, interval: 10s, threshold: 3}}}}
"""
    )
    with _running([program, "serve", str(config)], folder, address, "/v2/") as pid:
        access = Access(address)
        version = _output([program, "--version"]).split(" ")[-1]
        group = Group(pid, lambda _command, _has_children: "process")
        yield Server(OTHERS, access, access, group, version, "no login; Debian's settings; it syncs nothing to disk")


@contextmanager
def nginx(folder: Path) -> Iterator[Server]:
    """nginx with sendfile, serving the same bytes as plain files: the limit of this machine, not a registry."""
    program, address = _program(FILES), _free_address()
    folder.mkdir(parents=True)
    os.umask(0o022)  # its workers may run as another user
    files = folder / "files"
    files.mkdir()
    config = folder / "nginx.conf"
    config.write_text(
        f"""\
daemon off;
worker_processes auto;
pid {folder / "nginx.pid"};
error_log {folder / "error.log"};
{"user root;" if os.geteuid() == 0 else ""}
events {{ worker_connections 1024; }}
http {{
  access_log {folder / "access.log"};
  sendfile on;
  tcp_nopush on;
  keepalive_requests 1000000000;
  default_type application/octet-stream;
  server {{
    listen {address};
    root {files};
    location = / {{ return 200; }}
    location ~ /manifests/ {{ default_type {MANIFEST}; }}
  }}
}}
"""
    )
    with _running([program, "-p", str(folder), "-c", str(config)], folder, address, "/") as pid:
        version = subprocess.run([program, "-v"], capture_output=True, text=True, check=True).stderr.strip()
        access, group = Access(address), Group(pid, lambda _command, has_children: "main" if has_children else "worker")
        notes = "plain files by sendfile, no login; the machine's limit"
        yield Server(FILES, access, access, group, version.rpartition("/")[2], notes, registry=False, folder=files)


def peer(text: str) -> Server:
    """A registry that runs already, by `NAME=URL`; the URL may hold `user:password@`. Raises ValueError."""
    name, _, url = text.partition("=")
    parts = urlsplit(url)
    if not name or parts.scheme != "http" or not parts.hostname or parts.path.strip("/"):
        raise ValueError(f"{text}: write NAME=http://[user:password@]host:port")
    credential = basic(parts.username, parts.password or "") if parts.username else ""
    access = Access(Address(parts.hostname, parts.port or 80), credential)
    with Connection(access.address) as connection:
        answer = connection.ask("GET", "/v2/", {})
    version = answer.headers.get("server", "unknown")
    return Server(name, access, access, Group(None, lambda _command, _has: ""), version, "was running already")


@contextmanager
def _running(
    command: Sequence[str], folder: Path, address: Address, ready: str, environment: Mapping[str, str] | None = None
) -> Iterator[int]:
    """*command* runs and answers *ready* with 200; its output is in *folder*. All its processes are ended after."""
    folder.mkdir(parents=True, exist_ok=True)
    plain = {name: value for name, value in os.environ.items() if not name.startswith("ENTREPOT_")}
    with (folder / "output.log").open("wb") as log:
        process = subprocess.Popen(
            command,
            env={**plain, **(environment or {})},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        deadline = time.monotonic() + READY_SECONDS
        while not _answers(address, ready):
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{command[0]} does not start: {(folder / 'output.log').read_text()[-2000:]}")
            time.sleep(POLL_SECONDS)
        yield process.pid
    finally:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _answers(address: Address, target: str) -> bool:
    with contextlib.suppress(OSError, HttpError), Connection(address) as connection:
        return connection.ask("GET", target, {}).status == 200
    return False


def _api(connection: Connection, admin: str, path: str, document: Mapping[str, str]) -> Any:
    headers = {"Authorization": admin, "Content-Type": "application/json"}
    body = Part(json.dumps(document).encode())
    return json.loads(connection.expect(201, "POST", f"/api/v1{path}", headers, body, keep=True).body)


def _program(name: str) -> str:
    path = shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin")
    if path is None:
        raise MissingProgramError(name)
    return path


def _output(command: Sequence[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else ""


def _free_address() -> Address:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return Address("127.0.0.1", int(probe.getsockname()[1]))
