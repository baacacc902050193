"""The contract of deleting, undoing, purging and collecting, on both databases: what others need stays, what was
deleted comes back whole or not at all, and what nothing holds goes, its bytes last.
"""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select

from entrepot.access.authorize import authorize
from entrepot.access.model import Permission, Site
from entrepot.audit.tables import audit_event
from entrepot.catalog import repositories
from entrepot.catalog.errors import (
    BlobUnknownError,
    ManifestBlobUnknownError,
    ManifestUnknownError,
    OperationOverError,
    OperationUnknownError,
    StillReferencedError,
    UndoImpossibleError,
)
from entrepot.catalog.tables import gc_review, manifest, repo_blob, tag_history
from entrepot.content import copies
from entrepot.content.backends.filesystem import FilesystemBlobs
from entrepot.content.errors import StorageUnavailableError
from entrepot.content.tables import blob, blob_copy
from entrepot.lifecycle.collect import Collected
from entrepot.lifecycle.trash import Undo
from entrepot.oci.digest import Digest
from entrepot.runtime.events.model import Actor
from entrepot.runtime.jobs.model import LIFECYCLE
from tests.fakes.catalog import DAY, IMAGE, TRASH, Catalog, catalog, image

WEB = "shop/web"
FALLBACK = "sha256-" + "0" * 64


@pytest.fixture
async def shop(url: str, tmp_path: Path) -> AsyncIterator[Catalog]:
    """An empty catalog on each database."""
    async with catalog(url, tmp_path / "blobs") as made:
        yield made


# deleting


async def test_a_deleted_manifest_is_gone_with_its_tags_and_comes_back_with_them(shop: Catalog) -> None:
    digest = await shop.push_image(WEB, [b"layer"], "v1")
    op = await shop.delete(WEB, digest)
    gone = (await shop.live(WEB), await shop.tags(WEB))
    undone = await shop.undo(op)

    assert gone == (set(), {})
    assert (undone.manifests, undone.tags, undone.taken) == (1, ("v1",), ())
    assert (await shop.live(WEB), await shop.tags(WEB)) == ({str(digest)}, {"v1": str(digest)})


async def test_an_undone_tag_has_a_new_rev(shop: Catalog) -> None:
    digest = await shop.push_image(WEB, [b"layer"], "v1")
    await shop.undo(await shop.delete_tag(WEB, "v1"))

    async with shop.database.reading() as connection:
        rows = await connection.execute(select(tag_history.c.rev, tag_history.c.digest).order_by(tag_history.c.rev))
        assert [tuple(row) for row in rows] == [(1, str(digest)), (2, None), (3, str(digest))]


async def test_a_manifest_goes_and_comes_back_with_its_referrers_at_any_depth(shop: Catalog) -> None:
    subject = await shop.push_image(WEB, [b"layer"])
    signature = await shop.push_image(WEB, [b"signature"], "signed", subject)
    of_it = await shop.push_image(WEB, [b"timestamp"], None, signature)
    other = await shop.push_image(WEB, [b"other"])
    op = await shop.delete(WEB, subject)
    left = await shop.live(WEB)
    await shop.undo(op)

    assert left == {str(other)}
    assert await shop.live(WEB) == {str(subject), str(signature), str(of_it), str(other)}
    assert await shop.tags(WEB) == {"signed": str(signature)}


async def test_a_referrer_that_an_index_holds_stays_and_so_do_its_own(shop: Catalog) -> None:
    subject = await shop.push_image(WEB, [b"layer"])
    held = await shop.push_image(WEB, [b"held"], None, subject)
    of_it = await shop.push_image(WEB, [b"of it"], None, held)
    loose = await shop.push_image(WEB, [b"loose"], None, subject)
    index = await shop.push_index(WEB, [held], "release")
    await shop.delete(WEB, subject)

    assert await shop.live(WEB) == {str(held), str(of_it), str(index)}
    assert str(loose) not in await shop.live(WEB)


async def test_a_pushed_again_manifest_lives_again_with_its_referrers(shop: Catalog) -> None:
    subject = await shop.push_image(WEB, [b"layer"], "v1")
    signature = await shop.push_image(WEB, [b"signature"], None, subject)
    await shop.delete(WEB, subject)
    await shop.push_image(WEB, [b"layer"], "v2")

    assert await shop.live(WEB) == {str(subject), str(signature)}
    assert await shop.tags(WEB) == {"v2": str(subject)}


