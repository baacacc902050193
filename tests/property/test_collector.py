"""Whatever is pushed, deleted, undone and collected in whatever order: nothing reachable goes, counters equal a
recount, and in the end nothing is left. The naive model: a set of manifests that must be there.
"""

import asyncio
import tempfile
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from entrepot.catalog.errors import (
    BlobUnknownError,
    ManifestBlobUnknownError,
    ManifestUnknownError,
    OperationOverError,
    RepositoryUnknownError,
    StillReferencedError,
    UndoImpossibleError,
)
from entrepot.catalog.tables import gc_review, manifest, repo, repo_blob
from entrepot.content.tables import blob_copy
from entrepot.lifecycle.queries import StorageQueries
from entrepot.oci.digest import Digest
from tests.fakes.catalog import DAY, IMAGE, INDEX, Catalog, catalog, image, index
from tests.real.memory import memory
from tests.real.sqlite import new_database

LAYERS: Final = [f"layer{number}".encode() * (number + 1) for number in range(4)]
REFUSED: Final = (
    BlobUnknownError,
    ManifestBlobUnknownError,
    ManifestUnknownError,
    OperationOverError,
    RepositoryUnknownError,
    StillReferencedError,
    UndoImpossibleError,
)
small = st.integers(0, 3)
steps = st.lists(
    st.one_of(
        st.tuples(st.just("push"), small, small, st.booleans()),
        st.tuples(st.just("manifest"), small, small, st.booleans()),
        st.tuples(st.just("index"), small, small, st.booleans()),
        st.tuples(st.just("referrer"), small, small, st.booleans()),
        st.tuples(st.just("delete"), small, small, st.booleans()),
        st.tuples(st.just("delete_blob"), small, small, st.booleans()),
        st.tuples(st.just("delete_tag"), small, small, st.booleans()),
        st.tuples(st.just("delete_repository"), small, small, st.booleans()),
        st.tuples(st.just("undo"), small, small, st.booleans()),
        st.tuples(st.just("wait"), st.integers(1, 200), small, st.booleans()),
    ),
    min_size=4,
    max_size=25,
)


@dataclass(slots=True)
class World:
    """One history: two repositories of a project of its own."""

    shop: Catalog
    project: str
    pushed: list[tuple[str, Digest]] = field(default_factory=list)
    operations: list[str] = field(default_factory=list)
    acknowledged: dict[str, set[str]] = field(default_factory=dict)

    async def step(self, kind: str, first: int, second: int, flag: bool) -> None:  # noqa: C901  a case per kind
        """One thing that a client or time does; a refusal is an answer too."""
        name = f"{self.project}/{'web' if flag else 'api'}"
        must = self.acknowledged.setdefault(name, set())
        layers = sorted({LAYERS[first % len(LAYERS)], LAYERS[second]})
        try:
            match kind:
                case "push":
                    digest = await self.shop.push_image(name, layers, "v1" if first < 2 else None)
                    self._pushed(name, digest)
                case "manifest":
                    config = b'{"layers":"' + b",".join(layers) + b'"}'
                    self._pushed(name, await self.shop.push(name, image(config, layers), IMAGE))
                case "index" if self.pushed:
                    owner, child = self.pushed[first % len(self.pushed)]
                    body = index([(child, len(self.shop.bodies[str(child)]))])
                    self._pushed(owner, await self.shop.push(owner, body, INDEX, "v2" if second < 2 else None))
                case "referrer" if self.pushed:
                    owner, subject = self.pushed[first % len(self.pushed)]
                    self._pushed(owner, await self.shop.push_image(owner, layers, None, subject))
                case "delete" if self.pushed:
                    owner, digest = self.pushed[first % len(self.pushed)]
                    self.operations.append(await self.shop.delete(owner, digest))
                    self.acknowledged[owner] &= await self.shop.live(owner)
                case "delete_blob":
                    self.operations.append(await self.shop.delete_blob(name, Digest.of(LAYERS[first])))
                case "delete_tag":
                    self.operations.append(await self.shop.delete_tag(name, "v1"))
                case "delete_repository":
                    self.operations.append(await self.shop.delete_repository(name))
                    must.clear()
                case "undo" if self.operations:
                    await self.shop.undo(self.operations[first % len(self.operations)])
                case "wait":
                    await self.shop.collect(timedelta(hours=first))
        except REFUSED:
            pass

    async def check(self) -> None:
        """What must hold after each step."""
        assert await self.shop.dangling() == []
        for name, must in self.acknowledged.items():
            # Referrers without a subject are collected by rule; whatever else was acknowledged is there.
            gone = must - await self.shop.live(name)
            assert [digest for digest in gone if b'"subject"' not in self.shop.bodies[digest]] == [], name
            self.acknowledged[name] = must - gone
        used, counted = await self.shop.quota(self.project)
        assert used == counted
        await self.every_file_is_there()

    async def every_file_is_there(self) -> None:
        """Good copies have a file, and no other file is left than those of trashed ones."""
        async with self.shop.database.reading() as connection:
            keys = (await connection.execute(select(blob_copy.c.key))).scalars().all()
        assert [key for key in keys if not self.shop.files.path(key).exists()] == []
        assert self.shop.files_there() == len(keys)
        storage = await StorageQueries(self.shop.database).storage()
        assert storage.physical == storage.live + storage.trash + storage.reclaimable

    async def end(self) -> None:
        """All is deleted, and time passes: nothing is left."""
        for name in list(self.acknowledged):
            await self.step("delete_repository", 0, 0, name.endswith("web"))
        for _ in range(4):
            await self.shop.collect(10 * DAY)
        assert await self.shop.quota(self.project) == (0, 0)
        mine = select(repo.c.id).where(repo.c.delete_op.in_(self.operations)).scalar_subquery()
        async with self.shop.database.reading() as connection:
            for table in (manifest, repo_blob):
                assert (await connection.execute(select(table.c.digest).where(table.c.repo_id.in_(mine)))).all() == []
        assert await self.shop.count(gc_review) == 0
        assert self.shop.files_there() == 0

    def _pushed(self, name: str, digest: Digest) -> None:
        self.pushed.append((name, digest))
        self.acknowledged.setdefault(name, set()).add(str(digest))


async def live_through(history: list[Any]) -> None:
    """One history from an empty catalog to an empty one."""
    with tempfile.TemporaryDirectory(prefix="entrepot-history-", dir=memory()) as folder:
        async with catalog(new_database(Path(folder) / "catalog.db"), Path(folder) / "blobs") as shop:
            world = World(shop, "shop")
            await shop.repository("shop/web")
            for each in history:
                await world.step(*each)
                await world.check()
            await world.end()


# A history takes a third of a second, so this gets a fifth of the examples others do.
@settings(max_examples=max(25, settings().max_examples // 5))
@given(steps)
def test_nothing_reachable_goes_and_in_the_end_nothing_is_left(history: list[Any]) -> None:
    asyncio.run(live_through(history))
