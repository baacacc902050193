"""A site of 2,000 repositories and 100,000 tags, written straight into the tables: the same for the same numbers.

Rows are as pushes leave them (projects, repositories, manifests with real documents and digests, links, references,
tags with history, scans, verdicts, gates, the log), but no bytes of blobs lie in the store: such a site can be looked
at, not pulled from. What people did around them is in `around.py`. One repository has a tenth of all tags, at least
200, the others share the rest; one project has half of the repositories.

    python -m benchmarks.web.seed sqlite:////var/lib/entrepot/entrepot.db --repositories 2000 --tags 100000

The schema and an account must be there: start the server once, and stop it.
"""

import argparse
import hashlib
import json
import random
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, Table, create_engine, func, select

from benchmarks.web.around import BESIDE, Around, write_jobs
from benchmarks.web.images import SETS, facts_key, write_sets
from entrepot.audit.tables import audit_event, last_pull
from entrepot.catalog.tables import manifest, operation, project, ref_blob, repo, repo_blob, tag, tag_history
from entrepot.content.tables import blob, blob_copy
from entrepot.policy.tables import gate, verdict
from entrepot.runtime.natural import natural_key
from entrepot.scanning.analyse import analyser_set
from entrepot.scanning.tables import image_scan

FEWEST_PROJECTS: Final = 50
FEWEST_TAGS: Final = 200
"""So many there are of each at least, so that a page is full on a small site too."""

