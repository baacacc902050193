"""Tags on SQLite: each move has its own rev, its line of history and its event."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from sqlalchemy import insert, select

from entrepot.access.authorize import authorize
from entrepot.access.model import Grant, Permission, Principal, Project, Repository, Role
from entrepot.access.scoped import Scoped
from entrepot.catalog import tags
from entrepot.catalog.errors import ManifestUnknownError
from entrepot.catalog.model import TagDeleted, TagMoved
from entrepot.catalog.tables import manifest, project, repo, tag, tag_history
from entrepot.clock import FixedClock
from entrepot.content.tables import blob
from entrepot.oci.digest import Digest
from entrepot.runtime.database import open_database
from entrepot.runtime.events.model import Actor, Event
from entrepot.runtime.unit_of_work import Unit, Work
from tests.real.sqlite import new_database

NOW = FixedClock().now()
BY = Actor("shop+ci", "robot", None)
PRINCIPAL = Principal(BY, (Grant(Role.ADMIN, None),))
A, B = Digest.of(b"a"), Digest.of(b"b")


@dataclass
class Told:
    """Hears events as the audit recorder does."""

    events: list[Event] = field(default_factory=list)

    async def __call__(self, unit: Unit, event: Event) -> None:
        assert unit.by is BY
        self.events.append(event)


@dataclass
class Place:
    """A repository with the manifests A and B, and what was told of it."""

    work: Work
    told: Told
    repository: Scoped[Repository]

    async def move(self, name: str, digest: Digest) -> int:
        async with self.work(BY) as unit:
            return await tags.move(unit, self.repository, name, digest, NOW)

    async def delete(self, name: str) -> None:
        async with self.work(BY) as unit:
            await tags.delete(unit, self.repository, name, NOW)

    async def rows(self) -> list[tuple[str, str, int]]:
        async with self.work.database.reading() as connection:
            found = await connection.execute(select(tag.c.name, tag.c.digest, tag.c.rev).order_by(tag.c.name))
            return [(row.name, row.digest, row.rev) for row in found]

    async def history(self) -> list[tuple[int, str | None, str]]:
        columns = (tag_history.c.rev, tag_history.c.digest, tag_history.c.actor)
        async with self.work.database.reading() as connection:
            found = await connection.execute(select(*columns).order_by(tag_history.c.rev))
            return [(row.rev, row.digest, row.actor) for row in found]


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    database, told = open_database(new_database(tmp_path / "db")), Told()
    work = Work(database, FixedClock(), (told,))
    async with work(BY) as unit:
        await unit.execute(insert(project).values(id=1, uid="p", name="shop", created_at=NOW))
        await unit.execute(insert(repo).values(id=1, uid="r", project_id=1, name="shop/web", created_at=NOW))
        for digest in (A, B):
            await unit.execute(insert(blob).values(digest=str(digest), size=2))
            await unit.execute(
                insert(manifest).values(
                    repo_id=1, digest=str(digest), media_type="m", artifact_type="", kind="image", size=2, bytes=b"{}",
                    pushed_by="x", pushed_at=NOW,
                )
            )  # fmt: skip
    resource = Repository(1, "shop/web", Project(1, "shop"))
    yield Place(work, told, authorize(PRINCIPAL, Permission.REPO_PUSH, resource))
    await database.close()


async def test_a_new_tag_has_rev_1(place: Place) -> None:
    assert await place.move("v1", A) == 1

    assert await place.rows() == [("v1", str(A), 1)]
    assert await place.history() == [(1, str(A), "shop+ci")]
    (event,) = place.told.events
    assert event == TagMoved(project="shop", repository="shop/web", reference="v1", digest=str(A), before="", rev=1)


async def test_each_move_counts_on_and_says_what_was_before(place: Place) -> None:
    assert [await place.move("v1", digest) for digest in (A, B, A)] == [1, 2, 3]

    assert await place.rows() == [("v1", str(A), 3)]
    assert await place.history() == [(1, str(A), "shop+ci"), (2, str(B), "shop+ci"), (3, str(A), "shop+ci")]
    assert [getattr(event, "before", None) for event in place.told.events] == ["", str(A), str(B)]


async def test_a_tag_that_names_it_already_does_not_move(place: Place) -> None:
    assert [await place.move("v1", A) for _ in range(3)] == [1, 1, 1]

    assert len(await place.history()) == 1
    assert len(place.told.events) == 1


async def test_a_rev_never_names_two_moves_also_through_deletion(place: Place) -> None:
    await place.move("v1", A)
    await place.delete("v1")

    assert await place.move("v1", B) == 3
    assert await place.history() == [(1, str(A), "shop+ci"), (2, None, "shop+ci"), (3, str(B), "shop+ci")]
    assert place.told.events[1] == TagDeleted(project="shop", repository="shop/web", reference="v1", digest=str(A))


async def test_tags_count_apart(place: Place) -> None:
    await place.move("v1", A)
    await place.move("v1", B)

    assert await place.move("v2", B) == 1


async def test_what_is_not_there_can_t_be_deleted(place: Place) -> None:
    with pytest.raises(ManifestUnknownError):
        await place.delete("none")

    assert place.told.events == []


async def test_a_tag_of_another_repository_is_not_touched(place: Place) -> None:
    await place.move("v1", A)
    elsewhere = Repository(2, "shop/other", Project(1, "shop"))
    other = replace(place, repository=authorize(PRINCIPAL, Permission.REPO_PUSH, elsewhere))

    with pytest.raises(ManifestUnknownError):
        await other.delete("v1")

    assert await place.rows() == [("v1", str(A), 1)]


async def test_all_tags_of_a_manifest_go_with_it(place: Place) -> None:
    for name in ("v1", "v2"):
        await place.move(name, A)
    await place.move("other", B)

    async with place.work(BY) as unit:
        names = await tags.forget_all(unit, place.repository, A, NOW)

    assert sorted(names) == ["v1", "v2"]
    assert await place.rows() == [("other", str(B), 1)]


async def test_a_move_that_is_rolled_back_never_was(place: Place) -> None:
    with pytest.raises(ManifestUnknownError):
        await _move_and_fail(place)

    assert await place.rows() == []
    assert await place.history() == []
    assert await place.move("v1", B) == 1


async def _move_and_fail(place: Place) -> None:
    async with place.work(BY) as unit:
        await tags.move(unit, place.repository, "v1", A, NOW)
        await tags.delete(unit, place.repository, "none", NOW)
