"""The audit log is complete: what was answered is in it, exactly once, whatever is killed in between."""

import json
import os
import random
import secrets
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final

import pytest
import urllib3

from entrepot.cli.demo.build import image, layer
from entrepot.cli.demo.registry import Registry
from entrepot.cli.http import Http
from entrepot.cli.http import Server as Address
from entrepot.oci.mediatype import OCI_MANIFEST
from entrepot.oci.reference import Reference
from tests.real.server import Credential, Server, new_server, running

ROUNDS: Final = 4
THREADS: Final = 4
ANSWERS: Final = 20
LATEST_KILL_SECONDS: Final = 0.3
AGENT: Final = "audit-test/1.0"


def client(server: Server, who: Credential) -> Registry:
    return Registry(Http(Address.parse(server.url, insecure=True)), who.login, who.secret)


def kill_all(server: Server) -> None:
    """SIGKILL for every process at once, the parent first, so that nobody has time for anything."""
    assert server.process is not None
    server.process.kill()
    for pid in server.processes():
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    server.process.wait(10)
    server.assert_no_process_is_left()


@pytest.fixture
def mortal_server(tmp_path: Path) -> Iterator[Server]:
    with running(new_server(tmp_path / "server", ENTREPOT_SERVER__DRAIN="0s")) as started:
        yield started


@dataclass(frozen=True, slots=True)
class Attempt:
    """A kind of request, and the event that its answer must leave."""

    action: str
    send: Callable[[], urllib3.BaseHTTPResponse]
    status: int


@dataclass(slots=True)
class Answered:
    """Requests that were answered, by id, with the action that must be in the log."""

    actions: dict[str, str] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def has(self, count: int) -> bool:
        """Whether at least *count* were answered."""
        return len(self.actions) >= count

    def run(self, attempts: list[Attempt], chance: random.Random) -> None:
        """Sends one request after another until the server is gone."""
        with suppress(urllib3.exceptions.HTTPError):
            while True:
                attempt = chance.choice(attempts)
                answer = attempt.send()
                assert answer.status == attempt.status, (attempt.action, answer.status, answer.data)
                with self.lock:
                    self.actions[answer.headers["X-Request-Id"]] = attempt.action


def test_what_was_answered_before_everything_was_killed_is_in_the_log_exactly_once(mortal_server: Server) -> None:
    server, seed = mortal_server, secrets.randbits(32)
    chance = random.Random(seed)  # noqa: S311
    server.create_project("audit")
    pusher, viewer = server.create_robot("audit", "ci"), server.create_robot("audit", "cd", "viewer")
    item = image([layer({"etc/motd": os.urandom(2000)})])
    client(server, pusher).push(Reference("audit/a", "1", None), item)
    wrong = Credential(viewer.login, viewer.secret[:-9] + "x" * 9)
    blob = item.layers[0].digest
    manifests, blobs = "/v2/audit/a/manifests", "/v2/audit/a/blobs"

    def attempt(action: str, status: int, method: str, path: str, who: Credential = viewer) -> Attempt:
        return Attempt(action, lambda: server.request(method, path, credential=who), status)

    attempts = [
        attempt("manifest.pulled", 200, "GET", f"{manifests}/1"),
        attempt("manifest.pulled", 200, "GET", f"{manifests}/{item.digest}"),
        attempt("manifest.resolved", 200, "HEAD", f"{manifests}/1"),
        attempt("blob.pulled", 200, "GET", f"{blobs}/{blob}"),
        attempt("account.signed_in", 200, "GET", "/v2/auth?scope=repository:audit/a:pull"),
        attempt("account.sign_in_failed", 401, "GET", f"{manifests}/1", wrong),
        attempt("account.sign_in_failed", 401, "GET", "/v2/auth", wrong),
        attempt("account.sign_in_failed", 401, "GET", "/api/v1/whoami", wrong),
        attempt("access.denied", 403, "POST", "/v2/audit/a/blobs/uploads/"),
        attempt("access.denied", 403, "DELETE", f"{manifests}/1"),
        attempt("access.denied", 403, "GET", "/api/v1/audit"),
    ]
    answered = Answered()
    for number in range(1, ROUNDS + 1):
        with ThreadPoolExecutor(THREADS) as pool:
            asking = [
                pool.submit(answered.run, attempts, random.Random(chance.random()))  # noqa: S311
                for _ in range(THREADS)
            ]
            server.wait_until("some are answered", partial(answered.has, ANSWERS * number), 60)
            threading.Event().wait(chance.uniform(0, LATEST_KILL_SECONDS))
            kill_all(server)
            for each in asking:
                each.result()
        server.http.clear()
        server.start()
    spool = server.data / "spool"
    server.wait_until("the spool is in the log", lambda: not [*spool.glob("*.jsonl")], 20)

    log = Counter((each["request_id"], each["action"]) for each in server.items("/audit"))
    missing = Counter(action for id_, action in answered.actions.items() if (id_, action) not in log)
    twice = {key: count for key, count in log.items() if count > 1 and key[0] in answered.actions}
    print(f"\nseed {seed}: {ROUNDS} kills, {len(answered.actions)} answers: {Counter(answered.actions.values())}")
    assert not missing
    assert not twice


