"""Lists that grow with a site, on both databases: their order is the one of memory, and an index is what gives it."""

import random
from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, Final, Self

import pytest
from sqlalchemy import event, insert, text

from entrepot.access.authorize import authorize
from entrepot.access.model import Grant, Permission, Principal, Repository, Role, Site
from entrepot.access.scoped import Scoped
from entrepot.audit.queries import EVENTS, AuditFilter, SearchAudit
from entrepot.catalog.lists import TAGS, CatalogLists
from entrepot.catalog.queries import CatalogQueries, TagRow
from entrepot.catalog.tables import tag
from entrepot.lifecycle.lists import REPOSITORIES, RepositoryLists
from entrepot.lifecycle.queries import StorageQueries
from entrepot.policy import store
from entrepot.policy.model import Judgement, Mode, Outcome, Reason
from entrepot.policy.queries import BINDINGS, Binding, PolicyQueries
from entrepot.runtime.database import Database
from entrepot.runtime.database_url import Kind
from entrepot.runtime.events.model import SYSTEM
from entrepot.runtime.natural import natural_key
from tests.fakes.catalog import Catalog, catalog

WEB: Final = "shop/web"
BLOCK: Final = Judgement(Outcome.BLOCK, (Reason("critical", "CVE-1", "critical", "zlib", "1", "2"),))
LETTERS: Final = "0123456789aAbBzZ._-"
PLACES: Final = {
    "natural": ("ix_tag_repo_id_natural_key_name",),
    "-natural": ("ix_tag_repo_id_natural_key_name",),
    "-moved_at": ("ix_tag_repo_id_moved_at",),
    "name": ("sqlite_autoindex_tag_1", "pk_tag"),
}
"""Orders of tags, and the indexes that may give each."""


@pytest.fixture
async def shop(url: str, tmp_path: Path) -> AsyncIterator[Catalog]:
    """A catalog with one image, tagged `1.0`."""
    async with catalog(url, tmp_path / "blobs") as made:
        await made.push_image(WEB, [b"layer"], "1.0")
        yield made


def some_names(count: int) -> list[str]:
    """Names of tags whose order depends on numbers, zeros before them, and on upper and lower case."""
    dice = random.Random(8)  # noqa: S311  names, no secrets
    found = {"v1", "v01", "v001", "V1", "v1.9", "v1.10", "v1.10-rc2", "v1.10-rc10", "1" * 128, "0", "00", "a_b", "a-b"}
    while len(found) < count:
        found.add("x" + "".join(dice.choices(LETTERS, k=dice.randrange(8))))
    return sorted(found)


async def tag_all(shop: Catalog, names: Sequence[str]) -> Scoped[Repository]:
    """The repository, with *names* beside `1.0` for the same image."""
    repository = await shop.repository(WEB)
    digest = str(await shop.push_image(WEB, [b"layer"]))
    values = {"repo_id": repository.resource.id, "digest": digest, "rev": 1, "moved_at": shop.clock.now()}
    rows = [values | {"name": name, "natural_key": natural_key(name)} for name in names]
    async with shop.work(SYSTEM) as unit:
        await unit.execute(insert(tag), rows)
    return repository


async def walk(lists: CatalogLists, repository: Scoped[Repository], sort: str, shop: Catalog) -> list[TagRow]:
    """Every tag, page after page."""
    found, after = list[TagRow](), ""
    while True:
        part = await lists.tags(repository, TAGS.wanted(shop.clock.now(), sort=sort, after=after, limit=40))
        found += part.items
        if part.next is None:
            return found
        after = part.next


async def test_tags_come_in_natural_order_page_after_page(shop: Catalog) -> None:
    names = some_names(200)
    repository = await tag_all(shop, names)
    lists = CatalogLists(shop.database)
    wanted = sorted([*names, "1.0"], key=lambda name: (natural_key(name), name))

    assert [row.name for row in await walk(lists, repository, "natural", shop)] == wanted
    assert [row.name for row in await walk(lists, repository, "-natural", shop)] == wanted[::-1]


async def test_an_index_gives_a_page_of_tags(shop: Catalog) -> None:
    repository = await tag_all(shop, some_names(60))
    lists = CatalogLists(shop.database)
    for sort, places in PLACES.items():
        first = await lists.tags(repository, TAGS.wanted(shop.clock.now(), sort=sort, limit=10))
        assert first.next is not None
        with Asked(shop.database) as asked:
            await lists.tags(repository, TAGS.wanted(shop.clock.now(), sort=sort, after=first.next, limit=10))
        plan = await asked.plan()

        assert any(place in plan for place in places), plan
        assert not sorts(plan), plan


async def test_an_index_gives_the_tags_of_a_digest(shop: Catalog) -> None:
    repository = await tag_all(shop, some_names(60))
    with Asked(shop.database) as asked:
        await CatalogQueries(shop.database).artifact(repository, "1.0")
    plan = await asked.plan("SELECT tag.name")

    assert "ix_tag_repo_id_digest_name" in plan
    assert not sorts(plan), plan


async def test_what_is_refused_is_told_from_an_index_the_newest_first(shop: Catalog) -> None:
    digests = [str(await shop.push_image(WEB, [b"%d" % number], f"v{number}")) for number in range(4)]
    untagged = str(await shop.push_image(WEB, [b"untagged"]))
    place = store.Place((await shop.repository(WEB)).resource.id, WEB, "shop", Mode.MONITOR, "image")
    for digest, judgement in zip(
        [*digests, untagged], (BLOCK, Judgement(Outcome.PASS), BLOCK, BLOCK, BLOCK), strict=True
    ):
        shop.clock.at += timedelta(seconds=1)
        async with shop.work(SYSTEM) as unit:
            await store.put_verdict(unit, place, digest, judgement, "baseline", "", shop.clock.now())
    policy = PolicyQueries(shop.database)
    with Asked(shop.database) as asked:
        found = await policy.blocked(None, 2)
    plan = await asked.plan()

    assert [row.digest for row in found] == [digests[3], digests[2]]
    assert "ix_verdict_refused" in plan
    assert not sorts(plan), plan