async def test_what_a_live_index_lists_can_t_be_deleted_and_the_refusal_names_the_index(shop: Catalog) -> None:
    child = await shop.push_image(WEB, [b"layer"])
    index = await shop.push_index(WEB, [child], "v1")
    with pytest.raises(StillReferencedError, match="v1") as refused:
        await shop.delete(WEB, child)

    assert [(each.digest, each.tags) for each in refused.value.parents] == [(str(index), ("v1",))]
    assert str(child) in await shop.live(WEB)


async def test_an_index_under_a_fallback_tag_or_one_that_was_holds_nothing(shop: Catalog) -> None:
    first, second = await shop.push_image(WEB, [b"1"]), await shop.push_image(WEB, [b"2"])
    await shop.push_index(WEB, [first], FALLBACK)
    await shop.push_index(WEB, [first, second], FALLBACK)
    await shop.delete(WEB, first)

    assert str(first) not in await shop.live(WEB)


async def test_an_untagged_index_holds_what_it_lists(shop: Catalog) -> None:
    child = await shop.push_image(WEB, [b"layer"])
    index = await shop.push_index(WEB, [child])
    with pytest.raises(StillReferencedError, match=str(index)):
        await shop.delete(WEB, child)


async def test_a_blob_that_a_manifest_needs_can_t_be_deleted(shop: Catalog) -> None:
    digest = await shop.push_image(WEB, [b"layer"])
    with pytest.raises(StillReferencedError) as refused:
        await shop.delete_blob(WEB, Digest.of(b"layer"))

    assert [each.digest for each in refused.value.parents] == [str(digest)]


async def test_a_deleted_blob_is_unknown_until_it_is_undone_or_pushed_again(shop: Catalog) -> None:
    layer = await shop.push_blob(WEB, b"layer")
    op = await shop.delete_blob(WEB, layer)
    with pytest.raises(BlobUnknownError):
        await shop.delete_blob(WEB, layer)
    with pytest.raises(ManifestBlobUnknownError):
        await shop.push(WEB, image(b"{}", [b"layer"]), IMAGE)
    await shop.undo(op)
    shown = await shop.shown(WEB)
    await shop.delete_blob(WEB, layer)
    await shop.push_blob(WEB, b"layer")

    assert shown == {str(layer)} == await shop.shown(WEB)


async def test_what_is_not_there_can_t_be_deleted(shop: Catalog) -> None:
    await shop.push_blob(WEB, b"layer")
    with pytest.raises(ManifestUnknownError):
        await shop.delete(WEB, Digest.of(b"none"))
    with pytest.raises(BlobUnknownError):
        await shop.delete_blob(WEB, Digest.of(b"none"))
    with pytest.raises(ManifestUnknownError):
        await shop.delete_tag(WEB, "none")


async def test_a_deleted_repository_frees_its_name_and_comes_back_when_that_is_free_again(shop: Catalog) -> None:
    old = await shop.push_image(WEB, [b"layer"], "v1")
    op = await shop.delete_repository(WEB)
    gone = await shop.live(WEB)
    new = await shop.push_image(WEB, [b"other"], "v1")
    with pytest.raises(UndoImpossibleError, match="there again"):
        await shop.undo(op)
    second = await shop.delete_repository(WEB)
    await shop.undo(op)
    back = await shop.live(WEB)
    with pytest.raises(UndoImpossibleError, match="there again"):
        await shop.undo(second)

    assert (gone, back, await shop.tags(WEB)) == (set(), {str(old)}, {"v1": str(old)})
    assert str(new) != str(old)


async def test_a_push_under_way_makes_a_deleted_repository_anew(shop: Catalog) -> None:
    await shop.push_image(WEB, [b"layer"])
    late = await shop.repository(WEB)
    await shop.delete_repository(WEB)

    async with shop.work(shop.actor) as unit:
        inside = await repositories.ensure(unit, late, shop.clock.now())

    assert inside.resource.id != late.resource.id
    assert inside.resource.id == (await shop.repository(WEB)).resource.id


async def test_a_deleted_project_is_gone_with_its_repositories_and_comes_back_with_them(shop: Catalog) -> None:
    web = await shop.push_image(WEB, [b"layer"], "v1")
    api = await shop.push_image("shop/api/v2", [b"layer"], "v1")
    early = await shop.push_image("shop/old", [b"old"])
    first = await shop.delete_repository("shop/old")
    op = await shop.delete_project("shop")
    gone = [await shop.live(name) for name in (WEB, "shop/api/v2", "shop/old")]
    await shop.undo(op)

    assert gone == [set(), set(), set()]
    assert [await shop.live(name) for name in (WEB, "shop/api/v2", "shop/old")] == [{str(web)}, {str(api)}, set()]
    await shop.undo(first)
    assert await shop.live("shop/old") == {str(early)}


# undoing


