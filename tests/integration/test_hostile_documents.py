"""Malice as a manifest: refused in bounded time and memory, by the reader and by the server.

Design: registry.md 11, block G. Every case is refused in a child with 512 MiB of address space, then over HTTP.
More of the fuzz: `ENTREPOT_TEST_FUZZ=200000 pytest tests/integration/test_hostile_documents.py`.
"""

import base64
import concurrent.futures
import json
import os
import random
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Self

import pytest

from tests.fakes.tars import gz, member, tar
from tests.integration.conftest import Shop
from tests.real.protocol import (
    DOCKER_LIST,
    DOCKER_MANIFEST,
    OCI_CONFIG,
    OCI_INDEX,
    OCI_LAYER,
    OCI_MANIFEST,
    Answer,
    Registry,
    descriptor,
    encoded,
    sha256,
)

pytestmark = pytest.mark.xdist_group("hostile-documents")

MIB: Final = 1 << 20
MEMORY_BYTES: Final = 512 * MIB
CPU_SECONDS: Final = 1.0
MOST_RESIDENT_BYTES: Final = 400 * MIB
FUZZ: Final = int(os.environ.get("ENTREPOT_TEST_FUZZ", "20000"))
ZERO: Final = f"sha256:{'0' * 64}"
LAYER: Final[Mapping[str, Any]] = {"mediaType": OCI_LAYER, "digest": ZERO, "size": 1}
CONFIG: Final[Mapping[str, Any]] = {"mediaType": OCI_CONFIG, "digest": ZERO, "size": 1}
CHILD: Final[Mapping[str, Any]] = {"mediaType": OCI_MANIFEST, "digest": ZERO, "size": 1}
# Lines of `content type, size` with so many bytes after each; answers with lines `[error, CPU seconds, best of three]`.
READER: Final = """
import json, resource, sys, time
from entrepot.oci.manifest import Manifest
resource.setrlimit(resource.RLIMIT_AS, (int(sys.argv[1]),) * 2)
while line := sys.stdin.buffer.readline():
    content_type, size = json.loads(line)
    body, best, said = sys.stdin.buffer.read(size), 99.0, ""
    for _ in range(3):
        if best < 0.5:
            break
        started = time.process_time()
        try:
            Manifest.parse(body, content_type)
            said = "accepted"
        except Exception as error:
            said = type(error).__name__
        best = min(best, time.process_time() - started)
    print(json.dumps([said, best]), flush=True)
"""
REFUSALS: Final = {"ManifestInvalidError", "MediaTypeUnsupportedError", "DigestInvalidError"}


def manifest(**fields: Any) -> bytes:
    """An OCI manifest that would be taken but for *fields*; a field of None is left out."""
    whole = {"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": CONFIG, "layers": [LAYER], **fields}
    return encoded({key: value for key, value in whole.items() if value is not None})


def index(**fields: Any) -> bytes:
    """The same for an index."""
    whole = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [CHILD], **fields}
    return encoded({key: value for key, value in whole.items() if value is not None})


def layer(**fields: Any) -> bytes:
    """A manifest whose one layer would be taken but for *fields*."""
    return manifest(layers=[{**LAYER, **fields}])


def raw(before: str, after: bytes) -> bytes:
    """A manifest with the bytes *after* in place of the JSON text *before*."""
    whole = manifest()
    assert whole.count(before.encode()) == 1
    return whole.replace(before.encode(), after)


