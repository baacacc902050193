"""A catalog on a real database and a real folder, driven by the use cases below HTTP: what deletion tests stand on."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Table, func, insert, select

from entrepot.access.authorize import authorize
from entrepot.access.model import Grant, Permission, Principal, Project, Repository, Role
from entrepot.access.scoped import Scoped
from entrepot.access.tables import account
from entrepot.audit.recorder import Recorder
from entrepot.catalog import blobs, manifests, operations, quota, repositories, tags
from entrepot.catalog.operations import Deletion
from entrepot.catalog.tables import gc_review, manifest, project, ref_blob, ref_manifest, repo, repo_blob, tag
from entrepot.content import copies
from entrepot.content.backends.filesystem import FilesystemBlobs
from entrepot.content.model import Stored
from entrepot.content.tables import blob_copy
from entrepot.lifecycle.collect import Collected, Collector
from entrepot.lifecycle.purge import EndTrash
from entrepot.lifecycle.trash import Purge, Undo, Undone
from entrepot.oci.digest import Digest
from entrepot.oci.manifest import Manifest
from entrepot.runtime.database import Database, open_database
from entrepot.runtime.events.model import Actor
from entrepot.runtime.unit_of_work import Unit, Work

DAY: Final = timedelta(days=1)
TRASH: Final = timedelta(days=7)
IMAGE: Final = "application/vnd.oci.image.manifest.v1+json"
INDEX: Final = "application/vnd.oci.image.index.v1+json"
CONFIG: Final = "application/vnd.oci.image.config.v1+json"
LAYER: Final = "application/vnd.oci.image.layer.v1.tar"


@dataclass(slots=True)
class HandClock:
    """A clock moved by hand."""

    at: datetime = datetime(2030, 1, 1, tzinfo=UTC)

    def now(self) -> datetime:
        """Where it was put."""
        return self.at


@dataclass(slots=True)
class Catalog:
    """Projects and repositories, made when first named, and what happens in them as an admin's doing."""

    database: Database
    work: Work
    clock: HandClock
    files: FilesystemBlobs
    actor: Actor
    collector: Collector
    bodies: dict[str, bytes] = field(default_factory=dict)

    @property
    def principal(self) -> Principal:
        """Who does it all."""
        return Principal(self.actor, (Grant(Role.ADMIN, None),))

    # what clients do

    async def repository(self, name: str) -> Scoped[Repository]:
        """The handle of *name* as a request finds it now; id 0 if it is not there. Its project is made."""
        owner = name.partition("/")[0]
        async with self.work(self.actor) as unit:
            row = await unit.fetch_one(select(project.c.id).where(project.c.name == owner))
            if row is None:
                values = {"uid": f"{owner}{self.clock.now()}"[:36], "name": owner, "created_at": self.clock.now()}
                row = await unit.fetch_one(insert(project).values(values).returning(project.c.id))
            assert row is not None
            found = await unit.fetch_one(select(repo.c.id).where(repo.c.name == name))
        place = Repository(found.id if found else 0, name, Project(row.id, owner))
        return authorize(self.principal, Permission.REPO_DELETE, place)

    async def push_blob(self, name: str, data: bytes) -> Digest:
        """The blob *data* is in *name*, as after an upload."""
        digest = Digest.of(data)
        stored = await self._stored(digest, data)
        repository = await self.repository(name)

        async def change(unit: Unit) -> bool:
            now = self.clock.now()
            inside = await repositories.ensure(unit, repository, now)
            kept = await copies.add_copy(unit, stored, now)
            await blobs.link(unit, inside, digest, now)
            return kept

        if not await self.work.run(self.actor, change):
            await self.files.delete([stored.key])
        return digest

    async def push(self, name: str, body: bytes, media_type: str, tag_name: str | None = None) -> Digest:
        """The manifest *body* is in *name*, and *tag_name* names it."""
        return await (await self.ready_to_push(name, body, media_type, tag_name))()

    async def ready_to_push(
        self, name: str, body: bytes, media_type: str, tag_name: str | None = None
    ) -> Callable[[], Awaitable[Digest]]:
        """What pushes the manifest *body*, whose bytes are stored already: all that is left is its transaction."""
        digest, document = Digest.of(body), Manifest.parse(body, media_type)
        stored = await self._stored(digest, body)
        repository = await self.repository(name)

        async def change(unit: Unit) -> bool:
            now = self.clock.now()
            inside = await repositories.ensure(unit, repository, now)
            kept = await copies.add_copy(unit, stored, now)
            await manifests.put(unit, inside, tag_name or str(digest), digest, document, now)
            if tag_name is not None:
                await tags.move(unit, inside, tag_name, digest, now)
            return kept

        async def push() -> Digest:
            try:
                kept = await self.work.run(self.actor, change)
            except Exception:
                await self.files.delete([stored.key])
                raise
            if not kept:
                await self.files.delete([stored.key])
            self.bodies[str(digest)] = body
            return digest

        return push

    async def push_image(
        self, name: str, layers: Sequence[bytes], tag_name: str | None = None, subject: Digest | None = None
    ) -> Digest:
        """An image of *layers*, pushed as a client does: blobs first."""
        config = b'{"layers":"' + b",".join(layers) + b'"}'
        for data in (config, *layers):
            await self.push_blob(name, data)
        return await self.push(name, image(config, layers, subject), IMAGE, tag_name)

    async def push_index(self, name: str, children: Sequence[Digest], tag_name: str | None = None) -> Digest:
        """An index of *children*, which are there."""
        return await self.push(name, index([(each, len(self.bodies[str(each)])) for each in children]), INDEX, tag_name)

    async def delete(self, name: str, digest: Digest) -> str:
        """The operation that deleted a manifest."""
        repository = await self.repository(name)
        return await self.work.run(self.actor, lambda unit: manifests.delete(unit, repository, digest, self.when()))

    async def delete_tag(self, name: str, tag_name: str) -> str:
        """The operation that deleted a tag."""
        repository, when = await self.repository(name), self.when()

        async def change(unit: Unit) -> str:
            where = {"project": repository.resource.project.name, "repository": name}
            op = await operations.begin(unit, operations.Kind.TAG, when, **where, reference=tag_name)
            await tags.delete(unit, repository, tag_name, when.at, op)
            return op

        return await self.work.run(self.actor, change)

    async def delete_blob(self, name: str, digest: Digest) -> str:
        """The operation that hid a blob."""
        repository = await self.repository(name)
        return await self.work.run(self.actor, lambda unit: blobs.hide(unit, repository, digest, self.when()))

    async def delete_repository(self, name: str) -> str:
        """The operation that deleted a repository."""
        repository = await self.repository(name)
        return await self.work.run(self.actor, lambda unit: repositories.delete(unit, repository, self.when()))

    async def delete_project(self, name: str) -> str:
        """The operation that deleted a project."""
        owner = (await self.repository(f"{name}/any")).resource.project
        scoped = authorize(self.principal, Permission.REPO_DELETE, owner)
        return await self.work.run(self.actor, lambda unit: repositories.delete_project(unit, scoped, self.when()))

    async def undo(self, op: str) -> Undone:
        """The operation *op* is undone."""
        return await Undo(self.work, self.clock)(self.principal, op)

    async def collect(self, after: timedelta = timedelta(0)) -> Collected:
        """Everything due *after* from now is collected."""
        self.clock.at += after
        await EndTrash(self.work, self.clock)()
        return await self.collector()

    def when(self) -> Deletion:
        """Now, and for as long as the trash keeps."""
        return Deletion(self.clock.now(), self.clock.now() + TRASH)

    @property
    def purge(self) -> Purge:
        """The use case of two people."""
        return Purge(self.work, self.clock)

    # what is there

    async def live(self, name: str) -> set[str]:
        """Digests of the manifests a pull of *name* finds."""
        question = select(manifest.c.digest).join(repo, repo.c.id == manifest.c.repo_id)
        return await self._texts(question.where(repo.c.name == name, manifest.c.deleted_at.is_(None)))

    async def shown(self, name: str) -> set[str]:
        """Digests of the blobs a pull of *name* finds."""
        question = select(repo_blob.c.digest).join(repo, repo.c.id == repo_blob.c.repo_id)
        return await self._texts(question.where(repo.c.name == name, repo_blob.c.hidden_at.is_(None)))

    async def tags(self, name: str) -> dict[str, str]:
        """The tags of *name*, and the digests they name."""
        question = select(tag.c.name, tag.c.digest).join(repo, repo.c.id == tag.c.repo_id).where(repo.c.name == name)
        async with self.database.reading() as connection:
            return {row.name: row.digest for row in await connection.execute(question)}

    async def copies(self, digest: Digest) -> list[str]:
        """States of the copies of *digest*, oldest first."""
        question = select(blob_copy.c.state).where(blob_copy.c.digest == str(digest)).order_by(blob_copy.c.id)
        async with self.database.reading() as connection:
            return [row.state for row in await connection.execute(question)]

    async def count(self, table: Table) -> int:
        """Rows of *table*."""
        async with self.database.reading() as connection:
            return int((await connection.execute(select(func.count()).select_from(table))).scalar_one())

    async def reviews(self) -> int:
        """Rows of the review queue."""
        return await self.count(gc_review)

    async def quota(self, owner: str) -> tuple[int, int]:
        """What the project *owner* keeps: by its counter, and counted anew."""
        async with self.work(self.actor) as unit:
            row = await unit.fetch_one(select(project.c.id).where(project.c.name == owner))
            assert row is not None
            return (await quota.usage(unit, row.id)).used, await quota.recount(unit, row.id)

    async def dangling(self) -> list[Any]:
        """Live manifests that name a hidden or absent link, a blob without a copy, or a deleted manifest."""
        parent = (manifest.c.repo_id == ref_blob.c.repo_id) & (manifest.c.digest == ref_blob.c.parent)
        link = (repo_blob.c.repo_id == ref_blob.c.repo_id) & (repo_blob.c.digest == ref_blob.c.digest)
        good = (
            select(blob_copy.c.id).where(blob_copy.c.digest == ref_blob.c.digest, blob_copy.c.state == "ready").exists()
        )
        blobs = (
            select(ref_blob.c.repo_id, ref_blob.c.parent, ref_blob.c.digest)
            .join(manifest, parent)
            .outerjoin(repo_blob, link)
            .where(
                manifest.c.deleted_at.is_(None),
                repo_blob.c.digest.is_(None) | repo_blob.c.hidden_at.is_not(None) | ~good,
            )
        )
        child = manifest.alias()
        owner = (manifest.c.repo_id == ref_manifest.c.repo_id) & (manifest.c.digest == ref_manifest.c.parent)
        below = (child.c.repo_id == ref_manifest.c.repo_id) & (child.c.digest == ref_manifest.c.child)
        manifests = (
            select(ref_manifest.c.repo_id, ref_manifest.c.parent, ref_manifest.c.child)
            .join(manifest, owner)
            .outerjoin(child, below)
            .where(manifest.c.deleted_at.is_(None), child.c.digest.is_(None) | child.c.deleted_at.is_not(None))
        )
        # A manifest without its lines would name nothing, and look whole.
        own = (ref_blob.c.repo_id == manifest.c.repo_id) & (ref_blob.c.parent == manifest.c.digest)
        lines = select(func.count()).select_from(ref_blob).where(own)
        bare = select(manifest.c.repo_id, manifest.c.digest, manifest.c.kind).where(
            manifest.c.deleted_at.is_(None),
            manifest.c.kind == "image",
            lines.correlate(manifest).scalar_subquery() == 0,
        )
        async with self.database.reading() as connection:
            return [tuple(row) for each in (blobs, manifests, bare) for row in await connection.execute(each)]

    def files_there(self) -> int:
        """Files of copies in the folder."""
        return sum(1 for path in self.files.root.glob("sha*/*/*") if path.is_file())

    async def _texts(self, question: Any) -> set[str]:
        async with self.database.reading() as connection:
            return {row[0] for row in await connection.execute(question)}

    async def _stored(self, digest: Digest, data: bytes) -> Stored:
        key = self.files.new_key(digest)
        await self.files.put(key, data)
        return Stored(digest, len(data), key)


