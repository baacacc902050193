"""What clients were told, as the states each thing may be in; and whether a folder keeps those promises.

A request under way allows two states, the old and the new; its answer leaves one. P1 to P6 are those of the design's
section on durability.
"""

import hashlib
import json
import sqlite3
from collections.abc import AsyncIterator, Hashable, Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, TypeAlias

from entrepot.catalog.errors import BlobUnknownError, ManifestUnknownError, RepositoryUnknownError
from entrepot.content.errors import CopySuspectError, UploadUnknownError
from entrepot.content.model import Content
from entrepot.oci.digest import Digest
from tests.faults.site import Site

BLOB: Final = "blob"
MANIFEST: Final = "manifest"
TAG: Final = "tag"
UPLOAD: Final = "upload"
RECORD: Final = "record"
LINE: Final = "line"
KEY: Final = "key"
GONE: Final = None

Key: TypeAlias = tuple[str, str, str]
"""Kind, repository, and digest, tag, or id."""

UNKNOWN: Final = (BlobUnknownError, CopySuspectError, ManifestUnknownError, RepositoryUnknownError)


@dataclass(frozen=True, slots=True)
class Said:
    """From now on *key* may be in the states *allowed*."""

    key: Key
    allowed: frozenset[Hashable]


@dataclass(slots=True)
class World:
    """The states each thing may be in. *content*: the bytes of every digest that was ever sent."""

    allowed: dict[Key, frozenset[Hashable]] = field(default_factory=dict)
    content: dict[str, bytes] = field(default_factory=dict)

    def hear(self, said: Said) -> None:
        """*said* holds."""
        self.allowed[said.key] = said.allowed

    def of(self, kind: str) -> list[tuple[str, str, frozenset[Hashable]]]:
        """Repository, name and allowed states of each thing of *kind*."""
        return [(repo, name, allowed) for (what, repo, name), allowed in self.allowed.items() if what == kind]


async def broken_promises(site: Site, world: World, *, power: bool) -> list[str]:
    """What *site* does not keep of *world*, one line each. *power*: it was lost, so lines of the spool may be too."""
    found = [line for part in (_blobs, _manifests, _tags, _uploads) async for line in part(site, world)]
    found += rows_at_fault(site.folder)
    found += _records_missing(site.folder, world, power=power)
    return found


async def _blobs(site: Site, world: World) -> AsyncIterator[str]:
    for repo, digest, allowed in world.of(BLOB):
        data = await blob_bytes(site, repo, digest)
        if (data is not None) not in allowed:
            yield f"P1: blob {repo} {digest} is {'there' if data else 'missing'}"
        if data is not None and data != world.content[digest]:
            yield f"P2: blob {repo} {digest} has other bytes"


async def _manifests(site: Site, world: World) -> AsyncIterator[str]:
    for repo, digest, allowed in world.of(MANIFEST):
        body = await manifest_bytes(site, repo, digest)
        if (body is not None) not in allowed:
            yield f"P1: manifest {repo} {digest} is {'there' if body else 'missing'}"
        if body is None:
            continue
        if body != world.content[digest]:
            yield f"P2: manifest {repo} {digest} has other bytes"
        for child in children(body):
            there = await manifest_bytes(site, repo, child) or await blob_bytes(site, repo, child)
            if there != world.content[child]:
                yield f"P3: {child}, which manifest {digest} of {repo} needs, is missing"


async def _tags(site: Site, world: World) -> AsyncIterator[str]:
    for repo, tag, allowed in world.of(TAG):
        digest = await tagged(site, repo, tag)
        if digest not in allowed:
            yield f"P1: tag {repo}:{tag} names {digest}"


async def _uploads(site: Site, world: World) -> AsyncIterator[str]:
    for repo, id_, allowed in world.of(UPLOAD):
        try:
            offset: int | None = (await site.services.uploads.state(site.principal(), repo, id_)).offset
        except (UploadUnknownError, RepositoryUnknownError):
            offset = GONE
        if offset not in allowed:
            yield f"P1: upload {id_} stands at {offset}, not at {sorted(map(str, allowed))}"


