"""Random operations against a model of what a registry holds, on both databases, with kill -9 and restart in between.

Nothing acknowledged is lost, nothing refused is there, and what was under way at a crash is there as a whole or not at
all. ENTREPOT_TEST_OPERATIONS sets the number of operations on each database; the full count is 100,000.
"""

import hashlib
import http.client
import json
import os
import random
import threading
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Final

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from tests.real.object_store import ObjectStore, S3Server
from tests.real.postgres import Postgres
from tests.real.protocol import OCI_CONFIG, OCI_INDEX, OCI_LAYER, OCI_MANIFEST, Answer, Registry, encoded, sha256
from tests.real.replicas import environment
from tests.real.server import Server, new_server, running

OPERATIONS: Final = int(os.environ.get("ENTREPOT_TEST_OPERATIONS", "1200"))
STEPS: Final = 100
CRASH_ONE_IN: Final = 25
REPOSITORIES: Final = ("one", "two")
TAGS: Final = ("a", "b", "c", "v1.0", "latest")
CONTENTS: Final = tuple(hashlib.shake_256(str(n).encode()).digest(1 + 997 * n) for n in range(12))
CONFIG: Final = encoded({"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": []}})
BLOBS: Final = {sha256(data): data for data in (CONFIG, *CONTENTS)}

blobs = st.sampled_from(sorted(BLOBS))
repositories = st.sampled_from(REPOSITORIES)
tags = st.sampled_from(TAGS)


@dataclass(slots=True)
class Held:
    """What a repository must hold: visible blobs, live manifests by digest, tags, and which manifests each lists."""

    blobs: set[str] = field(default_factory=set)
    manifests: dict[str, bytes] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)

    def needs(self, digest: str) -> bool:
        """Whether a live manifest names the blob or manifest *digest*."""
        return any(digest in named(body) for body in self.manifests.values())


@dataclass(frozen=True, slots=True)
class Deleted:
    """What an operation took: a blob, a tag, or a manifest with its tags; *bodies* are those it can bring back."""

    kind: str
    where: str
    reference: str
    bodies: dict[str, bytes] = field(default_factory=dict)
    tags: frozenset[str] = frozenset()


@dataclass(slots=True)
class Subject:
    """The server under test, and what is counted over all examples."""

    server: Server
    registry: Registry
    chance: random.Random
    operations: int = 0
    crashes: int = 0
    torn: int = 0


def named(body: bytes) -> set[str]:
    """Every digest that the manifest *body* names."""
    document = json.loads(body)
    entries = [*document.get("layers", []), *document.get("manifests", [])]
    entries += [document["config"]] if "config" in document else []
    return {entry["digest"] for entry in entries}


def image(layers: list[str], note: int) -> bytes:
    return encoded(
        {
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "config": {"mediaType": OCI_CONFIG, "digest": sha256(CONFIG), "size": len(CONFIG)},
            "layers": [{"mediaType": OCI_LAYER, "digest": each, "size": len(BLOBS[each])} for each in layers],
            "annotations": {"note": str(note)},
        }
    )


def index(children: dict[str, bytes]) -> bytes:
    entries = [{"mediaType": OCI_MANIFEST, "digest": key, "size": len(body)} for key, body in children.items()]
    return encoded({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries})