PART: Final = 5_000
NOW: Final = datetime(2026, 11, 1, tzinfo=UTC)
OCI_MANIFEST: Final = "application/vnd.oci.image.manifest.v1+json"
OCI_CONFIG: Final = "application/vnd.oci.image.config.v1+json"
OCI_LAYER: Final = "application/vnd.oci.image.layer.v1.tar+gzip"
ALPHABET: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("database", help="its URL, as sqlite:////folder/entrepot.db")
    parser.add_argument("--repositories", type=int, default=2_000)
    parser.add_argument("--tags", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--blobs", type=Path, default=None, help="the folder of blobs, to write facts of images to")
    given = parser.parse_args()
    began = time.monotonic()
    counts = seed(given.database, given.repositories, given.tags, given.seed, blobs=given.blobs)
    print(json.dumps(counts | {"seconds": round(time.monotonic() - began, 1)}))


def seed(
    url: str, repositories: int, tags: int, number: int = 1, blobs: Path | None = None, now: datetime | None = None
) -> dict[str, int]:
    """The site in the database at *url*; how many rows each table got.

    blobs: where the server keeps blobs, in a folder; None: no packages are seen of an image. now: the site's last
    moment.
    """
    engine = create_engine(url.replace("postgresql://", "postgresql+psycopg://"))
    with engine.begin() as connection:
        first = (connection.execute(select(func.coalesce(func.max(project.c.id), 0))).scalar_one()) + 1
        first_repo = (connection.execute(select(func.coalesce(func.max(repo.c.id), 0))).scalar_one()) + 1
        sets = write_sets(connection, blobs)
        site = Site(random.Random(number), first, first_repo, repositories, tags, sets, now or NOW)
        counts: dict[str, int] = {}
        pending: dict[Table, list[dict[str, Any]]] = {table: [] for table in ORDER}
        for table, row in site.rows():
            pending[table].append(row)
            if len(pending[table]) == PART:
                _write(connection, pending, counts)
        _write(connection, pending, counts)
        around = Around(random.Random(number), first, repositories, tags, site.now)
        for table, row in around.rows(connection):
            pending[table].append(row)
        _write(connection, pending, counts)
        counts["job"] = write_jobs(connection, tags // 10, site.now)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        if connection.dialect.name == "postgresql":
            connection.exec_driver_sql("VACUUM ANALYZE")  # which the database does by itself within minutes
    engine.dispose()
    return counts


def _write(connection: Connection, pending: dict[Table, list[dict[str, Any]]], counts: dict[str, int]) -> None:
    for table in ORDER:
        if rows := pending[table]:
            connection.execute(table.insert(), rows)
            counts[table.name] = counts.get(table.name, 0) + len(rows)
            pending[table] = []


# What others name comes before them.
ORDER: Final = (
    project,
    repo,
    blob,
    blob_copy,
    repo_blob,
    manifest,
    image_scan,
    ref_blob,
    tag,
    tag_history,
    verdict,
    gate,
    operation,
    audit_event,
    last_pull,
    *BESIDE,
)


@dataclass(slots=True)
class Site:
    """What is written, row by row. first_project, first_repo: the first free row ids; sets: rows of package sets."""

    dice: random.Random
    first_project: int
    first_repo: int
    repositories: int
    tags: int
    sets: list[int]
    now: datetime

    def rows(self) -> Iterator[tuple[Table, dict[str, Any]]]:
        names = [f"team-{number:03d}" for number in range(max(FEWEST_PROJECTS, self.repositories // 10))]
        for number, name in enumerate(names):
            yield (
                project,
                {
                    "id": self.first_project + number,
                    "uid": self._uid(),
                    "name": name,
                    "created_at": self.now - timedelta(days=400),
                    "visibility": "private",
                    "strict_sizes": True,
                    "quota_limit": None,
                    "quota_used": 0,
                },
            )
        largest = max(self.tags // 10, min(self.tags, FEWEST_TAGS))
        shares = [largest, *self._shares(self.tags - largest, self.repositories - 1)]
        for number, share in enumerate(shares):
            owner = 1 + number // 2 % (len(names) - 1) if number % 2 else 0
            yield from self._repository(number, owner, names[owner], share)

    def _shares(self, total: int, parts: int) -> list[int]:
        return [total // parts + (number < total % parts) for number in range(parts)]

    def _repository(
        self, number: int, project_number: int, owner: str, tags: int
    ) -> Iterator[tuple[Table, dict[str, Any]]]:
        id_, name = self.first_repo + number, f"{owner}/service-{number:04d}"
        created = self.now - timedelta(days=self.dice.randrange(1, 390))
        values = {"id": id_, "uid": self._uid(), "project_id": self.first_project + project_number, "name": name}
        yield repo, values | {"created_at": created, "deleted_at": None, "delete_op": None}
        base = self._digest()
        yield from self._blob(id_, base, 30_000_000, created)
        for each in range(tags):
            at = created + (self.now - created) * (each / max(tags, 1))
            yield from self._image(id_, owner, name, base, each, at)
        if self.dice.random() < 0.8:
            yield last_pull, {"repository": name, "at": self.now - timedelta(hours=self.dice.randrange(2_000))}
        if number % 2 == 0:
            yield operation, self._operation(owner, name, created)

    def _image(
        self, id_: int, owner: str, name: str, base: str, number: int, at: datetime
    ) -> Iterator[tuple[Table, dict[str, Any]]]:
        config, layer = self._digest(), self._digest()
        size = self.dice.randrange(10_000, 20_000_000)
        yield from self._blob(id_, config, 2_000, at)
        yield from self._blob(id_, layer, size, at)
        layers = [{"mediaType": OCI_LAYER, "digest": base, "size": 30_000_000}]
        layers.append({"mediaType": OCI_LAYER, "digest": layer, "size": size})
        document = json.dumps(
            {
                "schemaVersion": 2,
                "mediaType": OCI_MANIFEST,
                "config": {"mediaType": OCI_CONFIG, "digest": config, "size": 2_000},
                "layers": layers,
            }
        ).encode()
        digest = f"sha256:{hashlib.sha256(document).hexdigest()}"
        yield blob, {"digest": digest, "size": len(document)}
        yield (
            manifest,
            {
                "repo_id": id_,
                "digest": digest,
                "media_type": OCI_MANIFEST,
                "artifact_type": "",
                "kind": "image",
                "size": len(document),
                "bytes": document,
                "pushed_by": f"{owner}+ci",
                "pushed_at": at,
                "subject_digest": None,
                "deleted_at": None,
                "delete_op": None,
            },
        )
        which = number % SETS
        scan: dict[str, Any] = {
            "digest": digest,
            "status": "complete",
            "reasons": "[]",
            "os": "Debian 12",
            "platform": "linux/amd64",
        }
        scan |= {"waiting": 0, "set_id": self.sets[which], "facts_key": facts_key(which)}
        yield image_scan, scan | {"analyser_set": analyser_set(), "queued_at": at, "finished_at": at}
        for position, (child, kind) in enumerate(((config, "config"), (base, "layer"), (layer, "layer"))):
            values = {"repo_id": id_, "parent": digest, "position": position, "digest": child, "kind": kind}
            yield ref_blob, values
        yield from self._tag(id_, owner, digest, f"{number // 100}.{number // 10 % 10}.{number % 10}", at)
        outcome = self.dice.choice(("pass", "pass", "pass", "warn", "block"))
        text = "" if outcome == "pass" else "CVE-2026-1234 (critical) in openssl 3.0.9, fixed in 3.0.15"
        judged = {"repo_id": id_, "digest": digest, "outcome": outcome}
        yield verdict, judged | {"policy": "baseline", "reasons": "[]", "inputs_hash": "0" * 64, "at": at}
        yield gate, judged | {"text": text}
        yield audit_event, self._event(owner, name, digest, at)

    def _tag(
        self, id_: int, owner: str, digest: str, name: str, at: datetime
    ) -> Iterator[tuple[Table, dict[str, Any]]]:
        is_locked = self.dice.random() < 0.02
        values = {"repo_id": id_, "name": name, "digest": digest, "rev": 1}
        locked = {"locked_at": at if is_locked else None, "locked_by": "admin" if is_locked else None}
        yield tag, values | {"moved_at": at, "natural_key": natural_key(name)} | locked
        yield tag_history, values | {"actor": f"{owner}+ci", "at": at, "op": None}

    def _blob(self, id_: int, digest: str, size: int, at: datetime) -> Iterator[tuple[Table, dict[str, Any]]]:
        yield blob, {"digest": digest, "size": size}
        copy = {"id": self._ulid(at), "digest": digest, "key": digest, "size": size, "state": "ready", "created_at": at}
        yield blob_copy, copy | {"verified_at": at, "purge_after": None}
        yield (
            repo_blob,
            {"repo_id": id_, "digest": digest, "linked_at": at, "hidden_at": None, "leased_until": None, "size": size},
        )

    def _event(self, owner: str, name: str, digest: str, at: datetime) -> dict[str, Any]:
        return {
            "id": self._ulid(at),
            "at": at,
            "actor": f"{owner}+ci",
            "actor_kind": "robot",
            "credential": "",
            "action": "manifest.pushed",
            "project": owner,
            "repository": name,
            "reference": "",
            "digest": digest,
            "outcome": "ok",
            "reason": "",
            "source_ip": "192.0.2.7",
            "user_agent": "podman",
            "request_id": "",
            "detail": "{}",
        }

    def _operation(self, owner: str, name: str, at: datetime) -> dict[str, Any]:
        values = {"id": self._ulid(at), "kind": "tag", "project": owner, "repository": name, "reference": "old"}
        ends = {"undo_until": self.now + timedelta(days=30), "undone_at": None, "undone_by": None, "purged_at": None}
        return values | {"actor": "admin", "at": at} | ends

    def _digest(self) -> str:
        return f"sha256:{self.dice.randbytes(32).hex()}"

    def _uid(self) -> str:
        text = self.dice.randbytes(16).hex()
        return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))

    def _ulid(self, at: datetime) -> str:
        number = (int(at.timestamp() * 1000) << 80) | self.dice.getrandbits(80)
        return "".join(ALPHABET[(number >> shift) & 31] for shift in range(125, -1, -5))


if __name__ == "__main__":
    main()