@pytest.mark.parametrize(
    ("where", "is_by_action"),
    [
        ("action=tag.moved", True),
        ("actor!=ci and action=tag.moved", True),
        ("repository~web and action=tag.moved", True),
        ("repository=shop/web and action=tag.moved", False),
        ("digest=sha256:ab and action=tag.moved and outcome=ok", False),
    ],
)
async def test_the_log_is_searched_by_its_actions_only_where_no_narrower_index_is(
    shop: Catalog, where: str, is_by_action: bool
) -> None:
    site = authorize(Principal(SYSTEM, (Grant(Role.ADMIN, None),)), Permission.AUDIT_READ, Site())
    nothing = AuditFilter()
    with Asked(shop.database) as asked:
        await SearchAudit(shop.database).page(site, nothing, EVENTS.wanted(shop.clock.now(), where=where))
    plan = await asked.plan()

    if shop.database.kind is Kind.SQLITE:  # the other one counts how many there are, and chooses by that
        assert ("ix_audit_event_action_id" in plan) == is_by_action, plan
        assert "SCAN audit_event" not in plan.replace("SCAN audit_event USING INDEX", "")


async def test_sizes_are_summed_up_from_an_index_alone(shop: Catalog) -> None:
    await shop.push_image(WEB, [b"another layer"], "2.0")
    share = await StorageQueries(shop.database).repository(await shop.repository(WEB))
    wanted = REPOSITORIES.wanted(shop.clock.now())
    with Asked(shop.database) as asked:
        part = await RepositoryLists(shop.database)(None, wanted, sizes=True)

    assert [row.size for row in part.items] == [share.exclusive + share.shared]
    indexes = ("repo_blob", "ix_repo_blob_repo_id_size"), ("manifest", "ix_manifest_repo_id_pushed_at_size")
    plans = [(index, await asked.plan(f"SELECT {question}.repo_id, sum")) for question, index in indexes]

    assert [index for index, plan in plans if not reads_alone(index, plan)] == []


async def test_projects_are_listed_by_how_they_are_bound(shop: Catalog) -> None:
    for name in ("a", "b", "c"):
        await shop.repository(f"{name}/web")
    owner = (await shop.repository("b/web")).resource.project
    async with shop.work(SYSTEM) as unit:
        await store.put_mode(unit, owner.id, Mode.ENFORCE, None, shop.clock.now())
    policy = PolicyQueries(shop.database)
    only = await policy.bindings([owner.id], BINDINGS.wanted(shop.clock.now(), where="mode=enforce", total=True))
    modes = {"a": "monitor", "b": "enforce", "c": "monitor", "shop": "monitor"}

    assert (only.items, only.total) == ([Binding("b", "baseline", "enforce", "")], 1)
    for sort in (order for name in BINDINGS.sorts for order in (name, f"-{name}")):
        found, after = list[Binding](), ""
        while True:
            part = await policy.bindings(None, BINDINGS.wanted(shop.clock.now(), sort=sort, after=after, limit=1))
            found += part.items
            if part.next is None:
                break
            after = part.next
        values = [getattr(row, sort.removeprefix("-")) for row in found]
        assert {row.project: row.mode for row in found} == modes
        assert values == sorted(values, reverse=sort.startswith("-"))


class Asked:
    """The questions that *database* is asked meanwhile."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.questions: list[tuple[str, Any]] = []

    def __enter__(self) -> Self:
        event.listen(self.database.reader.sync_engine, "before_cursor_execute", self._hear)
        return self

    def __exit__(self, *_: object) -> None:
        event.remove(self.database.reader.sync_engine, "before_cursor_execute", self._hear)

    def _hear(self, _connection: Any, _cursor: Any, statement: str, values: Any, *_: Any) -> None:
        if statement.startswith("SELECT"):
            self.questions.append((statement, values))

    async def plan(self, begins: str = "SELECT") -> str:
        """How the database answers the last question that *begins* so, if no table is too small for an index."""
        statement, values = next(each for each in reversed(self.questions) if each[0].startswith(begins))
        is_sqlite = self.database.kind is Kind.SQLITE
        async with self.database.reading() as connection:
            if not is_sqlite:
                for way in ("seqscan", "bitmapscan", "sort"):
                    await connection.execute(text(f"SET LOCAL enable_{way} = off"))
            explain = "EXPLAIN QUERY PLAN" if is_sqlite else "EXPLAIN"
            rows = (await connection.exec_driver_sql(f"{explain} {statement}", values)).all()
        return "\n".join(str(row[-1]) for row in rows)


def reads_alone(index: str, plan: str) -> bool:
    """Whether *index* is asked and no row of its table."""
    return any(
        f"{said} {index} " in f"{plan} ".replace("\n", " ") for said in ("COVERING INDEX", "Index Only Scan using")
    )


def sorts(plan: str) -> bool:
    """Whether all that matches is sorted, not only what an index leaves in no order."""
    lines = [line.strip(" ->") for line in plan.splitlines()]
    return any(line.startswith(("Sort  (", "USE TEMP B-TREE FOR ORDER BY")) for line in lines)