LARGE: Final[Mapping[str, bytes]] = {
    "brackets": b"[" * 4_000_000,
    "deep": b'{"a":' + b"[" * 2_000_000 + b"]" * 2_000_000 + b"}",
    "deep objects": b'{"a":' * 600_000 + b"1" + b"}" * 600_000,
    "objects": b'{"a":[' + b"{}," * 1_390_000 + b"{}]}",
    "lists": b'{"a":[' + b"[]," * 1_390_000 + b"[]]}",
    "numbers": b'{"a":[' + b"1," * 2_090_000 + b"1]}",
    "reals": b'{"a":[' + b"1e1," * 1_040_000 + b"1]}",
    "one number": b'{"a":' + b"9" * 4_000_000 + b"}",
    "one real": b'{"a":0.' + b"9" * 4_000_000 + b"}",
    "keys": b"{" + b",".join(b'"%x":1' % number for number in range(420_000)) + b"}",
    "the same key": b"{" + b",".join(b'"a":1' for _ in range(690_000)) + b"}",
    "escapes": b'{"a":"' + b"\\u00e9" * 690_000 + b'"}',
    "backslashes": b'{"a":"' + b"\\\\" * 2_090_000 + b'"}',
    "pairs of surrogates": b'{"a":"' + b"\\ud83d\\ude00" * 349_000 + b'"}',
    "objects and a surrogate": b'{"a":[' + b"{}," * 1_390_000 + b'"\\ud800"]}',
    "backslashes and a NUL": b'{"a":"' + b"\\\\" * 2_090_000 + b'\\u0000"}',
    "blanks": b" " * 4_190_000 + b"{}",
    "an open text": b'{"a":"' + b"x" * 4_190_000,
    "zeros": bytes(4_190_000),
    "words": b'{"a":[' + b"true," * 830_000 + b"null]}",
    "layers": manifest(layers=[LAYER] * 25_000),
    "short layers": manifest(layers=[{"a": 1}] * 400_000),
    "100,000 descriptors": encoded({"schemaVersion": 2, "layers": [{"mediaType": "a", "size": 1}] * 100_000}),
    "children": index(manifests=[CHILD] * 25_000),
    "annotations": manifest(annotations={str(number): {} for number in range(300_000)}),
    "annotations of a layer": layer(annotations={str(number): number for number in range(250_000)}),
    "data": layer(data="A" * 4_000_000, size=3_000_000),
    "a media type": layer(mediaType="a/" + "b" * 4_000_000),
    "a digest": layer(digest="sha256:" + "0" * 4_000_000),
    "an artifact type": manifest(artifactType="a/" + "b" * 4_000_000),
}
SMALL: Final[Mapping[str, bytes]] = {
    "nothing": b"",
    "a blank": b" ",
    "a word": b"null",
    "a text": b'"manifest"',
    "a number": b"2",
    "a list": b"[]",
    "an empty object": b"{}",
    "two documents": manifest() * 2,
    "rubbish behind": manifest() + b"}",
    "a NUL behind": manifest() + b"\0",
    "cut off": manifest()[:-1],
    "a byte order mark": b"\xef\xbb\xbf" + manifest(),
    "UTF-16": manifest().decode().encode("utf-16"),
    "UTF-32": manifest().decode().encode("utf-32-le"),
    "bad UTF-8": raw('"layers"', b'"\xff\xfe":1,"layers"'),
    "overlong UTF-8": raw('"layers"', b'"\xc0\xaf":1,"layers"'),
    "a surrogate as UTF-8": raw('"layers"', b'"\xed\xa0\x80":1,"layers"'),
    "half a pair of surrogates": manifest(annotations={"a": "\ud83d"}),
    "half a pair as a key": manifest(annotations={"\udc00\ud800": "a"}),
    "half a pair, written with a pair": raw('"layers"', b'"a":"\\ud83d\\ude00\\ude00","layers"'),
    "a NUL in a text": manifest(annotations={"a": "b\0"}),
    "a NUL in a key": manifest(a={"\0": 1}),
    "a comment": raw('"layers"', b'/* no */"layers"'),
    "a comma too many": raw('"size":1}]', b'"size":1},]'),
    "single quotes": manifest().replace(b'"', b"'"),
    "a line break in a text": raw('"layers"', b'"a\nb":1,"layers"'),
    "33 levels": manifest(annotations=None, a=json.loads("[" * 33 + "]" * 33)),
    "10,000 levels": raw('"layers"', b'"a":' + b"[" * 10_000 + b"]" * 10_000 + b',"layers"'),
    "NaN": raw('"size":1}]', b'"size":NaN}]'),
    "infinity": raw('"size":1}]', b'"size":-Infinity}]'),
    "1e308 bytes": raw('"size":1}]', b'"size":1e308}]'),
    "1e999 somewhere": raw('"layers"', b'"a":1e999,"layers"'),
    "a doubled key": raw('"layers"', b'"layers":[],"layers"'),
    "a doubled key, escaped": raw('"layers"', b'"l\\u0061yers":[],"layers"'),
    "a doubled key deep inside": raw('"size":1}]', b'"size":1,"annotations":{"a":"1","a":"2"}}]'),
    "a size of 2^63": layer(size=2**63),
    "a size of 10^4000": raw('"size":1}]', b'"size":1' + b"0" * 4_000 + b"}]"),
    "a negative size": layer(size=-1),
    "a size as text": layer(size="1"),
    "a size as truth": layer(size=True),
    "a size and a half": layer(size=1.5),
    "no size": manifest(layers=[{"mediaType": OCI_LAYER, "digest": ZERO}]),
    "no digest": manifest(layers=[{"mediaType": OCI_LAYER, "size": 1}]),
    "no media type": manifest(layers=[{"digest": ZERO, "size": 1}]),
    "an empty media type": layer(mediaType=""),
    "a media type as list": layer(mediaType=[OCI_LAYER]),
    "a short digest": layer(digest="sha256:00"),
    "a digest in capitals": layer(digest="sha256:" + "A" * 64),
    "a digest in foreign digits": layer(digest="sha256:" + "\u0660" * 64),
    "a digest with a line break": layer(digest=ZERO + "\n"),
    "a digest of another algorithm": layer(digest="md5:" + "0" * 32),
    "a digest that is a path": layer(digest="sha256:../../../../etc/passwd"),
    "a digest as number": layer(digest=0),
    "a lying data": layer(data=base64.b64encode(b"x").decode()),
    "a data of another size": layer(digest=sha256(b"xy"), size=1, data=base64.b64encode(b"xy").decode()),
    "a data that is no base64": layer(data="%%%"),
    "a data as number": layer(data=1),
    "a layer as text": manifest(layers=["layer"]),
    "layers as object": manifest(layers={"0": LAYER}),
    "1,001 layers": manifest(layers=[LAYER] * 1_001),
    "no config": manifest(config=None),
    "a config as list": manifest(config=[CONFIG]),
    "layers and manifests": manifest(manifests=[CHILD]),
    "manifests without type": encoded({"schemaVersion": 2, "config": CONFIG, "manifests": []}),
    "an index with layers": index(layers=[LAYER]),
    "an index with a config": index(config=CONFIG),
    "an index of null layers": index(layers=None, config={}),
    "children as object": index(manifests={"0": CHILD}),
    "a child as number": index(manifests=[1]),
    "a platform as text": index(manifests=[{**CHILD, "platform": "linux/amd64"}]),
    "a platform of lists": index(manifests=[{**CHILD, "platform": {"os": [], "architecture": {}}}]),
    "schema 1": encoded({"schemaVersion": 1, "name": "a", "tag": "b", "fsLayers": [], "history": []}),
    "schema 3": manifest(schemaVersion=3),
    "a schema as text": manifest(schemaVersion="2"),
    "a schema as truth": manifest(schemaVersion=True),
    "another type inside": manifest(mediaType=DOCKER_MANIFEST),
    "a type as object": manifest(mediaType={}),
    "a type with a line break": manifest(mediaType=OCI_MANIFEST + "\r\nX: y"),
    "a subject as text": manifest(subject=ZERO),
    "a subject without digest": manifest(subject={"mediaType": OCI_MANIFEST, "size": 1}),
    "an artifact type as number": manifest(artifactType=1),
    "an artifact type of 256 characters": manifest(artifactType="a/" + "b" * 254),
    "annotations as text": manifest(annotations="a"),
    "annotations of numbers": manifest(annotations={"a": 1}),
    "annotations as list": layer(annotations=["a"]),
    "annotations of annotations": layer(annotations={"a": {"b": "c"}}),
}
TYPES: Final[Mapping[str, str]] = {
    "application/vnd.docker.distribution.manifest.v1+json": "schema 1 by its type",
    "application/vnd.docker.distribution.manifest.v1+prettyjws": "schema 1, signed",
    "application/vnd.oci.artifact.manifest.v1+json": "the withdrawn artifact manifest",
    "text/html": "a page",
    "application/json": "JSON",
    DOCKER_MANIFEST: "another manifest's type",
    DOCKER_LIST: "a list's type",
    OCI_INDEX: "an index's type",
}