class Machine(RuleBasedStateMachine):
    """One example: two repositories of a project of its own."""

    subject: ClassVar[Subject]

    def __init__(self) -> None:
        super().__init__()
        project = f"m{uuid.uuid4().hex[:12]}"
        self.subject.server.create_project(project)
        self.names = {each: f"{project}/{each}" for each in REPOSITORIES}
        self.held = {each: Held() for each in REPOSITORIES}
        self.uploads: dict[str, tuple[str, str, bytes]] = {}  # id -> repository, Location, bytes so far
        self.deleted: dict[str, Deleted] = {}  # operation -> what it took
        self.bodies: dict[str, bytes] = {}  # every manifest ever there, for what an index brings back with it

    def ask(
        self, method: str, where: str, path: str, body: bytes | None = None, media_type: str = OCI_MANIFEST
    ) -> Answer:
        """The answer to one operation; *path* is below the repository *where*, or a whole one."""
        self.subject.operations += 1
        whole = path if path.startswith("/") else f"/v2/{self.names[where]}/{path}"
        return self.subject.registry.ask(method, whole, body, {"Content-Type": media_type} if body else {})

    # writing

    @rule(where=repositories, digest=blobs)
    def push_a_blob(self, where: str, digest: str) -> None:
        begun = self.ask("POST", where, "blobs/uploads/", b"")
        ended = self.ask("PUT", where, f"{begun.header('Location')}&digest={digest}", BLOBS[digest])
        assert (begun.status, ended.status) == (202, 201)
        self.held[where].blobs.add(digest)

    @rule(where=repositories)
    def begin_an_upload(self, where: str) -> None:
        begun = self.ask("POST", where, "blobs/uploads/", b"")
        assert begun.status == 202
        self.uploads[begun.header("Docker-Upload-UUID")] = (where, begun.header("Location"), b"")

    @precondition(lambda self: self.uploads)
    @rule(data=st.data(), length=st.integers(0, 3_000))
    def add_to_an_upload(self, data: st.DataObject, length: int) -> None:
        key = data.draw(st.sampled_from(list(self.uploads)))
        where, location, sofar = self.uploads[key]
        piece = hashlib.shake_256(f"{key}{len(sofar)}".encode()).digest(length)
        added = self.ask("PATCH", where, location, piece)
        assert added.status == 202
        assert added.header("Range") == f"0-{max(len(sofar + piece) - 1, 0)}"
        self.uploads[key] = (where, added.header("Location"), sofar + piece)

    @precondition(lambda self: self.uploads)
    @rule(data=st.data(), right=st.booleans())
    def end_an_upload(self, data: st.DataObject, right: bool) -> None:
        key = data.draw(st.sampled_from(list(self.uploads)))
        where, location, sofar = self.uploads.pop(key)
        digest = sha256(sofar if right else sofar + b"!")
        ended = self.ask("PUT", where, f"{location}&digest={digest}", b"")
        assert ended.status == (201 if right else 400)
        if right:
            got = self.ask("GET", where, f"blobs/{digest}")
            assert (got.status, got.body) == (200, sofar)
        else:
            assert self.ask("GET", where, location).status == 404

    @precondition(lambda self: self.uploads)
    @rule(data=st.data())
    def cancel_an_upload(self, data: st.DataObject) -> None:
        key = data.draw(st.sampled_from(list(self.uploads)))
        where, location, _ = self.uploads.pop(key)
        assert self.ask("DELETE", where, location).status == 204
        assert self.ask("GET", where, location).status == 404

    @rule(digest=blobs, there=repositories)
    def mount_a_blob(self, digest: str, there: str) -> None:
        here = next(each for each in REPOSITORIES if each != there)
        query = f"blobs/uploads/?mount={digest}&from={self.names[here]}"
        answer = self.ask("POST", there, query, b"")
        assert answer.status == (201 if digest in self.held[here].blobs else 202)
        if answer.status == 201:
            self.held[there].blobs.add(digest)
        else:
            self.uploads[answer.header("Docker-Upload-UUID")] = (there, answer.header("Location"), b"")

    @rule(where=repositories, layers=st.lists(blobs, max_size=4, unique=True), note=st.integers(0, 5), tag=tags)
    def put_an_image(self, where: str, layers: list[str], note: int, tag: str) -> None:
        held, body = self.held[where], image(layers, note)
        answer = self.ask("PUT", where, f"manifests/{tag}", body)
        if named(body) <= held.blobs:
            assert answer.status == 201
            held.manifests[sha256(body)] = self.bodies[sha256(body)] = body
            held.tags[tag] = sha256(body)
        else:
            assert answer.status == 404
            missing = {error["detail"]["digest"] for error in answer.json["errors"]}
            assert missing == named(body) - held.blobs

    @rule(where=repositories, data=st.data(), tag=tags)
    def put_an_index(self, where: str, data: st.DataObject, tag: str) -> None:
        held = self.held[where]
        images = {key: body for key, body in held.manifests.items() if b'"layers"' in body}
        chosen = data.draw(st.lists(st.sampled_from(sorted(images)), max_size=3, unique=True)) if images else []
        body = index({key: images[key] for key in chosen})
        answer = self.ask("PUT", where, f"manifests/{tag}", body, OCI_INDEX)
        assert answer.status == 201
        held.manifests[sha256(body)] = self.bodies[sha256(body)] = body
        held.tags[tag] = sha256(body)

    # deleting

    @rule(where=repositories, tag=tags)
    def delete_a_tag(self, where: str, tag: str) -> None:
        held = self.held[where]
        answer = self.ask("DELETE", where, f"manifests/{tag}")
        assert answer.status == (202 if tag in held.tags else 404)
        if answer.status == 202:
            digest = held.tags.pop(tag)
            self.note(answer, Deleted("tag", where, tag, self.closure(digest), frozenset({tag})))

    @precondition(lambda self: any(held.manifests for held in self.held.values()))
    @rule(data=st.data())
    def delete_a_manifest(self, data: st.DataObject) -> None:
        where = data.draw(st.sampled_from([each for each, held in self.held.items() if held.manifests]))
        held = self.held[where]
        digest = data.draw(st.sampled_from(sorted(held.manifests)))
        answer = self.ask("DELETE", where, f"manifests/{digest}")
        assert answer.status == (405 if held.needs(digest) else 202)
        if answer.status == 202:
            tags_ = frozenset(tag for tag, named_ in held.tags.items() if named_ == digest)
            self.note(answer, Deleted("manifest", where, digest, self.closure(digest), tags_))
            self.forget(held, digest)

    @rule(where=repositories, digest=blobs)
    def delete_a_blob(self, where: str, digest: str) -> None:
        held = self.held[where]
        answer = self.ask("DELETE", where, f"blobs/{digest}")
        if digest not in held.blobs:
            assert answer.status == 404
        elif held.needs(digest):
            assert answer.status == 405
        else:
            assert answer.status == 202
            held.blobs.discard(digest)
            self.note(answer, Deleted("blob", where, digest))

    @precondition(lambda self: self.deleted)
    @rule(data=st.data())
    def undo_a_deletion(self, data: st.DataObject) -> None:
        """What it took is there again, with all it names; only a tag that is there again stands in the way."""
        operation = data.draw(st.sampled_from(list(self.deleted)))
        took = self.deleted.pop(operation)
        held = self.held[took.where]
        answer = self.ask("POST", took.where, f"/api/v1/operations/{operation}/undo", b"")
        if answer.status == 409:
            assert took.kind != "blob"
            # It is there again, or was, and another deletion took it since.
            again = any(took.reference in other.bodies for other in self.deleted.values() if other.where == took.where)
            assert again or took.reference in held.tags or took.reference in held.manifests
            return
        assert answer.status == 200, answer.body
        if took.kind == "blob":
            held.blobs.add(took.reference)
        for digest, body in took.bodies.items():
            held.manifests[digest] = body
            held.blobs |= {each for each in named(body) if each in BLOBS}
        back = set(answer.json["tags"])
        assert back <= took.tags - held.tags.keys()
        for tag in back:
            held.tags[tag] = next(iter(took.bodies))

    def note(self, answer: Answer, took: Deleted) -> None:
        self.deleted[answer.header("Entrepot-Operation")] = took

    def closure(self, digest: str) -> dict[str, bytes]:
        """The manifest and all it lists, itself first."""
        body = self.bodies[digest]
        below = [self.closure(child) for child in sorted(named(body)) if b'"manifests"' in body]
        found = {digest: body}
        for each in below:
            found |= each
        return found

    def forget(self, held: Held, digest: str) -> None:
        del held.manifests[digest]
        held.tags = {tag: named_ for tag, named_ in held.tags.items() if named_ != digest}

    # crashing

    @rule(
        where=repositories,
        layers=st.lists(blobs, max_size=3, unique=True),
        note=st.integers(6, 99),
        tag=tags,
        turn=st.integers(1, CRASH_ONE_IN),
    )
    def crash_while_an_image_is_put(self, where: str, layers: list[str], note: int, tag: str, turn: int) -> None:
        """After the restart the tag names the old image or the new one, and the new one is there if it was answered.

        Then it is put again: equal draws lead to equal states, or hypothesis would take the test for flaky.
        """
        if turn != CRASH_ONE_IN // 2:
            return
        held, body = self.held[where], image(layers, note)
        for digest in sorted(named(body) - held.blobs):
            self.push_a_blob(where, digest)
        answered: list[int] = []
        thread = threading.Thread(target=self.try_to_put, args=(where, tag, body, answered))
        thread.start()
        time.sleep(self.subject.chance.uniform(0, 0.02))
        self.crash()
        thread.join()
        found = self.ask("GET", where, f"manifests/{tag}")
        before = held.tags.get(tag)
        if found.status != 200 or found.body != body:
            assert answered != [201]
            assert (sha256(found.body) if found.status == 200 else None) == before
            # Its digest is not there either, unless it was before: all or nothing.
            by_digest = self.ask("GET", where, f"manifests/{sha256(body)}").status
            assert by_digest == (200 if sha256(body) in held.manifests else 404)
        self.subject.torn += answered == []
        self.uploads = {
            key: (place, self.location_now(place, location), sofar)
            for key, (place, location, sofar) in self.uploads.items()
        }
        self.put_an_image(where, layers, note, tag)

    def try_to_put(self, where: str, tag: str, body: bytes, answered: list[int]) -> None:
        try:
            answered.append(self.ask("PUT", where, f"manifests/{tag}", body).status)
        except (OSError, http.client.HTTPException):
            return

    def crash(self) -> None:
        self.subject.server.kill()
        self.subject.server.assert_no_process_is_left()
        self.subject.server.start()
        self.subject.crashes += 1

    def location_now(self, where: str, location: str) -> str:
        """An upload outlives the crash with every byte that was answered."""
        answer = self.ask("GET", where, location)
        assert answer.status == 204
        return answer.header("Location")

    # reading

    @invariant()
    def one_thing_chosen_by_chance_reads_back(self) -> None:
        where = self.subject.chance.choice(REPOSITORIES)
        held = self.held[where]
        tag, digest = self.subject.chance.choice(TAGS), self.subject.chance.choice(sorted(BLOBS))
        got = self.ask("GET", where, f"manifests/{tag}")
        wanted = held.manifests[held.tags[tag]] if tag in held.tags else None
        assert (got.body if got.status == 200 else None) == wanted
        assert self.ask("HEAD", where, f"blobs/{digest}").status == (200 if digest in held.blobs else 404)

    def teardown(self) -> None:
        for where, location, _ in self.uploads.values():  # an account may leave so many open, and no more
            self.ask("DELETE", where, location)
        for where, held in self.held.items():
            for digest, body in held.manifests.items():
                assert self.ask("GET", where, f"manifests/{digest}").body == body
            for digest in BLOBS:
                got = self.ask("GET", where, f"blobs/{digest}")
                assert (got.body if got.status == 200 else None) == (BLOBS[digest] if digest in held.blobs else None)
            listed: Any = self.ask("GET", where, "tags/list")
            assert (listed.json["tags"] if listed.status == 200 else []) == sorted(held.tags)