async def test_an_operation_is_undone_once(shop: Catalog) -> None:
    op = await shop.delete(WEB, await shop.push_image(WEB, [b"layer"]))
    await shop.undo(op)
    with pytest.raises(OperationOverError, match="undone already, by admin"):
        await shop.undo(op)


async def test_a_tag_that_was_pushed_again_stays_as_it_is(shop: Catalog) -> None:
    first = await shop.push_image(WEB, [b"1"], "v1")
    op = await shop.delete(WEB, first)
    second = await shop.push_image(WEB, [b"2"], "v1")
    undone = await shop.undo(op)

    assert (undone.tags, undone.taken) == ((), ("v1",))
    assert await shop.tags(WEB) == {"v1": str(second)}
    assert await shop.live(WEB) == {str(first), str(second)}


async def test_a_deleted_tag_that_is_taken_can_t_come_back(shop: Catalog) -> None:
    await shop.push_image(WEB, [b"1"], "v1")
    op = await shop.delete_tag(WEB, "v1")
    second = await shop.push_image(WEB, [b"2"], "v1")
    with pytest.raises(UndoImpossibleError, match="v1 is there again"):
        await shop.undo(op)

    assert await shop.tags(WEB) == {"v1": str(second)}


async def test_undo_brings_back_the_whole_closure(shop: Catalog) -> None:
    child = await shop.push_image(WEB, [b"layer"])
    index = await shop.push_index(WEB, [child], "v1")
    tag_op = await shop.delete_tag(WEB, "v1")
    await shop.delete(WEB, index)
    await shop.delete(WEB, child)
    await shop.delete_blob(WEB, Digest.of(b"layer"))
    await shop.undo(tag_op)

    assert await shop.live(WEB) == {str(child), str(index)}
    assert str(Digest.of(b"layer")) in await shop.shown(WEB)
    assert await shop.tags(WEB) == {"v1": str(index)}


async def test_undo_fails_as_a_whole_if_a_part_has_no_good_copy(shop: Catalog) -> None:
    digest = await shop.push_image(WEB, [b"layer"], "v1")
    op = await shop.delete(WEB, digest)
    async with shop.work(shop.actor) as unit:
        damaged = blob_copy.update().where(blob_copy.c.digest == str(Digest.of(b"layer"))).values(state="suspect")
        await unit.execute(damaged)
    with pytest.raises(UndoImpossibleError) as refused:
        await shop.undo(op)

    assert refused.value.missing == (str(Digest.of(b"layer")),)
    assert (await shop.live(WEB), await shop.tags(WEB)) == (set(), {})


async def test_after_its_time_an_operation_can_t_be_undone(shop: Catalog) -> None:
    op = await shop.delete(WEB, await shop.push_image(WEB, [b"layer"]))
    shop.clock.at += TRASH
    with pytest.raises(OperationOverError, match="time is over"):
        await shop.undo(op)


async def test_who_may_not_delete_there_does_not_learn_of_the_operation(shop: Catalog) -> None:
    op = await shop.delete(WEB, await shop.push_image(WEB, [b"layer"]))
    stranger = replace(shop.principal, grants=())
    for id_ in (op, "0" * 26):
        with pytest.raises(OperationUnknownError):
            await Undo(shop.work, shop.clock)(stranger, id_)


# collecting


async def test_what_a_manifest_needs_is_never_collected(shop: Catalog) -> None:
    digest = await shop.push_image(WEB, [b"layer"])
    await shop.collect(30 * DAY)

    assert await shop.live(WEB) == {str(digest)}
    assert await shop.copies(Digest.of(b"layer")) == ["ready"]
    assert await shop.reviews() == 0


async def test_a_blob_that_no_manifest_came_for_goes_when_its_lease_is_over(shop: Catalog) -> None:
    layer = await shop.push_blob(WEB, b"layer")
    early = await shop.collect(timedelta(hours=23))
    late = await shop.collect(timedelta(hours=1))
    trashed = await shop.copies(layer)
    purged = await shop.collect(DAY)

    assert (early.links, late.links, late.blobs, late.trashed_bytes, trashed) == (0, 1, 1, 5, ["trashed"])
    assert (purged.keys, purged.freed_bytes, shop.files_there()) == (1, 5, 0)
    assert await shop.count(blob_copy) == await shop.count(blob) == await shop.count(repo_blob) == 0