def test_a_damaged_line_costs_itself_and_nothing_else(mortal_server: Server) -> None:
    server = mortal_server
    server.create_project("audit")
    viewer = server.create_robot("audit", "cd", "viewer")
    item = image([layer({"etc/motd": b"hello"})])
    client(server, server.create_robot("audit", "ci")).push(Reference("audit/a", "1", None), item)
    (worker,) = (pid for pid, command in server.processes().items() if "--role worker" in command)
    os.kill(worker, signal.SIGSTOP)  # nothing is moved into the log meanwhile
    answer = server.request("GET", "/v2/audit/a/manifests/1", credential=viewer)
    kill_all(server)
    spool = server.data / "spool"
    (line,) = (
        line for path in spool.glob("*.jsonl") for line in path.read_bytes().splitlines() if b"manifest.pulled" in line
    )
    first = spool / "00000000000000000000000000.jsonl"
    first.write_bytes(b"\0" * 100 + b"\n" + line + b'\n{"id":1}\nnot the end')
    server.start()
    server.wait_until("the spool is in the log", lambda: not [*spool.glob("*.jsonl")], 20)

    found = list(server.items("/audit?action=manifest.pulled"))
    assert [each["request_id"] for each in found] == [answer.headers["X-Request-Id"]]
    assert first.with_suffix(".damaged").read_bytes().startswith(b"\0")


