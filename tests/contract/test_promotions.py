"""The contract of promotions, on both databases: all or none, by the verdict of the moment, approved by others."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import delete, insert, select

from entrepot.access.authorize import authorize
from entrepot.access.hot import AccessReads
from entrepot.access.hot_sql import access_statements
from entrepot.access.model import Grant, Permission, Principal, Role
from entrepot.access.tables import account, role_grant
from entrepot.audit.tables import audit_event
from entrepot.catalog.stages import DEFAULT, Move, Pipeline, Stage
from entrepot.catalog.tables import manifest_push
from entrepot.lifecycle import promotions
from entrepot.lifecycle.approve import DecidePromotion
from entrepot.lifecycle.errors import (
    PromotionBlockedError,
    PromotionOverError,
    PromotionRefusedError,
    PromotionUnknownError,
)
from entrepot.lifecycle.model import Promotion, PromotionState
from entrepot.lifecycle.pipelines import SetPipeline
from entrepot.lifecycle.promote import RequestPromotion, Wish
from entrepot.lifecycle.promotion_lists import PromotionLists
from entrepot.lifecycle.promotions import PATIENCE
from entrepot.oci.digest import Digest
from entrepot.policy import store
from entrepot.policy.model import Judgement, Mode, Outcome, Reason
from entrepot.policy.tables import gate
from entrepot.runtime.database_url import Kind, database_path, libpq_url
from entrepot.runtime.events.model import SYSTEM, Actor
from entrepot.runtime.hot_postgres import PostgresReader
from entrepot.runtime.hot_sqlite import SqliteReader
from tests.fakes.catalog import Catalog, catalog

WEB, PROD = "shop/web", "shop/prod/web"
PASS = Judgement(Outcome.PASS)
BLOCK = Judgement(Outcome.BLOCK, (Reason("critical", "CVE-1", "critical", "zlib", "1", "2"),))
TWO = Pipeline(DEFAULT.stages, (Move("development", "production", 2),))


@dataclass(slots=True)
class Shop:
    """A catalog with people, in the project `shop`."""

    catalog: Catalog
    ask: RequestPromotion
    decide: DecidePromotion
    set_pipeline: SetPipeline
    lists: PromotionLists
    people: dict[str, Principal]

    async def image(self, tag: str, judgement: Judgement = PASS) -> Digest:
        digest = await self.catalog.push_image(WEB, [tag.encode()], tag)
        await self.judge(digest, judgement)
        return digest

    async def judge(self, digest: Digest, judgement: Judgement, name: str = WEB) -> None:
        resource = (await self.catalog.repository(name)).resource
        place = store.Place(resource.id, name, "shop", Mode.MONITOR, "image")
        async with self.catalog.work(SYSTEM) as unit:
            await store.put_verdict(unit, place, str(digest), judgement, "baseline", "", self.catalog.clock.now())

    async def pushed(self, digest: Digest, who: str) -> None:
        """*who* pushed the image too."""
        resource = (await self.catalog.repository(WEB)).resource
        values = {"repo_id": resource.id, "digest": str(digest), "account_id": self.people[who].actor.account_id}
        async with self.catalog.work(SYSTEM) as unit:
            await unit.execute(insert(manifest_push).values(values | {"at": self.catalog.clock.now()}))

    async def request(self, *references: str, who: str = "dev") -> str:
        resource = (await self.catalog.repository(WEB)).resource
        source = authorize(self.people[who], Permission.PROMOTION_REQUEST, resource)
        return (await self.ask(source, [Wish(each) for each in references], "production")).id

    async def approve(self, id_: str, who: str) -> Promotion:
        owner = (await self.catalog.repository(WEB)).resource.project
        return await self.decide.approve(authorize(self.people[who], Permission.PROMOTION_APPROVE, owner), id_)

    async def pipeline(self, wanted: Pipeline) -> None:
        owner = (await self.catalog.repository(WEB)).resource.project
        await self.set_pipeline(authorize(self.people["ann"], Permission.PROJECT_EDIT, owner), wanted)

    async def state(self, id_: str) -> tuple[PromotionState, int]:
        """Its state, and how many approvals it has."""
        _, found = await self.lists.one(id_)
        return found.state, len(found.approvals)

    async def in_production(self) -> tuple[set[str], dict[str, str]]:
        return await self.catalog.live(PROD), await self.catalog.tags(PROD)

    async def actions(self) -> list[str]:
        async with self.catalog.database.reading() as connection:
            rows = await connection.execute(select(audit_event.c.action).order_by(audit_event.c.id))
            return [row.action for row in rows if row.action.startswith("promotion.")]


@pytest.fixture
async def shop(url: str, tmp_path: Path) -> AsyncIterator[Shop]:
    """An empty shop on each database."""
    async with catalog(url, tmp_path / "blobs") as made:
        kind = made.database.kind
        hot = SqliteReader(database_path(url)) if kind is Kind.SQLITE else PostgresReader(libpq_url(url), 4)
        await hot.open()
        work, clock = made.work, made.clock
        decide = DecidePromotion(work, clock, AccessReads(hot, access_statements(kind)))
        owner = (await made.repository(WEB)).resource.project
        people: dict[str, Principal] = {}
        async with work(SYSTEM) as unit:
            for name, role in (("dev", Role.DEVELOPER), ("ann", Role.ADMIN), ("bob", Role.ADMIN)):
                values = {"uid": name, "kind": "person", "name": name, "created_at": clock.now()}
                row = await unit.fetch_one(insert(account).values(values).returning(account.c.id))
                assert row is not None
                await unit.execute(insert(role_grant).values(account_id=row.id, role=role.value, project_id=owner.id))
                people[name] = Principal(Actor(name, "person", int(row.id)), (Grant(role, owner.id),))
        lists = PromotionLists(made.database, clock)
        yield Shop(made, RequestPromotion(work, clock), decide, SetPipeline(work), lists, people)
        await hot.close()


async def test_whether_somebody_could_approve_is_told_while_somebody_else_writes(shop: Shop) -> None:
    digest = await shop.image("1.0")
    id_ = await shop.request("1.0", who="ann")
    owner = (await shop.catalog.repository(WEB)).resource.project
    ann, bob = (authorize(shop.people[each], Permission.PROMOTION_APPROVE, owner) for each in ("ann", "bob"))
    async with asyncio.timeout(5), shop.catalog.work(SYSTEM) as unit:
        await promotions.one(unit, id_, lock=True)
        with pytest.raises(PromotionRefusedError, match="another person"):
            await shop.decide.check_approver(ann, id_)
        await shop.decide.check_approver(bob, id_)
    await shop.pushed(digest, "bob")

    with pytest.raises(PromotionRefusedError, match="you pushed"):
        await shop.decide.check_approver(bob, id_)
    with pytest.raises(PromotionUnknownError):
        await shop.decide.check_approver(bob, "none")


async def test_a_rejection_is_rehearsed(shop: Shop) -> None:
    await shop.image("1.0")
    id_ = await shop.request("1.0")
    owner = (await shop.catalog.repository(WEB)).resource.project
    ann = authorize(shop.people["ann"], Permission.PROMOTION_APPROVE, owner)
    before = await shop.actions()
    foreseen = await shop.decide.rehearse_rejection(ann, id_)
    after = (await shop.actions(), (await shop.lists.one(id_))[1].state)
    await shop.decide.reject(ann, id_, "not now")

    assert foreseen.state is PromotionState.REJECTED
    assert after == (before, PromotionState.WAITING)
    with pytest.raises(PromotionOverError, match="rejected already"):
        await shop.decide.rehearse_rejection(ann, id_)


async def test_a_verdict_that_changed_for_one_of_several_moves_none_and_voids_the_approval(shop: Shop) -> None:
    digests = [await shop.image("one"), await shop.image("two")]
    # Whichever of them is looked at first, the other one is moved by then if anything is.
    for blocked in digests:
        id_ = await shop.request("one", "two")
        await shop.judge(blocked, BLOCK)

        with pytest.raises(PromotionBlockedError, match="CVE-1"):
            await shop.approve(id_, "ann")

        assert await shop.in_production() == (set(), {})
        assert await shop.state(id_) == (PromotionState.WAITING, 0)
        assert (await shop.catalog.repository(PROD)).resource.id == 0
        await shop.judge(blocked, PASS)
    assert (await shop.approve(id_, "bob")).state is PromotionState.EXECUTED
    assert await shop.in_production() == (
        {str(each) for each in digests},
        {"one": str(digests[0]), "two": str(digests[1])},
    )


@pytest.mark.parametrize("outcome", [Outcome.PENDING, Outcome.ERROR, Outcome.BLOCK])
async def test_what_is_not_known_to_be_good_is_not_promoted(shop: Shop, outcome: Outcome) -> None:
    await shop.image("one", Judgement(outcome, (Reason("scan", text="unseen"),)))

    with pytest.raises(PromotionBlockedError):
        await shop.request("one")
    assert await shop.actions() == []


async def test_two_approvals_are_of_two_people_and_each_has_the_right_at_the_end(shop: Shop) -> None:
    await shop.image("one")
    await shop.pipeline(TWO)
    id_ = await shop.request("one")
    assert (await shop.approve(id_, "ann")).state is PromotionState.WAITING
    assert (await shop.approve(id_, "ann")).state is PromotionState.WAITING
    async with shop.catalog.work(SYSTEM) as unit:
        own = role_grant.c.account_id == shop.people["ann"].actor.account_id
        await unit.execute(delete(role_grant).where(own))

    assert (await shop.approve(id_, "bob")).state is PromotionState.WAITING
    assert await shop.state(id_) == (PromotionState.WAITING, 1)
    assert await shop.in_production() == (set(), {})


async def test_a_stricter_pipeline_counts_for_what_waits_already(shop: Shop) -> None:
    await shop.image("one")
    id_ = await shop.request("one")
    await shop.pipeline(TWO)

    assert (await shop.approve(id_, "ann")).state is PromotionState.WAITING
    assert (await shop.approve(id_, "bob")).state is PromotionState.EXECUTED


async def test_a_stage_that_is_gone_gets_nothing(shop: Shop) -> None:
    await shop.image("one")
    id_ = await shop.request("one")
    live = Stage("production", "live/{repository}")
    await shop.pipeline(Pipeline((DEFAULT.stages[0], live), DEFAULT.moves))

    with pytest.raises(PromotionOverError, match="ask again"):
        await shop.approve(id_, "ann")
    assert await shop.in_production() == (set(), {})


async def test_after_fourteen_days_nobody_approves_it(shop: Shop) -> None:
    await shop.image("one")
    id_ = await shop.request("one")
    shop.catalog.clock.at += PATIENCE

    with pytest.raises(PromotionOverError, match="in time"):
        await shop.approve(id_, "ann")
    assert (await shop.state(id_))[0] is PromotionState.EXPIRED


async def test_who_pushed_it_approves_no_later_stage_and_no_way_back(shop: Shop) -> None:
    """Where it was promoted to nobody pushed it: that must not make anybody of another person."""
    stages = (DEFAULT.stages[0], Stage("staging", "staging/{repository}"), DEFAULT.stages[1])
    await shop.pipeline(Pipeline(stages, (Move("development", "staging", 0), Move("staging", "production"))))
    first = await shop.image("one")
    second = await shop.image("two")
    shop.catalog.clock.at += timedelta(seconds=1)
    for digest in (first, second):
        await shop.pushed(digest, "ann")

    async def ask(repository: str, wish: Wish, stage: str) -> str:
        resource = (await shop.catalog.repository(repository)).resource
        source = authorize(shop.people["dev"], Permission.PROMOTION_REQUEST, resource)
        return (await shop.ask(source, [wish], stage)).id

    for digest in (first, second):
        await ask(WEB, Wish(str(digest), ("v",)), "staging")
        id_ = await ask("shop/staging/web", Wish("v"), "production")
        with pytest.raises(PromotionRefusedError, match="you pushed"):
            await shop.approve(id_, "ann")
        await shop.approve(id_, "bob")
    target = authorize(shop.people["dev"], Permission.PROMOTION_REQUEST, (await shop.catalog.repository(PROD)).resource)
    back = (await shop.ask.roll_back(target, "v")).id

    with pytest.raises(PromotionRefusedError, match="you pushed"):
        await shop.approve(back, "ann")
    await shop.approve(back, "bob")
    assert await shop.catalog.tags(PROD) == {"v": str(first)}


async def test_each_step_is_on_record(shop: Shop) -> None:
    digest = await shop.image("one")
    id_ = await shop.request("one")
    await shop.judge(digest, BLOCK)
    with pytest.raises(PromotionBlockedError):
        await shop.approve(id_, "ann")
    await shop.judge(digest, PASS)
    await shop.approve(id_, "ann")

    assert await shop.actions() == [
        "promotion.requested",
        "promotion.approved",
        "promotion.held",
        "promotion.approved",
        "promotion.executed",
    ]


async def test_what_is_promoted_stays_when_its_source_is_deleted_and_purged(shop: Shop) -> None:
    digest = await shop.image("one")
    await shop.approve(await shop.request("one"), "ann")
    await shop.catalog.delete(WEB, digest)
    shop.catalog.clock.at += PATIENCE * 4
    await shop.catalog.collect()

    assert await shop.in_production() == ({str(digest)}, {"one": str(digest)})


async def test_a_digest_that_lost_its_tag_stays_until_somebody_deletes_it(shop: Shop) -> None:
    first, second = await shop.image("one"), await shop.image("two")
    for digest in (first, second):
        source = authorize(
            shop.people["dev"], Permission.PROMOTION_REQUEST, (await shop.catalog.repository(WEB)).resource
        )
        await shop.approve((await shop.ask(source, [Wish(str(digest), ("v",))], "production")).id, "ann")
    await shop.catalog.collect(after=PATIENCE * 4)
    later = await shop.in_production()
    await shop.catalog.delete(PROD, first)
    await shop.catalog.collect(after=PATIENCE * 4)

    assert later == ({str(first), str(second)}, {"v": str(second)})
    assert await shop.in_production() == ({str(second)}, {"v": str(second)})


@pytest.mark.parametrize("what", ["tag", "manifest"])
async def test_an_undo_brings_nothing_back_into_a_stage_that_could_not_be_promoted_now(shop: Shop, what: str) -> None:
    digest = await shop.image("one")
    await shop.approve(await shop.request("one"), "ann")
    deletions = {
        name: await (shop.catalog.delete_tag(name, "one") if what == "tag" else shop.catalog.delete(name, digest))
        for name in (PROD, WEB)
    }
    before = await shop.in_production()
    for name in (PROD, WEB):
        await shop.judge(digest, BLOCK, name)
    await shop.catalog.undo(deletions[WEB])
    with pytest.raises(PromotionBlockedError, match="CVE-1"):
        await shop.catalog.undo(deletions[PROD])
    after = await shop.in_production()
    await shop.judge(digest, PASS, PROD)
    await shop.catalog.undo(deletions[PROD])

    assert await shop.catalog.tags(WEB) == {"one": str(digest)}
    assert before == after == ({str(digest)} if what == "tag" else set(), {})
    assert await shop.in_production() == ({str(digest)}, {"one": str(digest)})


async def test_the_gates_follow_the_pipeline_of_the_moment(shop: Shop) -> None:
    digest = await shop.image("one", BLOCK)
    live = Stage("live", "web/{repository}")

    async def gates() -> list[str]:
        async with shop.catalog.database.reading() as connection:
            rows = await connection.execute(select(gate.c.outcome).where(gate.c.digest == str(digest)))
            return [row.outcome for row in rows]

    await shop.catalog.push_image("shop/web/api", [b"one"], "one")
    for name in (WEB, "shop/web/api"):
        resource = (await shop.catalog.repository(name)).resource
        async with shop.catalog.work(SYSTEM) as unit:
            place = store.Place(resource.id, name, "shop", Mode.MONITOR, "image")
            await store.put_verdict(unit, place, str(digest), BLOCK, "baseline", "", shop.catalog.clock.now())
            await store.put_gate(unit, resource.id, str(digest), Outcome.PASS, "")
    await shop.pipeline(Pipeline((DEFAULT.stages[0], live), (Move("development", "live"),)))
    strict = sorted(await gates())
    await shop.pipeline(DEFAULT)

    assert strict == ["block", "pass"]
    assert await gates() == ["pass", "pass"]
