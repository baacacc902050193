"""Feeds that are none: a clear reason, and nothing half-written stays. Design: scanning.md 5; issue 3, "Bad input"."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import zstandard

from tests.conformance.conftest import personal_token
from tests.real.protocol import Answer, Registry
from tests.real.server import Server, new_server

pytestmark = pytest.mark.xdist_group("feeds")
LIMIT = 256 * 1024


def osv(number: int, **fields: Any) -> bytes:
    """An OSV record of one Debian package. Spec: OSV schema 1.6."""
    document = {
        "id": f"DEBIAN-CVE-2024-{number}",
        "modified": "2026-01-01T00:00:00Z",
        "affected": [
            {
                "package": {"ecosystem": "Debian:12", "name": "openssl"},
                "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "3.0.15-1"}]}],
            }
        ],
        **fields,
    }
    return json.dumps(document).encode() + b"\n"


GOOD = b"".join(osv(number) for number in range(1000, 1020))
JUNK: dict[str, bytes] = {
    "text": b"hello, this is no feed\n",
    "binary": bytes(range(256)) * 64,
    "zeros": bytes(4096),
    "JSON of another kind": b'{"hello": "world"}',
    "a list": b"[1, 2, 3]",
    "a number": b"12",
    "blank": b"\n\n  \n",
    "half a record": osv(1)[:60],
    "a good half": GOOD + b'{"id": "x"}\n' * 20,
    "broken at the end": GOOD + b"\xff\xfe\n" * 5,
    "cut zstd": zstandard.compress(GOOD * 50)[:-20],
    "zstd of junk": zstandard.compress(b"junk" * 100),
    "not quite zstd": b"\x28\xb5\x2f\xfd" + bytes(200),
    "gzip": b"\x1f\x8b\x08\x00" + bytes(200),
    "deep": b'{"id":' + b"[" * 50_000,
    "a broken header": b'{"entrepot_feed": {"source": 7}}\n' + GOOD,
    "an unknown header": b'{"entrepot_feed": {"sauce": "x"}}\n' + GOOD,
    "secdb without packages": b'{"distroversion": "v3.20", "reponame": "main"}',
    "secdb with a list": b'{"distroversion": "v3.20", "reponame": "main", "packages": {"x": 1}}',
}


@pytest.fixture(scope="module")
def feeder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, Registry]]:
    """A server that takes feeds of up to LIMIT bytes and has a good one, and its administrator."""
    folder = tmp_path_factory.mktemp("feeds")
    server = new_server(folder, ENTREPOT_SERVER__LIMITS__FEED_BODY_BYTES=str(LIMIT), ENTREPOT_SERVER__DRAIN="0s")
    try:
        server.start()
        file = folder / "good.jsonl"
        file.write_bytes(GOOD)
        server.import_feed("good", file)
        yield server, Registry(server.host).as_(personal_token(server))
    finally:
        if server.process is not None and server.process.poll() is None:
            server.stop()
        server.http.clear()
        server.assert_no_process_is_left()


def incoming(server: Server) -> list[Path]:
    """Feed files that wait to be taken up."""
    return list((server.data / "blobs" / "incoming").iterdir())


@contextmanager
def nothing_changes(server: Server, registry: Registry) -> Iterator[None]:
    """The feeds in force are the same after as before, and no file is left."""
    before = registry.ask("GET", "/api/v1/feeds").body
    assert len(json.loads(before)["items"]) == 1
    yield
    assert registry.ask("GET", "/api/v1/feeds").body == before
    assert incoming(server) == []


def send(registry: Registry, body: Any, query: str = "") -> Answer:
    return registry.ask("POST", f"/api/v1/feeds{query}", body, {"Content-Type": "application/octet-stream"})


def ended(server: Server, job: str) -> Any:
    """The job, when it is over."""
    last: Any = None

    def is_over() -> bool:
        nonlocal last
        last = server.api("GET", f"/jobs/{job}")
        return last["state"] in {"done", "failed"}

    server.wait_until(f"job {job} is over", is_over, 60)
    return last


@pytest.mark.parametrize("case", JUNK)
def test_what_is_no_feed_fails_with_a_reason_and_leaves_nothing(feeder: tuple[Server, Registry], case: str) -> None:
    server, registry = feeder
    with nothing_changes(server, registry):
        sent = send(registry, JUNK[case], "?source=junk")

        assert sent.status == 202
        job = ended(server, sent.json["job"])
        assert job["state"] == "failed"
        assert job["attempts"] == 1
        assert job["error"]
        assert job["error"].isprintable()
        assert "Traceback" not in job["error"]
        assert str(server.data) not in job["error"]
        refused = server.api("GET", "/audit?action=feed.refused&limit=1")["items"][0]
        assert refused["reason"]
        assert refused["outcome"] == "denied"


@pytest.mark.parametrize("body", [b"", iter([])], ids=["length 0", "no chunk"])
def test_an_empty_feed_is_422(feeder: tuple[Server, Registry], body: Any) -> None:
    server, registry = feeder
    with nothing_changes(server, registry):
        assert send(registry, body).status == 422


def test_a_feed_over_the_limit_is_413(feeder: tuple[Server, Registry]) -> None:
    server, registry = feeder
    with nothing_changes(server, registry):
        assert send(registry, iter([bytes(LIMIT), b"x"])).status == 413


def test_a_feed_announced_over_the_limit_is_refused_unread(feeder: tuple[Server, Registry]) -> None:
    server, registry = feeder
    with nothing_changes(server, registry):
        answer = registry.ask("POST", "/api/v1/feeds", b"x", {"Content-Length": str(LIMIT + 1), "Connection": "close"})

        assert answer.status == 413


@pytest.mark.parametrize("source", ["x" * 129, "%00", "%C3%A9", "a%0Ab"])
def test_a_source_that_is_no_name_is_422(feeder: tuple[Server, Registry], source: str) -> None:
    server, registry = feeder
    with nothing_changes(server, registry):
        answer = send(registry, GOOD, f"?source={source}")

        assert answer.status == 422
        assert answer.json["errors"][0]["pointer"] == "source"


@pytest.mark.parametrize("force", ["perhaps", "2", ""])
def test_force_is_yes_or_no(feeder: tuple[Server, Registry], force: str) -> None:
    server, registry = feeder
    with nothing_changes(server, registry):
        assert send(registry, GOOD, f"?force={force}").status == 422


def test_a_feed_that_would_make_us_know_less_is_refused(feeder: tuple[Server, Registry]) -> None:
    server, registry = feeder
    with nothing_changes(server, registry):
        job = ended(server, send(registry, osv(1000), "?source=good").json["job"])

        assert job["state"] == "failed"
        assert "--force" in job["error"]


def test_who_may_not_import_leaves_nothing(feeder: tuple[Server, Registry]) -> None:
    server, registry = feeder
    project = "feedless"
    if not [item for item in server.items("/projects") if item["name"] == project]:
        server.create_project(project)
    developer = registry.as_(server.create_robot(project, "ci"))
    with nothing_changes(server, registry):
        assert send(developer, GOOD).status == 403