async def test_what_was_taken_away_is_told_also_of_a_run_that_fails(shop: Catalog, tmp_path: Path) -> None:
    await shop.push_blob(WEB, b"first")
    await shop.collect(DAY)
    second = await shop.push_blob(WEB, b"second")
    shop.clock.at += DAY
    (tmp_path / "gone").write_bytes(b"no folder")
    told: list[Collected] = []
    with pytest.raises(StorageUnavailableError, match="Not a directory"):
        await replace(shop.collector, told=told.append, store=FilesystemBlobs(tmp_path / "gone"))()

    assert await shop.copies(second) == ["trashed"]
    assert sum(told, Collected()) == Collected(reviewed=1, links=1, blobs=1, trashed_bytes=len(b"second"))


async def test_a_deleted_manifest_keeps_its_blobs_while_it_can_come_back_and_then_all_goes(shop: Catalog) -> None:
    await shop.delete(WEB, await shop.push_image(WEB, [b"layer"], "v1"))
    await shop.collect(TRASH - timedelta(seconds=1))
    kept = shop.files_there()
    purged = await shop.collect(timedelta(seconds=1))
    await shop.collect(DAY)

    assert (kept, purged.manifests, purged.links, purged.blobs) == (3, 1, 2, 3)
    assert [await shop.count(table) for table in (manifest, blob, blob_copy, gc_review)] == [0, 0, 0, 0]
    assert shop.files_there() == 0
    assert await shop.quota("shop") == (0, 0)


async def test_a_hidden_blob_goes_when_it_can_come_back_no_more(shop: Catalog) -> None:
    await shop.delete_blob(WEB, await shop.push_blob(WEB, b"layer"))
    early = await shop.collect(TRASH - timedelta(seconds=1))
    late = await shop.collect(timedelta(seconds=1))

    assert (early.links, late.links, late.blobs) == (0, 1, 1)


async def test_an_index_goes_before_what_it_lists(shop: Catalog) -> None:
    child = await shop.push_image(WEB, [b"layer"])
    index = await shop.push_index(WEB, [child], "v1")
    await shop.delete(WEB, index)
    shop.clock.at += timedelta(hours=1)
    await shop.delete(WEB, child)
    first = await shop.collect(TRASH - timedelta(hours=1))
    second = await shop.collect(timedelta(hours=1))

    assert (first.manifests, second.manifests, await shop.count(manifest)) == (1, 1, 0)


async def test_a_child_waits_for_the_index_that_can_still_come_back(shop: Catalog) -> None:
    child = await shop.push_image(WEB, [b"layer"])
    index = await shop.push_index(WEB, [child])
    op = await shop.delete(WEB, index)
    await shop.delete(WEB, child)
    await shop.undo(op)
    op = await shop.delete(WEB, index)
    await shop.delete(WEB, child)
    shop.clock.at += timedelta(hours=2)
    await shop.push_index(WEB, [await shop.push_image(WEB, [b"layer"])])
    await shop.delete(WEB, index)
    await shop.delete(WEB, child)
    shop.clock.at += TRASH - timedelta(hours=1)
    early = await shop.collect()
    late = await shop.collect(timedelta(hours=1))

    assert (early.manifests, late.manifests) == (0, 2)


async def test_bookkeeping_does_not_hold_up_the_end_of_what_it_lists(shop: Catalog) -> None:
    child = await shop.push_image(WEB, [b"layer"])
    index = await shop.push_index(WEB, [child], FALLBACK)
    await shop.delete(WEB, child)
    await shop.collect(TRASH)

    assert await shop.live(WEB) == {str(index)}
    assert await shop.count(manifest) == 1


async def test_a_referrer_whose_subject_never_came_goes_through_the_trash(shop: Catalog) -> None:
    signature = await shop.push_image(WEB, [b"signature"], None, Digest.of(b"never"))
    tagged = await shop.push_image(WEB, [b"kept"], "kept", Digest.of(b"never"))
    early = (await shop.collect(TRASH - timedelta(seconds=1)), await shop.live(WEB))[1]
    await shop.collect(timedelta(seconds=1))
    late = await shop.live(WEB)
    await shop.collect(TRASH)

    assert (early, late) == ({str(signature), str(tagged)}, {str(tagged)})
    assert await shop.count(manifest) == 1


async def test_a_referrer_whose_subject_came_stays(shop: Catalog) -> None:
    body = image(b'{"layers":"layer"}', [b"layer"])
    signature = await shop.push_image(WEB, [b"signature"], None, Digest.of(body))
    subject = await shop.push_image(WEB, [b"layer"])
    await shop.collect(30 * DAY)

    assert await shop.live(WEB) == {str(signature), str(subject)}