def run(server: Server, database: str) -> None:
    token = server.api("POST", "/auth/tokens", {"name": "machine"})["token"]
    registry = Registry(server.host).as_(server.admin.__class__("admin", token))
    subject = Subject(server, registry, random.Random(7))  # noqa: S311
    Machine.subject = subject
    began = time.monotonic()
    while subject.operations < OPERATIONS:
        run_state_machine_as_test(
            Machine,
            settings=settings(
                max_examples=max(1, min(20, (OPERATIONS - subject.operations) // (2 * STEPS))),
                stateful_step_count=STEPS,
                deadline=None,
                database=None,
                phases=[Phase.generate],
                suppress_health_check=list(HealthCheck),
            ),
        )
    print(
        f"{database}: {subject.operations} operations, {subject.crashes} crashes, {subject.torn} of them before an "
        f"answer, in {time.monotonic() - began:.0f} s"
    )


@pytest.mark.timeout(7200)
def test_on_sqlite_and_files_the_registry_does_what_the_model_does(tmp_path: Path) -> None:
    with running(new_server(tmp_path, ENTREPOT_SERVER__WEB_WORKERS="1")) as server:
        run(server, "SQLite and files")


@pytest.fixture
def scaled(tmp_path: Path, postgres: Postgres, moto_server: S3Server) -> Iterator[Server]:
    store = ObjectStore(moto_server, moto_server.bucket())
    server = new_server(tmp_path)
    server.environment = {**server.environment, **environment(server.url, postgres, store, tmp_path / "keys")}
    with running(server) as started:
        yield started


@pytest.mark.timeout(7200)
def test_on_postgresql_and_s3_the_registry_does_what_the_model_does(scaled: Server) -> None:
    run(scaled, "PostgreSQL and S3")