def cases() -> dict[str, tuple[str, bytes]]:
    """Name → content type and body."""
    found = {name: (OCI_INDEX if b'"manifests"' in body[:200] else OCI_MANIFEST, body) for name, body in SMALL.items()}
    found |= {f"large: {name}": (OCI_MANIFEST, body) for name, body in LARGE.items()}
    found["large: children"] = (OCI_INDEX, LARGE["children"])
    return found | {name: (content_type, manifest()) for content_type, name in TYPES.items()}


@dataclass(slots=True)
class Reader:
    """The product's reader of manifests in a process with *MEMORY_BYTES* of address space."""

    process: subprocess.Popen[bytes] = field(
        default_factory=lambda: subprocess.Popen(
            [sys.executable, "-c", READER, str(MEMORY_BYTES)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
    )

    def read(self, content_type: str, body: bytes) -> tuple[str, float]:
        """The name of the error, or `accepted`, and CPU seconds."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps([content_type, len(body)]).encode() + b"\n" + body)
        self.process.stdin.flush()
        said, seconds = json.loads(self.process.stdout.readline())
        return said, seconds


@pytest.fixture(scope="module")
def reader() -> Iterator[Reader]:
    reader = Reader()
    with reader.process:
        yield reader
        reader.process.kill()


def test_every_hostile_manifest_is_refused_within_a_second_and_512_mib(reader: Reader) -> None:
    done = {name: reader.read(content_type, body) for name, (content_type, body) in cases().items()}

    slowest = max(done, key=lambda name: done[name][1])
    print(f"\n{len(done)} hostile documents refused; slowest: {slowest}, {done[slowest][1]:.2f} s of CPU")
    assert len(done) >= 60
    assert all(len(body) <= 4 * MIB for _, body in cases().values())
    assert {name: said for name, (said, _) in done.items() if said not in REFUSALS} == {}
    assert {name: seconds for name, (_, seconds) in done.items() if seconds >= CPU_SECONDS} == {}


def test_what_the_cases_are_made_of_is_taken(reader: Reader) -> None:
    """Else the cases above would prove nothing."""
    whole = index(manifests=[{**CHILD, "platform": {"os": "linux", "architecture": "amd64"}}])

    assert reader.read(OCI_MANIFEST, manifest())[0] == "accepted"
    assert reader.read(OCI_INDEX, whole)[0] == "accepted"
    assert (
        reader.read(OCI_MANIFEST, manifest(layers=[LAYER] * 1_000, subject=CHILD, artifactType="a/b"))[0] == "accepted"
    )
    assert reader.read("", manifest())[0] == "accepted"


def mutants(seed: int) -> Iterator[bytes]:
    """Documents without end that differ from a good one in a few places."""
    chance = random.Random(seed)  # noqa: S311 - a test wants the same numbers again
    seeds = [manifest(annotations={"a": "b"}, subject=CHILD), index(), layer(data="AA==", annotations={"a": "b"})]
    words = [b"null", b"true", b"[]", b"{}", b'""', b"-1", b"1e308", b"9" * 30, b'"\\ud800"', b'"\\u0000"', b"[" * 40]
    while True:
        body = bytearray(chance.choice(seeds))
        for _ in range(chance.randint(1, 4)):
            at, end = sorted(chance.randrange(len(body) + 1) for _ in range(2))
            match chance.randrange(5):
                case 0:
                    body[at : at + 1] = bytes([chance.randrange(256)])
                case 1:
                    del body[at : min(end, at + 40)]
                case 2:
                    body[at:at] = body[at : min(end, at + 60)]
                case 3:
                    body[at:at] = chance.choice(words)
                case _:  # a value for another
                    colon = body.find(b":", at)
                    stop = min((s for s in (body.find(b",", colon), body.find(b"}", colon)) if s > 0), default=at)
                    body[colon + 1 : stop] = chance.choice(words)
        yield bytes(body)


def test_no_mutant_of_a_manifest_brings_anything_but_the_named_errors(reader: Reader) -> None:
    seed = random.SystemRandom().randrange(1 << 32)
    said: dict[str, int] = {}
    unexpected: list[bytes] = []
    for number, body in zip(range(FUZZ), mutants(seed), strict=False):
        answer, _ = reader.read((OCI_MANIFEST, OCI_INDEX, "")[number % 3], body)
        said[answer] = said.get(answer, 0) + 1
        if answer not in REFUSALS | {"accepted"}:
            unexpected.append(body)

    print(f"\n{FUZZ} mutants, seed {seed}: {said}")
    assert unexpected == []
    assert said["ManifestInvalidError"] > FUZZ // 4
    assert said["accepted"] > FUZZ // 100


# over HTTP


@dataclass(slots=True)
class Resident:
    """The most memory that any process of the shared server's web role had while we looked, in bytes."""

    shop: Shop
    peak: int = 0
    _stop: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._look)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        assert self._thread is not None
        self._thread.join()

    def _look(self) -> None:
        watched = [pid for pid, command in self.shop.server.processes().items() if "--role worker" not in command]
        while not self._stop.wait(0.01):
            for pid in watched:
                with suppress(OSError):
                    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
                    self.peak = max(self.peak, pages * os.sysconf("SC_PAGE_SIZE"))


@pytest.fixture
def registry(shop: Shop) -> Registry:
    return Registry(shop.server.host).as_(shop.developer)


def refusal_or_status(answer: Answer) -> str:
    return f"{answer.status} {answer.code}" if answer.status >= 400 else str(answer.status)


def test_the_server_refuses_every_hostile_manifest_and_stays_small(shop: Shop, registry: Registry) -> None:
    """Also eight of the largest at a time."""

    def push(case: tuple[str, bytes]) -> Answer:
        return registry.put_manifest(f"{shop.name}/web", "v1", case[1], case[0])

    with Resident(shop) as resident, concurrent.futures.ThreadPoolExecutor(8) as pool:
        began = time.monotonic()
        answers = dict(zip(cases(), pool.map(push, cases().values()), strict=True))
        seconds = time.monotonic() - began

    print(f"\n{len(answers)} over HTTP in {seconds:.1f} s; web process at most {resident.peak / MIB:.0f} MiB resident")
    assert {name: answer.status for name, answer in answers.items() if answer.status not in {400, 413}} == {}
    assert {answer.code for answer in answers.values()} <= {"MANIFEST_INVALID", "DIGEST_INVALID", "UNSUPPORTED"}
    assert resident.peak < MOST_RESIDENT_BYTES
    assert shop.status("web/tags/list") == 404


def test_a_manifest_of_one_byte_too_many_is_refused_unread(shop: Shop, registry: Registry) -> None:
    at_the_limit = manifest(annotations={"a": "x"}).replace(
        b"x", b"x" * (4 * MIB - len(manifest(annotations={"a": ""})))
    )
    assert len(at_the_limit) == 4 * MIB

    taken = registry.put_manifest(f"{shop.name}/web", "v1", at_the_limit)
    refused = registry.put_manifest(f"{shop.name}/web", "v1", at_the_limit + b" ")

    assert taken.refusal == (404, "MANIFEST_BLOB_UNKNOWN")
    assert refused.status == 413


# What is odd and yet to be taken or refused: whatever it is, it must be said in time, and what is taken can be read.
ODD: Final[Mapping[str, str]] = {
    "a lone surrogate": "\ud800",
    "a NUL": "a\0b",
    "line breaks": "a\r\nSet-Cookie: b",
    "the far end of Unicode": "\U0010ffff\ufffe\u202e",
    "long": "x" * 100_000,
    "markup": "<script>alert(1)</script>",
}


@pytest.mark.parametrize("oddity", ODD)
def test_odd_texts_are_refused_or_can_be_read_back_wherever_they_stand(
    shop: Shop, registry: Registry, oddity: str
) -> None:
    text, repository = ODD[oddity], f"{shop.name}/odd"
    subject = registry.image(repository)
    assert registry.put_manifest(repository, "v1", subject).status == 201
    registry.push_blob(repository, b"odd")
    about = {"subject": descriptor(subject, OCI_MANIFEST)}
    odd_layer = descriptor(b"odd", OCI_LAYER)

    def changed(**fields: Any) -> bytes:
        return encoded({**json.loads(subject), **fields})

    documents = {
        "annotation": changed(annotations={"a": text}, **about),
        "key of an annotation": changed(annotations={text: "a"}, **about),
        "artifact type": changed(artifactType=text, **about),
        "key": changed(**{text: "a"}),
        "media type of a layer": changed(layers=[{**odd_layer, "mediaType": text}]),
        "annotation of a layer": changed(layers=[{**odd_layer, "annotations": {"a": text, text: "a"}}]),
        "media type of the config": changed(config={**descriptor(b"odd", OCI_CONFIG), "mediaType": text}, **about),
        "platform": encoded(
            {
                "schemaVersion": 2,
                "mediaType": OCI_INDEX,
                "manifests": [{**about["subject"], "platform": {"os": text[:40], "architecture": "amd64"}}],
            }
        ),
    }

    answers = {
        name: registry.put_manifest(repository, "odd", body, json.loads(body)["mediaType"])
        for name, body in documents.items()
    }
    print({name: refusal_or_status(answer) for name, answer in answers.items()})

    for name, answer in answers.items():
        assert answer.status in {201, 400}, (name, answer.body)
        if answer.status == 201:
            got = registry.ask("GET", f"/v2/{repository}/manifests/{sha256(documents[name])}")
            assert (got.status, got.body) == (200, documents[name]), name
            detail = shop.server.api("GET", f"/repositories/{repository}/-/artifacts/{sha256(documents[name])}")
            assert detail["digest"] == sha256(documents[name])
    referrers = registry.ask("GET", f"/v2/{repository}/referrers/{sha256(subject)}")
    taken = {sha256(documents[name]) for name, each in answers.items() if each.status == 201}
    named = {sha256(documents[name]) for name in documents if b'"subject"' in documents[name]}
    assert {each["digest"] for each in referrers.json["manifests"]} == taken & named


def test_documents_about_one_another_are_refused_or_read_in_bounded_time(shop: Shop, registry: Registry) -> None:
    """No digest can name itself; these come as near as can be."""
    repository = f"{shop.name}/odd"
    image = registry.image(repository)
    assert registry.put_manifest(repository, "v1", image).status == 201
    as_child = descriptor(image, OCI_MANIFEST)
    registry.push_blob(repository, b"blob")

    def push(body: bytes, content_type: str = OCI_INDEX) -> str:
        return refusal_or_status(registry.put_manifest(repository, "odd", body, content_type))

    chain = image
    nested = []
    for _ in range(40):
        chain = index(manifests=[descriptor(chain, OCI_INDEX if chain is not image else OCI_MANIFEST)])
        nested.append(push(chain))
    answers = {
        "a blob as a child": push(index(manifests=[descriptor(b"blob", OCI_MANIFEST)])),
        "a manifest as a layer": push(
            encoded({**json.loads(image), "layers": [{**as_child, "mediaType": OCI_LAYER}]}), OCI_MANIFEST
        ),
        "5,001 times one child": push(index(manifests=[as_child] * 5_001)),
        "a child of a wrong size": push(index(manifests=[{**as_child, "size": len(image) + 1}])),
        "a layer of a wrong size": push(
            encoded({**json.loads(image), "layers": [{**descriptor(b"blob", OCI_LAYER), "size": 5}]}), OCI_MANIFEST
        ),
        "an absent child": push(index()),
    }
    doubled = push(index(manifests=[as_child] * 5_000))
    own_layer = push(
        encoded({**json.loads(image), "subject": {**json.loads(image)["layers"][0], "mediaType": OCI_MANIFEST}}),
        OCI_MANIFEST,
    )

    print({**answers, "nested": nested[-1], "doubled": doubled, "own layer": own_layer})
    assert {name: text[0] for name, text in answers.items() if text[0] != "4"} == {}
    assert set(nested) <= {"201", "400 MANIFEST_INVALID"}
    assert (doubled[:3], own_layer) == ("201", "201")
    assert registry.ask("GET", f"/v2/{repository}/manifests/{sha256(chain)}").status in {200, 404}


def test_referrers_without_end_are_listed_page_by_page(shop: Shop, registry: Registry) -> None:
    """40 of 150 KB here, which is more than fits in an answer; 10,000 small ones with ENTREPOT_TEST_REFERRERS=10000."""
    count = int(os.environ.get("ENTREPOT_TEST_REFERRERS", "40"))
    text = "x" * (150_000 if count < 1_000 else 10)
    repository = f"{shop.name}/sub"
    subject = registry.image(repository)
    assert registry.put_manifest(repository, "v1", subject).status == 201
    about = {"subject": descriptor(subject, OCI_MANIFEST)}
    documents = [
        encoded({**json.loads(subject), **about, "annotations": {"n": str(number), "text": text}})
        for number in range(count)
    ]
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda body: registry.put_manifest(repository, sha256(body), body).status, documents))
    assert set(answers) == {201}

    listed, pages, slowest = list_referrers(registry, f"/v2/{repository}/referrers/{sha256(subject)}")

    print(f"\n{count} referrers on {pages} pages, slowest {slowest * 1000:.0f} ms")
    assert sorted(listed) == sorted(sha256(body) for body in documents)
    assert pages > max(1, count // 1_001)
    assert slowest < CPU_SECONDS


CONFIGS: Final[Mapping[str, bytes]] = {
    "no JSON": b"\x7fELF",
    "no object": b"[]",
    "nothing": b"",
    "10,000 levels": b'{"history":' + b"[" * 10_000 + b"]" * 10_000 + b"}",
    "brackets": b"[" * 4_000_000,
    "half a pair of surrogates": b'{"os":"\\ud800","architecture":"\\udfff","history":[{"created_by":"\\ud800"}]}',
    "NULs": b'{"os":"\\u0000","architecture":"a","history":[{"created_by":"\\u0000"}]}',
    "wrong types": encoded({"os": [], "variant": 1e308, "history": {"a": 1}, "rootfs": {"diff_ids": {}}, "config": []}),
    "wrong types inside": encoded({"history": [1, None, {"created_by": []}], "rootfs": {"diff_ids": [1, None, {}]}}),
    "null": b'{"os":null,"architecture":null,"history":null,"rootfs":null,"config":null}',
    "200,000 steps": encoded({"os": "linux", "history": [{"empty_layer": True}] * 200_000}),
    "200,000 diff_ids": encoded({"os": "linux", "rootfs": {"diff_ids": [ZERO[:20]] * 150_000}}),
    "doubled keys": b'{"rootfs":{"diff_ids":[]},"os":"linux","rootfs":{"diff_ids":["a"]},"os":"windows"}',
    "a long system": encoded({"os": "x" * 1_000_000, "architecture": "y" * 1_000_000}),
    "a wrong diff_id": encoded({"os": "linux", "architecture": "amd64", "rootfs": {"diff_ids": [ZERO]}}),
}


def test_images_of_hostile_configs_are_judged_and_never_clean(shop: Shop, registry: Registry) -> None:
    repository = f"{shop.name}/configs"
    tar_gz = gz(tar(member("etc/os-release", b"ID=debian\n")))
    registry.push_blob(repository, tar_gz)
    digests = {}
    for number, (name, config) in enumerate(CONFIGS.items()):
        registry.push_blob(repository, config)
        body = manifest(config=descriptor(config, OCI_CONFIG), layers=[descriptor(tar_gz, f"{OCI_LAYER}+gzip")])
        assert registry.put_manifest(repository, f"v{number}", body).status == 201, name
        digests[name] = sha256(body)

    scans = {name: shop.server.wait_for_scan(repository, digest) for name, digest in digests.items()}

    print({name: (scan["status"], scan["outcome"], scan["reasons"]) for name, scan in scans.items()})
    assert {name: scan["status"] for name, scan in scans.items() if scan["status"] != "partial"} == {}
    assert not [job for job in shop.server.items("/jobs?state=failed") if job["args"].get("digest") in digests.values()]


def list_referrers(registry: Registry, path: str) -> tuple[Sequence[str], int, float]:
    """The digests on all pages from *path* on, the number of pages, and the seconds of the slowest."""
    listed: list[str] = []
    pages, slowest = 0, 0.0
    while path:
        began = time.monotonic()
        answer = registry.ask("GET", path)
        slowest = max(slowest, time.monotonic() - began)
        assert answer.status == 200
        assert len(answer.body) <= 4 * MIB
        listed += [each["digest"] for each in answer.json["manifests"]]
        pages += 1
        link = answer.header("Link")
        path = link[link.index("<") + 1 : link.index(">")] if link else ""
    return listed, pages, slowest
