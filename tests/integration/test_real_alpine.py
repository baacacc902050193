"""An Alpine package database: its packages are those apk's file lists, its findings those apk's own order gives.

The findings are those of a second implementation: fixes from the security database as written, versions compared piece
by piece as apk-tools does it (apk-package(5), `pkgver`; the comparison of apk-tools 3), no keys.
"""

import json
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any

import pytest

from tests.real.cli import entrepot_json
from tests.real.clients import Podman, Skopeo
from tests.real.feeds import EXTRACTS, WHOLE, read_raw
from tests.real.layout import Layout, layer_from_files, write_layout
from tests.real.server import Credential, Server, new_server, running
from tests.real.systems import AlpineDatabase

pytestmark = pytest.mark.xdist_group("real-alpine")

REPOSITORIES = ("main", "community")
FEEDS = {"extract": [EXTRACTS / f"alpine-3.19-{name}.jsonl.zst" for name in REPOSITORIES]}
if (WHOLE / "alpine-secdb/3.19-main.json").is_file():
    FEEDS["whole"] = [WHOLE / f"alpine-secdb/3.19-{name}.json" for name in REPOSITORIES]
BASE, ADDED = "ADD alpine-minirootfs.tar.gz /", "RUN apk add xen runc go ffmpeg nodejs-current php82 podman"
INSTALLED = "lib/apk/db/installed"
# Chosen around what the security database says: several ids in one entry, two fixes of one id, version 0, candidates.
MORE = {
    "xen": "4.13.0-r3",
    "runc": "1.1.4-r6",
    "go": "1.21.5-r0",
    "ffmpeg": "5.1-r0",
    "nodejs-current": "20.8.0-r2",
    "php82": "8.2.1_rc1-r0",
    "podman": "4.8.1-r0",
}
Finding = tuple[str, str, str]
Said = tuple[str, tuple[str, ...]]
Secfixes = Mapping[str, Mapping[str, Sequence[str]]]


@dataclass(frozen=True, slots=True)
class Loaded:
    """A server with the security database in force, what that says, and a robot that pushes."""

    server: Server
    secfixes: Secfixes
    pusher: Credential


@dataclass(frozen=True, slots=True)
class Pushed:
    """The pushed image, its scan, and the database it ends with."""

    layout: Layout
    scan: Any
    database: AlpineDatabase

    def sources(self) -> set[tuple[str, str]]:
        return {(origin, version) for _, version, _, origin in self.database.packages()}


@pytest.fixture(scope="module", params=FEEDS)
def loaded(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Loaded]:
    files = FEEDS[request.param]
    with running(new_server(tmp_path_factory.mktemp("alpine") / "server")) as server:
        for file in files:
            server.import_feed("", file)
        server.create_project("alpine")
        yield Loaded(server, secfixes(files), server.create_robot("alpine", "ci"))


def secfixes(files: Sequence[Path]) -> Secfixes:
    documents = [read_raw(file).records[0] if file.suffix == ".zst" else json.loads(file.read_text()) for file in files]
    return {each["pkg"]["name"]: each["pkg"]["secfixes"] for document in documents for each in document["packages"]}


@pytest.fixture
def pushed(loaded: Loaded, skopeo: Skopeo, alpine_database: AlpineDatabase, tmp_path: Path) -> Pushed:
    """Two layers: the database as it was, and one that `apk add` left with more packages."""
    blocks = "".join(f"P:{name}\nV:{version}\nA:x86_64\no:{name}\n\n" for name, version in MORE.items())
    more = {INSTALLED: alpine_database.files[INSTALLED].rstrip() + b"\n\n" + blocks.encode()}
    base = layer_from_files(tmp_path / "base", alpine_database.files, BASE)
    added = layer_from_files(tmp_path / "added", more, ADDED)
    layout = write_layout(tmp_path / "image", {"linux/amd64": [base, added]})
    server = loaded.server
    client = skopeo.signed_in(server.host, loaded.pusher.login, loaded.pusher.secret)
    client.copy(layout.source, f"docker://{server.host}/alpine/base:3.19")
    scan = server.wait_for_scan("alpine/base", "3.19")
    return Pushed(layout, scan, AlpineDatabase(alpine_database.files | more))


def rows(server: Server, part: str) -> list[Any]:
    return server.items(f"/repositories/alpine/base/-/artifacts/3.19/{part}")


def test_packages_are_those_of_the_database(loaded: Loaded, pushed: Pushed, alpine_database: AlpineDatabase) -> None:
    listed = rows(loaded.server, "packages")
    by_cli = entrepot_json(loaded.server, "artifact", "packages", "alpine/base:3.19")
    print(f"\n{len(listed)} packages, {len({row['source_name'] for row in listed})} origins")

    assert by_cli == listed
    assert len(listed) == len(pushed.database.packages())
    assert {(r["name"], r["version"], r["arch"], r["source_name"]) for r in listed} == pushed.database.packages()
    assert {r["name"] for r in listed if (r["layer"], r["step"]) == (1, ADDED)} == set(MORE)
    assert {r["name"] for r in listed if (r["layer"], r["step"]) == (0, BASE)} == {
        name for name, _, _, _ in alpine_database.packages()
    }
    assert {(r["ecosystem"], r["namespace"], r["path"]) for r in listed} == {("apk", "alpine:3.19", INSTALLED)}


