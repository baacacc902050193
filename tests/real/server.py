"""The real server: `entrepot serve` of this environment, as a process, with the management API at hand."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Self
from urllib.parse import quote

import pytest
import urllib3

from tests.real.daemons import free_port
from tests.real.metrics import assert_only_declared

READY_SECONDS: Final = 20
JOB_SECONDS: Final = 60
DRAIN_SECONDS: Final = 30
CHILDREN_GONE_SECONDS: Final = 5
POLL_SECONDS: Final = 0.02
LONGEST_POLL_SECONDS: Final = 0.1
POLL_GROWTH: Final = 1.25
"""Who asks often has the processors that what he waits for would need."""

PASSING_STATES: Final = frozenset({"queued", "analysing"})
MARK: Final = "TEST_SERVER_MARK"  # tells this server's processes apart, also after their parent is gone


class ApiError(AssertionError):
    """The API refused what the test asked for. *status* and *problem* (the parsed body) say how."""

    def __init__(self, request: str, status: int, problem: Any) -> None:
        super().__init__(f"{request}: {status} {problem}")
        self.status = status
        self.problem = problem


@dataclass(frozen=True, slots=True)
class Credential:
    """A user name for `docker login` and its secret."""

    login: str
    secret: str


@dataclass(slots=True)
class Server:
    """One server on the folder *data*, at *port* of the loopback address.

    Its processes' output goes to *log*. *flags* are further arguments of `entrepot serve`, *environment* further
    variables.
    """

    data: Path
    log: Path
    port: int
    flags: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None
    mark: str = field(default_factory=lambda: uuid.uuid4().hex)
    http: urllib3.PoolManager = field(default_factory=lambda: urllib3.PoolManager(retries=False))

    # the process

    @property
    def host(self) -> str:
        """`127.0.0.1:PORT`: the first part of an image reference."""
        return f"127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        """The server's address."""
        return f"http://{self.host}"

    @property
    def admin(self) -> Credential:
        """The first administrator, with the password that the server wrote."""
        return Credential("admin", (self.data / "admin-password").read_text().strip())

    def start(self) -> Self:
        """Start the parent and wait until it is ready; at most 20 s."""
        command = [
            str(Path(sys.executable).parent / "entrepot"),
            "serve",
            "--data",
            str(self.data),
            "--listen",
            self.host,
        ]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*command, *self.flags],
                env={**_plain_environment(), **self.environment, MARK: self.mark},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.wait_until("the server is ready", self._is_ready, READY_SECONDS)
        return self

    def stop(self) -> int:
        """Ask the parent to end (SIGTERM), wait until it has, and give its exit code."""
        assert self.process is not None
        self.process.terminate()
        return self.process.wait(DRAIN_SECONDS)

    def kill(self) -> None:
        """Kill the parent alone (SIGKILL), as the kernel would for want of memory."""
        assert self.process is not None
        self.process.kill()
        self.process.wait(DRAIN_SECONDS)

    def processes(self) -> dict[int, str]:
        """This server's live processes: id → command line. Found by session or by a mark in their environment."""
        session = self.process.pid if self.process is not None else -1
        found = {}
        for folder in Path("/proc").iterdir():
            if folder.name.isdecimal():
                with contextlib.suppress(OSError, IndexError, ValueError):  # it may end while we look
                    fields = (folder / "stat").read_text().rpartition(")")[2].split()
                    marked = f"{MARK}={self.mark}".encode() in (folder / "environ").read_bytes().split(b"\0")
                    if fields[0] != "Z" and (marked or int(fields[3]) == session):
                        found[int(folder.name)] = (folder / "cmdline").read_text().replace("\0", " ").strip()
        return found

    def assert_no_process_is_left(self) -> None:
        """No process of this server lives 5 s from now, parent and orphans included; those that do are killed."""
        try:
            self.wait_until("every process has ended", lambda: not self.processes(), CHILDREN_GONE_SECONDS)
        finally:
            for pid in self.processes():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)

    def assert_counts_only_what_is_declared(self) -> None:
        """Whatever was done to it, no series of its metrics has a label or value that is not declared."""
        with contextlib.suppress(urllib3.exceptions.HTTPError):  # the test may have ended it
            answer = self.http.request("GET", f"{self.url}/metrics", timeout=JOB_SECONDS)
            if answer.status == 200:  # else its storage or database may be broken, on purpose
                assert_only_declared(answer.data.decode())

    def wait_until(self, claim: str, holds: Callable[[], bool], seconds: float) -> None:
        """Wait until *holds*; fails with *claim* and the end of the log after *seconds*."""
        deadline, pause = time.monotonic() + seconds, POLL_SECONDS
        while not holds():
            if time.monotonic() > deadline:
                tail = self.log.read_text(errors="replace")[-4000:]
                raise AssertionError(f"not within {seconds} s: {claim}; {self.processes()}\n{tail}")
            time.sleep(pause)
            pause = min(pause * POLL_GROWTH, LONGEST_POLL_SECONDS)

    def _is_ready(self) -> bool:
        assert self.process is not None
        if (code := self.process.poll()) is not None:
            raise AssertionError(f"the server ended with {code}\n{self.log.read_text(errors='replace')[-4000:]}")
        with contextlib.suppress(urllib3.exceptions.HTTPError):
            return self.http.request("GET", f"{self.url}/readyz", timeout=2).status == 200
        return False

    # the API

    def request(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        *,
        credential: Credential | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> urllib3.BaseHTTPResponse:
        """The answer to any request, whatever its status; as the administrator unless *credential* says who."""
        who = credential or self.admin
        basic = urllib3.make_headers(basic_auth=f"{who.login}:{who.secret}")
        given = {**basic, **(headers or {})}
        return self.http.request(method, f"{self.url}{path}", body=body, headers=given, timeout=JOB_SECONDS)

    def api(self, method: str, path: str, document: Any = None, *, credential: Credential | None = None) -> Any:
        """The parsed answer of `/api/v1` + *path* to *document* (JSON). Raises ApiError on any status from 400 on."""
        body = None if document is None else json.dumps(document).encode()
        headers = {} if body is None else {"Content-Type": "application/json"}
        if method in {"PUT", "PATCH"}:
            headers["If-Match"] = "*"  # whatever it is: a test is alone with what it changes
        return self._checked(method, path, body, headers, credential)

    def create_project(self, name: str) -> None:
        """A new project."""
        self.api("POST", "/projects", {"name": name})

    def create_robot(self, project: str, name: str, role: str = "developer") -> Credential:
        """A new robot of *project*: `developer` pushes and pulls, `viewer` pulls."""
        made = self.api("POST", f"/projects/{project}/robots", {"name": name, "role": role})
        return Credential(made["login"], made["secret"])

    def import_feed(self, source: str, file: Path, *, force: bool = False) -> None:
        """Import the advisories in *file*, and wait until the job is done."""
        query = f"/feeds?source={quote(source)}&force={str(force).lower()}"
        job = self._checked("POST", query, file.read_bytes(), {"Content-Type": "application/octet-stream"}, None)
        self.wait_for_job(job["job"])

    def set_mode(self, project: str, mode: str) -> None:
        """Put *project* in `monitor`, `warn` or `enforce`, and wait until its verdicts are there."""
        job = self.api("PUT", f"/projects/{project}/policy/mode", {"mode": mode})["job"]
        if job is not None:  # it was in that mode already
            self.wait_for_job(job)

    def wait_for_job(self, job: str) -> None:
        """Wait until the *job* is done; fails if it failed, or after 60 s."""

        def is_done() -> bool:
            state = self.api("GET", f"/jobs/{job}")
            assert state["state"] != "failed", state
            return bool(state["state"] == "done")

        self.wait_until(f"job {job} is done", is_done, JOB_SECONDS)

    def artifact(self, repository: str, reference: str, part: str = "") -> Any:
        """What the API says of an image; *part* is `/scan`, `/packages` or `/findings`."""
        return self.api("GET", f"/repositories/{repository}/-/artifacts/{quote(reference, safe=':')}{part}")

    def items(self, path: str) -> list[Any]:
        """Every item of the list at *path*, all pages."""
        found: list[Any] = []
        after = ""
        while True:
            joint = "&" if "?" in path else "?"
            page = self.api("GET", f"{path}{joint}limit=1000{after}")
            found += page["items"]
            if page["next"] is None:
                return found
            after = f"&after={quote(page['next'])}"

    def wait_for_scan(self, repository: str, reference: str) -> Any:
        """The scan of an image once it is over: analysed and judged; at most 60 s."""
        last: Any = None

        def is_over() -> bool:
            nonlocal last
            last = self.artifact(repository, reference, "/scan")
            return last["status"] not in PASSING_STATES and last["outcome"] != "pending"

        self.wait_until(f"{repository}:{reference} is judged", is_over, JOB_SECONDS)
        return last

    def _checked(
        self, method: str, path: str, body: bytes | None, headers: Mapping[str, str], credential: Credential | None
    ) -> Any:
        answer = self.request(method, f"/api/v1{path}", body, credential=credential, headers=headers)
        document = json.loads(answer.data) if answer.data else None
        if answer.status >= 400:
            raise ApiError(f"{method} {path}", answer.status, document)
        return document


def new_server(folder: Path, *flags: str, **environment: str) -> Server:
    """A server that is not started, on a data folder in *folder* that does not exist yet.

    At a stop it takes no more requests at once: no load balancer has to be told, and the default is 10 s. A wrong
    password makes nobody wait, for tests that try some share its address.
    """
    folder.mkdir(parents=True, exist_ok=True)
    at_once = {"ENTREPOT_SERVER__DRAIN": "0s", "ENTREPOT_ACCESS__LOGIN_DELAY": "0s"}
    return Server(folder / "data", folder / "server.log", free_port(), flags, at_once | environment)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """A started server of the test's own, which it may kill, stop and start again; nothing of it is left after."""
    with running(new_server(tmp_path / "server")) as started:
        yield started


@pytest.fixture(scope="session")
def shared_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A started server for many tests: each makes its own project, and none stops it or imports a feed."""
    with running(new_server(tmp_path_factory.mktemp("shared-server"))) as started:
        yield started


@contextlib.contextmanager
def running(server: Server) -> Iterator[Server]:
    """*server*, started; nothing of it is left after, and it has counted nothing that is not declared."""
    try:
        yield server.start()
        server.assert_counts_only_what_is_declared()
    finally:
        if server.process is not None and server.process.poll() is None:
            server.process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                server.process.wait(DRAIN_SECONDS)
        server.http.clear()
        server.assert_no_process_is_left()


def _plain_environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("ENTREPOT_")}