def test_every_change_leaves_an_event_with_who_from_where_and_which_request(shared_server: Server) -> None:
    server = shared_server
    name = f"audited{secrets.token_hex(4)}"
    repository = f"{name}/web"
    expected: list[tuple[str, str, str]] = []

    def change(
        actor: Credential, events: list[str], method: str, path: str, body: bytes | None = None, **headers: str
    ) -> urllib3.BaseHTTPResponse:
        """A change by *actor*, which leaves *events*, and nothing else."""
        answer = server.request(method, path, body, credential=actor, headers={"User-Agent": AGENT, **headers})
        assert answer.status < 300, (path, answer.status, answer.data)
        expected.extend((answer.headers["X-Request-Id"], event, actor.login) for event in events)
        return answer

    def api(actor: Credential, events: list[str], method: str, path: str, document: Any) -> Any:
        body, form = json.dumps(document).encode(), {"Content-Type": "application/json", "If-Match": "*"}
        return json.loads(change(actor, events, method, f"/api/v1{path}", body, **form).data)

    def manifest(reference: str, events: list[str], item: Any) -> None:
        path = f"/v2/{repository}/manifests/{reference}"
        change(robot, events, "PUT", path, item.manifest.data, **{"Content-Type": OCI_MANIFEST})

    admin = server.admin
    api(admin, ["project.created"], "POST", "/projects", {"name": name})
    new = {"name": "ci", "role": "developer"}
    made = api(admin, ["account.created", "secret.created"], "POST", f"/projects/{name}/robots", new)
    robot = Credential(made["login"], made["secret"])
    api(admin, ["secret.created"], "POST", "/auth/tokens", {"name": name})
    api(admin, ["policy.mode_requested"], "PUT", f"/projects/{name}/policy/mode", {"mode": "warn"})

    item, other = (image([layer({"etc/motd": os.urandom(500)})]) for _ in range(2))
    uploads = f"/v2/{repository}/blobs/uploads/"
    whole, chunked = item.layers[0].blob, item.config
    change(robot, ["repository.created", "blob.pushed"], "POST", f"{uploads}?digest={whole.digest}", whole.data)
    location = change(robot, [], "POST", uploads).headers["Location"]
    location = change(robot, [], "PATCH", location, chunked.data).headers["Location"]
    change(robot, ["blob.pushed"], "PUT", f"{location}&digest={chunked.digest}")
    change(robot, [], "DELETE", change(robot, [], "POST", uploads).headers["Location"])
    for blob in other.blobs():
        change(robot, ["blob.pushed"], "POST", f"{uploads}?digest={blob.digest}", blob.data)
    elsewhere = f"/v2/{name}/copy/blobs/uploads/?mount={whole.digest}&from={repository}"
    change(robot, ["repository.created", "blob.mounted"], "POST", elsewhere)
    manifest("1.0", ["manifest.pushed", "tag.moved"], item)
    manifest("1.0", ["manifest.pushed"], item)
    manifest("1.0", ["manifest.pushed", "tag.moved"], other)
    manifest(str(item.digest), ["manifest.pushed"], item)
    deleter = Credential("admin", api(admin, ["secret.created"], "POST", "/auth/tokens", {"name": "del"})["token"])
    change(deleter, ["tag.deleted"], "DELETE", f"/v2/{repository}/manifests/1.0")
    change(deleter, ["manifest.deleted"], "DELETE", f"/v2/{repository}/manifests/{item.digest}")
    change(deleter, ["blob.deleted"], "DELETE", f"/v2/{repository}/blobs/{whole.digest}")

    ids = {id_ for id_, _, _ in expected}
    spooled = {"account.signed_in", "manifest.pulled", "manifest.resolved", "blob.pulled"}
    found = [each for each in server.items("/audit") if each["request_id"] in ids and each["action"] not in spooled]
    assert Counter((each["request_id"], each["action"], each["actor"]) for each in found) == Counter(expected)
    assert {each["source_ip"] for each in found} == {"127.0.0.1"}
    assert {each["user_agent"] for each in found} == {AGENT}
    assert {each["outcome"] for each in found} == {"ok"}


FULL_DISK: Final = """
import resource, signal, sys
from pathlib import Path
from entrepot.audit.spool import Spool
from entrepot.clock import SystemClock
from entrepot.content.errors import StorageUnavailableError
from entrepot.runtime.events.model import Actor

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
spool, written = Spool(Path(sys.argv[1]), SystemClock()), 0
for limit in (1500, resource.RLIM_INFINITY):
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
    for number in range(10):
        try:
            spool.pulled(Actor("ci", "robot"), "manifest.pulled", "shop/web", f"v{written}", "", "")
            print(f"v{written}")
            written += 1
        except StorageUnavailableError:
            pass
"""


def test_a_line_that_the_disk_cuts_short_spoils_no_other(tmp_path: Path) -> None:
    command = [sys.executable, "-c", FULL_DISK, str(tmp_path)]
    acknowledged = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()

    lines = [line for path in sorted(tmp_path.glob("*.jsonl")) for line in path.read_bytes().split(b"\n")[:-1]]
    assert [json.loads(line)["what"][1] for line in lines] == acknowledged
    assert len(acknowledged) > 10