def test_the_image_comes_back_as_it_was_pushed(loaded: Loaded, pushed: Pushed, podman: Podman) -> None:
    client = podman.signed_in(loaded.server.host, loaded.pusher.login, loaded.pusher.secret)

    client.pull(f"{loaded.server.host}/alpine/base:3.19")

    assert client.digest(f"{loaded.server.host}/alpine/base:3.19") == pushed.layout.digest


def test_findings_are_those_that_the_order_of_apk_gives(loaded: Loaded, pushed: Pushed) -> None:
    listed = rows(loaded.server, "findings")
    found = {(r["id"], r["package"], r["version"]): (r["fixed_version"], tuple(r["aliases"])) for r in listed}
    expected = brute_force(loaded.secfixes, pushed.sources())
    print(f"\n{len(expected)} findings in {len({source for _, source, _ in expected})} sources")

    assert len(found) == len(listed)
    assert found == expected
    assert {(r["status"], r["severity"], r["counted"]) for r in listed} == {("fixed_available", "unknown", True)}
    assert (pushed.scan["status"], pushed.scan["reasons"]) == ("complete", [])


def brute_force(secfixes: Secfixes, sources: set[tuple[str, str]]) -> dict[Finding, Said]:
    """Finding → (fixed version, other names): the last fix that is named counts. Version 0 fixes nothing."""
    found: dict[Finding, Said] = {}
    for source, version in sources:
        fixes: dict[str, list[str]] = defaultdict(list)
        names: dict[str, set[str]] = defaultdict(set)
        for fix, entry in ((fix, entry) for fix, entries in secfixes.get(source, {}).items() for entry in entries):
            cves = [name for name in entry.split() if is_cve(name)]
            for id_ in cves or entry.split():
                fixes[id_] += [fix] if fix != "0" else []
                names[id_] |= set(entry.split()) - set(cves or [id_])
        for id_, versions in fixes.items():
            last = max(versions, key=Comparable, default="")
            if last and Comparable(version) < Comparable(last):
                found[id_, source, version] = (last, tuple(sorted(names[id_])))
    return found


def is_cve(name: str) -> bool:
    return re.fullmatch(r"CVE-\d{4}-\d{4,}", name) is not None


@dataclass(frozen=True, slots=True)
class Comparable:
    """A version that compares as apk does: piece by piece, by value where the kinds agree, else by kind."""

    text: str

    def __lt__(self, other: "Comparable") -> bool:
        for mine, theirs in zip_longest(pieces(self.text), pieces(other.text), fillvalue=("end", "")):
            if mine[0] != theirs[0]:
                return is_lower_kind(mine, theirs)
            if mine[1] != theirs[1]:
                return is_lower_value(mine[0], mine[1], theirs[1])
        return False


KINDS = ("number", "letter", "suffix", "suffix number", "hash", "revision", "end")
PRE, POST = ("alpha", "beta", "pre", "rc"), ("cvs", "svn", "git", "hg", "p")


def pieces(text: str) -> list[tuple[str, str]]:
    """`1.2a_rc3-r4` as (kind, value); fails on what is no version, for then there is nothing to compare."""
    form = r"(\d+(?:\.\d+)*)([a-z]?)((?:_[a-z]+\d*)*)((?:~[0-9a-f]+)?)((?:-r\d+)?)"
    match = re.fullmatch(form, text)
    assert match is not None, f"{text} is no apk version"
    numbers, letter, suffixes, commit, revision = match.groups()
    found = [("number", number) for number in numbers.split(".")]
    found += [("letter", letter)] if letter else []
    for name, number in re.findall(r"_([a-z]+)(\d*)", suffixes):
        found += [("suffix", name)] + ([("suffix number", number)] if number else [])
    found += [("hash", commit[1:])] if commit else []
    return found + ([("revision", revision[2:])] if revision else [])


def is_lower_kind(mine: tuple[str, str], theirs: tuple[str, str]) -> bool:
    """A pre-release is before anything; otherwise what comes later in a version is the lower."""
    if mine[0] == "suffix" and mine[1] in PRE:
        return True
    if theirs[0] == "suffix" and theirs[1] in PRE:
        return False
    return KINDS.index(mine[0]) > KINDS.index(theirs[0])


def is_lower_value(kind: str, mine: str, theirs: str) -> bool:
    if kind == "suffix":
        return (PRE + POST).index(mine) < (PRE + POST).index(theirs)
    if kind == "number" and "0" in (mine[0], theirs[0]):
        return mine < theirs  # as a fraction; none of a first number here begins with 0 and goes on
    return int(mine) < int(theirs) if kind in {"number", "suffix number", "revision"} else mine < theirs