@asynccontextmanager
async def catalog(url: str, folder: Path, *, pool: int = 10) -> AsyncIterator[Catalog]:
    """An empty catalog on the migrated database *url*, its bytes in *folder*."""
    database, clock = open_database(url, pool), HandClock()
    work = Work(database, clock, (Recorder(clock),))
    files = FilesystemBlobs(folder)
    (folder / "uploads").mkdir(parents=True)
    async with work(Actor("setup", "system")) as unit:
        values = {"uid": "admin", "kind": "person", "name": "admin", "created_at": clock.now()}
        row = await unit.fetch_one(insert(account).values(values).returning(account.c.id))
    assert row is not None
    collector = Collector(work, files, clock, TRASH, timedelta(0), 200)
    try:
        yield Catalog(database, work, clock, files, Actor("admin", "person", row.id), collector)
    finally:
        await database.close()


def image(config: bytes, layers: Sequence[bytes], subject: Digest | None = None) -> bytes:
    """The manifest of an image."""
    document = {
        "schemaVersion": 2,
        "mediaType": IMAGE,
        "config": descriptor(CONFIG, Digest.of(config), len(config)),
        "layers": [descriptor(LAYER, Digest.of(each), len(each)) for each in layers],
    }
    if subject is not None:
        document["subject"] = descriptor(IMAGE, subject, 100)
    return json.dumps(document).encode()


def index(children: Sequence[tuple[Digest, int]]) -> bytes:
    """The index of *children*, each a digest and its size."""
    listed = [descriptor(IMAGE, digest, size) for digest, size in children]
    return json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": listed}).encode()


def descriptor(media_type: str, digest: Digest, size: int) -> dict[str, object]:
    """A descriptor. Spec: OCI image-spec, "Content Descriptors"."""
    return {"mediaType": media_type, "digest": str(digest), "size": size}