async def blob_bytes(site: Site, repo: str, digest: str) -> bytes | None:
    """What a pull of the blob gives."""
    who, pull = site.principal(), site.services.pull
    try:
        content = await pull.content(who, repo, await pull.blob(who, repo, Digest.parse(digest), head=True), None, "")
    except UNKNOWN:
        return None
    assert isinstance(content, Content)
    if content.pieces is not None:
        return b"".join([piece async for piece in content.pieces])
    return bytes(content.data or b"")


async def manifest_bytes(site: Site, repo: str, digest: str) -> bytes | None:
    """What a pull of the manifest gives."""
    try:
        return (await site.services.pull.manifest(site.principal(), repo, digest, head=True)).body
    except UNKNOWN:
        return None


async def tagged(site: Site, repo: str, tag: str) -> str | None:
    """The digest that the tag names."""
    try:
        return (await site.services.pull.manifest(site.principal(), repo, tag, head=True)).digest
    except UNKNOWN:
        return None


def children(body: bytes) -> list[str]:
    """The digests that a manifest names."""
    document = json.loads(body)
    named = [*document.get("manifests", ()), *document.get("layers", ())]
    return [each["digest"] for each in (*named, *filter(None, [document.get("config")]))]


def rows_at_fault(folder: Path) -> list[str]:
    """Rows that say what is not so: ready copies that differ, links to nothing, counters that a recount denies."""
    found = []
    with closing(sqlite3.connect(f"file:{folder / 'entrepot.db'}?mode=rw", uri=True)) as connection:
        if connection.execute("PRAGMA quick_check").fetchall() != [("ok",)]:
            found.append("the database is damaged")
        if wrong := connection.execute("PRAGMA foreign_key_check").fetchall():
            found.append(f"rows without what they refer to: {wrong}")
        for digest, key, size in connection.execute("SELECT digest, key, size FROM blob_copy WHERE state = 'ready'"):
            path = folder / "blobs" / key
            data = path.read_bytes() if path.is_file() else b""
            algorithm, _, hexadecimal = digest.partition(":")
            if len(data) != size or hashlib.new(algorithm, data).hexdigest() != hexadecimal:
                found.append(f"P2: the ready copy {key} is not {digest}")
        lost = connection.execute(
            "SELECT r.repo_id, r.digest FROM repo_blob r WHERE r.hidden_at IS NULL AND NOT EXISTS "
            "(SELECT 1 FROM blob_copy c WHERE c.digest = r.digest AND c.state = 'ready')"
        )
        found += [f"P3: the linked blob {row} has no copy" for row in lost]
        found += _counters_off(connection)
    return found


def _counters_off(connection: sqlite3.Connection) -> Iterable[str]:
    """P6: what a project uses against its distinct linked blobs and its manifests."""
    counted = connection.execute(
        "SELECT p.name, p.quota_used, "
        " (SELECT COALESCE(SUM(size), 0) FROM (SELECT DISTINCT b.digest, b.size FROM repo_blob l "
        "  JOIN repo r ON r.id = l.repo_id JOIN blob b ON b.digest = l.digest WHERE r.project_id = p.id)), "
        " (SELECT COALESCE(SUM(m.size), 0) FROM manifest m JOIN repo r ON r.id = m.repo_id "
        "  WHERE r.project_id = p.id) "
        "FROM project p"
    )
    for name, used, blobs, manifests in counted:
        if used != blobs + manifests:
            yield f"P6: project {name} uses {used}, a recount says {blobs} + {manifests}"


def _records_missing(folder: Path, world: World, *, power: bool) -> Iterable[str]:
    """P4: the record of each answered request is there, once. Pulls are, where the power stayed."""
    with closing(sqlite3.connect(f"file:{folder / 'entrepot.db'}?mode=rw", uri=True)) as connection:
        counts: Mapping[tuple[str, str], int] = {
            (request, action): count
            for request, action, count in connection.execute(
                "SELECT request_id, action, COUNT(*) FROM audit_event GROUP BY request_id, action"
            )
        }
    for kind in (RECORD, LINE):
        for action, request, allowed in world.of(kind):
            count = counts.get((request, action), 0)
            if count not in allowed and not (kind == LINE and power and count == 0):
                yield f"P4: {count} records of {action} {request}"