async def test_a_deleted_repository_goes_with_all_it_has_but_for_what_others_link(shop: Catalog) -> None:
    await shop.push_image(WEB, [b"shared", b"own"], "v1")
    api = await shop.push_image("shop/api", [b"shared"], "v1")
    await shop.delete_repository(WEB)
    await shop.collect(TRASH)
    await shop.collect(DAY)

    assert await shop.copies(Digest.of(b"own")) == []
    assert await shop.copies(Digest.of(b"shared")) == ["ready"]
    assert await shop.live("shop/api") == {str(api)}
    used, counted = await shop.quota("shop")
    assert used == counted


async def test_what_was_pushed_again_before_the_purge_is_not_hit(shop: Catalog) -> None:
    layer = await shop.push_blob(WEB, b"layer")
    await shop.collect(DAY)
    await shop.push_blob(WEB, b"layer")
    states = await shop.copies(layer)
    removed = await shop.collect(DAY - timedelta(seconds=1))
    purged = await shop.collect(timedelta(seconds=1))

    assert (states, removed.keys, purged.keys) == (["trashed", "ready"], 0, 1)
    assert (await shop.copies(layer))[:1] in (["ready"], ["trashed"])
    async with shop.database.reading() as connection:
        keys = (await connection.execute(select(blob_copy.c.key).where(blob_copy.c.state == "ready"))).scalars().all()
    assert all(shop.files.path(key).exists() for key in keys)


async def test_a_crash_between_marking_and_removing_keys_forgets_none(shop: Catalog) -> None:
    await shop.push_blob(WEB, b"layer")
    await shop.collect(DAY)
    shop.clock.at += DAY
    async with shop.work(shop.actor) as unit:
        doomed = await copies.doomed(unit, shop.clock.now(), 10)
    again = await shop.collect()

    assert (len(doomed), again.keys, shop.files_there()) == (1, 1, 0)


async def test_a_backup_s_time_is_waited_for(shop: Catalog) -> None:
    shop.collector = replace(shop.collector, backups=30 * DAY)
    await shop.push_blob(WEB, b"layer")
    await shop.collect(DAY)
    early = await shop.collect(30 * DAY - timedelta(seconds=1))
    late = await shop.collect(timedelta(seconds=1))

    assert (early.keys, late.keys) == (0, 1)


# two people


async def test_purging_at_once_takes_two_people_and_removes_the_bytes(shop: Catalog) -> None:
    site = authorize(shop.principal, Permission.REPO_DELETE, Site())
    other = authorize(replace(shop.principal, actor=Actor("bob", "person")), Permission.REPO_DELETE, Site())
    op = await shop.delete(WEB, await shop.push_image(WEB, [b"secret"], "v1"))
    request = await shop.purge.request(site, op)
    with pytest.raises(OperationOverError, match="second admin"):
        await shop.purge.confirm(site, request)
    untouched = (await shop.collect(), shop.files_there())[1]
    await shop.purge.confirm(other, request)
    gone = await shop.collect()

    assert (untouched, gone.manifests, gone.keys, shop.files_there()) == (3, 1, 3, 0)
    with pytest.raises(OperationOverError):
        await shop.undo(op)
    async with shop.database.reading() as connection:
        rows = await connection.execute(select(audit_event.c.action, audit_event.c.actor).order_by(audit_event.c.id))
        actions = [tuple(row) for row in rows]
    assert ("purge.requested", "admin") in actions
    assert ("purge.confirmed", "bob") in actions
    assert LIFECYCLE == "lifecycle"


async def test_a_wish_to_purge_expires(shop: Catalog) -> None:
    site = authorize(shop.principal, Permission.REPO_DELETE, Site())
    other = authorize(replace(shop.principal, actor=Actor("bob", "person")), Permission.REPO_DELETE, Site())
    op = await shop.delete(WEB, await shop.push_image(WEB, [b"secret"]))
    request = await shop.purge.request(site, op)
    shop.clock.at += DAY
    with pytest.raises(OperationOverError):
        await shop.purge.confirm(other, request)
    await shop.collect()
    await shop.undo(op)

    assert await shop.count(gc_review) >= 0
    assert len(await shop.live(WEB)) == 1


async def test_purging_at_once_leaves_what_others_need(shop: Catalog) -> None:
    site = authorize(shop.principal, Permission.REPO_DELETE, Site())
    other = authorize(replace(shop.principal, actor=Actor("bob", "person")), Permission.REPO_DELETE, Site())
    await shop.push_image("shop/api", [b"shared"])
    op = await shop.delete(WEB, await shop.push_image(WEB, [b"shared", b"secret"]))
    await shop.purge.confirm(other, await shop.purge.request(site, op))
    await shop.collect()

    assert await shop.copies(Digest.of(b"secret")) == []
    assert await shop.copies(Digest.of(b"shared")) == ["ready"]
