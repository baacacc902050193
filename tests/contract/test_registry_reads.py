"""What lists ask the database, on both: order, pages, filters, and who sees which repository."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert, select, update

from entrepot.access.hot import AccessReads
from entrepot.access.hot_sql import access_statements
from entrepot.access.tables import account, role_grant, secret
from entrepot.catalog.tables import manifest, operation, project, repo, tag_history
from entrepot.clock import FixedClock
from entrepot.content.tables import blob
from entrepot.errors import InvalidError
from entrepot.oci.digest import Digest
from entrepot.registry.hot import MAX_REFERRER_BYTES, Place, RegistryReads, Removed
from entrepot.registry.hot_sql import registry_statements
from entrepot.runtime.database import Database, open_database
from entrepot.runtime.database_url import Kind, database_path, libpq_url
from entrepot.runtime.events.model import SYSTEM
from entrepot.runtime.hot import HotReader
from entrepot.runtime.hot_postgres import PostgresReader
from entrepot.runtime.hot_sqlite import SqliteReader
from entrepot.runtime.unit_of_work import Work
from tests.real.postgres import Postgres
from tests.real.sqlite import new_migrated_database

NOW = FixedClock().now()
SUBJECT = str(Digest.of(b"subject"))
START = Place(-1, "")


@dataclass(frozen=True, slots=True)
class Site:
    """A database, and what the pull path asks of it."""

    database: Database
    reads: RegistryReads
    access: AccessReads

    async def add(self, table: Any, *rows: dict[str, Any]) -> None:
        async with self.database.writing() as connection:
            await connection.execute(insert(table), list(rows))


@pytest.fixture(params=Kind, ids=[kind.value for kind in Kind])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database of each kind."""
    if request.param is Kind.POSTGRESQL:
        postgres: Postgres = request.getfixturevalue("postgres")
        return postgres.url
    return new_migrated_database(tmp_path / "reads.db")


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[Site]:
    """The database at *url*, with the project 1 (private), 2 (public), 3 (private), and a repository in the first."""
    database = open_database(url)
    hot: HotReader = (
        SqliteReader(database_path(url)) if database.kind is Kind.SQLITE else PostgresReader(libpq_url(url), 2)
    )
    await hot.open()
    site = Site(
        database,
        RegistryReads(hot, registry_statements(database.kind)),
        AccessReads(hot, access_statements(database.kind)),
    )
    try:
        await site.add(
            project,
            *(
                {"id": id_, "uid": f"p{id_}", "name": name, "created_at": NOW, "visibility": visibility}
                for id_, name, visibility in ((1, "shop", "private"), (2, "open", "public"), (3, "shop-b", "private"))
            ),
        )
        await site.add(repo, {"id": 1, "uid": "r1", "project_id": 1, "name": "shop/web", "created_at": NOW})
        yield site
    finally:
        await hot.close()
        await database.close()


def referrer(number: int, size: int = 2, **fields: Any) -> dict[str, Any]:
    """The row of a manifest that refers to SUBJECT, pushed *number* seconds from NOW."""
    return {
        "repo_id": 1,
        "digest": str(Digest.of(str(number).encode())),
        "media_type": "m",
        "artifact_type": f"type/{number % 2}",
        "kind": "artifact",
        "size": size,
        "bytes": b"{}",
        "pushed_by": "x",
        "pushed_at": NOW + timedelta(seconds=number),
        "subject_digest": SUBJECT,
        "deleted_at": None,
        **fields,
    }


async def push(site: Site, *rows: dict[str, Any]) -> list[str]:
    """*rows* are in the database; their digests."""
    await site.add(blob, *({"digest": row["digest"], "size": row["size"]} for row in rows))
    await site.add(manifest, *rows)
    return [row["digest"] for row in rows]


async def test_who_removed_a_tag_or_a_manifest_is_known_while_it_can_come_back(url: str) -> None:
    async with opened(url) as site:
        (digest,) = await push(site, referrer(1, deleted_at=NOW, delete_op="op2"))
        until = NOW + timedelta(days=7)
        row = {"kind": "tag", "project": "shop", "repository": "shop/web", "reference": "v1", "actor": "ann"}
        times = {"at": NOW, "undo_until": until}
        await site.add(operation, *({"id": id_, **row, **times} for id_ in ("op1", "op2", "op3", "op4")))
        await site.add(
            tag_history,
            *(
                {"repo_id": 1, "name": name, "rev": 1, "digest": None, "actor": "ann", "at": NOW, "op": op}
                for name, op in (("v1", "op1"), ("v3", "op3"), ("v4", "op4"))
            ),
        )
        async with site.database.writing() as connection:
            await connection.execute(update(operation).where(operation.c.id == "op3").values(undone_at=NOW))
            await connection.execute(update(operation).where(operation.c.id == "op4").values(purged_at=NOW))
        now, end = (round(each.timestamp() * 1_000_000) for each in (NOW, until))
        asked = {each: await site.reads.removed(1, each, now) for each in ("v1", "v2", "v3", "v4", digest)}

        assert asked == {
            "v1": Removed("op1", "ann", now),
            "v2": None,
            "v3": None,
            "v4": None,
            digest: Removed("op2", "ann", now),
        }
        assert [await site.reads.removed(1, each, end) for each in ("v1", digest)] == [None, None]
        assert [await site.reads.removed(2, each, now) for each in ("v1", digest)] == [None, None]


async def test_referrers_come_in_the_order_of_pushes_page_by_page(url: str) -> None:
    async with opened(url) as site:
        at_once = sorted((referrer(n, pushed_at=NOW) for n in range(5)), key=lambda row: str(row["digest"]))
        later = [referrer(n) for n in range(5, 12)]
        digests = await push(site, *reversed(later), *at_once)
        expected = [row["digest"] for row in (*at_once, *later)]
        seen: list[str] = []
        more: list[int] = []
        place = START
        while page := await site.reads.referrers(1, SUBJECT, "", place, 5):
            seen += [row.place.digest for row in page]
            more += [row.more for row in page]
            place = page[-1].place

        assert sorted(digests) == sorted(seen)
        assert seen == expected
        assert more == [5, 4, 3, 2, 1, 5, 4, 3, 2, 1, 2, 1]


async def test_only_live_referrers_of_the_subject_the_repository_and_the_type_are_found(url: str) -> None:
    async with opened(url) as site:
        await site.add(repo, {"id": 2, "uid": "r2", "project_id": 1, "name": "shop/api", "created_at": NOW})
        kept = await push(site, referrer(1), referrer(2))
        await push(
            site,
            referrer(3, deleted_at=NOW),
            referrer(4, subject_digest=str(Digest.of(b"other"))),
            referrer(5, subject_digest=None),
            referrer(6, repo_id=2),
        )

        found = await site.reads.referrers(1, SUBJECT, "", START, 9)
        filtered = await site.reads.referrers(1, SUBJECT, "type/1", START, 9)

        assert [row.place.digest for row in found] == kept
        assert [(row.place.digest, row.artifact_type, row.more) for row in filtered] == [(kept[0], "type/1", 1)]
        assert (found[0].media_type, found[0].size, found[0].body) == ("m", 2, b"{}")
        assert await site.reads.referrers(1, SUBJECT, "type/2", START, 9) == []


async def test_a_page_of_large_referrers_is_cut_and_says_that_more_follow(url: str) -> None:
    """A referrer may have 4 MiB: a thousand at once would be more than a process has."""
    async with opened(url) as site:
        await push(site, *(referrer(n, size=MAX_REFERRER_BYTES // 2) for n in range(6)))

        page = await site.reads.referrers(1, SUBJECT, "", START, 1001)

        assert [row.more for row in page] == [6, 5, 4]
        assert len(await site.reads.referrers(1, SUBJECT, "", page[-1].place, 1001)) == 3


async def test_repositories_come_in_the_order_of_their_bytes(url: str) -> None:
    """`shop-b/x` stands before `shop/x`, though `shop` stands before `shop-b`."""
    async with opened(url) as site:
        names = ["open/a", "open/b", "shop-b/a", "shop/a", "shop/a-b", "shop/a.b", "shop/a/b", "shop/a0", "shop/a_b"]
        projects = {"open": 2, "shop": 1, "shop-b": 3}
        await site.add(
            repo,
            *(
                {
                    "id": id_,
                    "uid": name,
                    "project_id": projects[name.partition("/")[0]],
                    "name": name,
                    "created_at": NOW,
                }
                for id_, name in enumerate(reversed(names), 2)
            ),
        )
        every = sorted([*names, "shop/web"], key=str.encode)

        assert await site.reads.repositories(None, "", 99) == every
        assert await site.reads.repositories(None, "shop/a", 3) == ["shop/a-b", "shop/a.b", "shop/a/b"]
        assert await site.reads.repositories(None, "shop/nothing", 9) == ["shop/web"]


async def test_one_sees_repositories_of_the_own_projects_and_of_public_ones(url: str) -> None:
    async with opened(url) as site:
        own = {"uid": "a1", "kind": "robot", "name": "shop+ci", "project_id": 1, "created_at": NOW}
        nobody = {"uid": "a2", "kind": "robot", "name": "none", "project_id": None, "created_at": NOW}
        await site.add(account, {"id": 7, **own}, {"id": 8, **nobody})
        await site.add(role_grant, {"account_id": 7, "role": "viewer", "project_id": 1})
        await site.add(
            repo,
            *(
                {"id": id_ + 9, "uid": name, "project_id": id_, "name": name, "created_at": NOW, "deleted_at": deleted}
                for id_, name, deleted in ((2, "open/a", None), (3, "shop-b/a", None), (1, "shop/gone", NOW))
            ),
        )

        assert await site.reads.repositories(7, "", 99) == ["open/a", "shop/web"]
        assert await site.reads.repositories(7, "open/a", 99) == ["shop/web"]
        assert await site.reads.repositories(8, "", 99) == ["open/a"]


async def test_a_deleted_repository_is_as_absent_and_a_public_project_is_seen_with_each(url: str) -> None:
    async with opened(url) as site:
        await site.add(repo, {"id": 2, "uid": "r2", "project_id": 2, "name": "open/a", "created_at": NOW})
        private, public = await site.reads.repository("shop/web"), await site.reads.repository("open/a")
        assert private is not None
        assert public is not None

        assert (private.project.public, public.project.public) == (False, True)
        found = await site.reads.manifest("open/a", "v1", None)
        assert found is not None
        assert (found.repository, found.digest) == (public, None)
        async with site.database.writing() as connection:
            await connection.execute(update(repo).where(repo.c.id == 2).values(deleted_at=NOW))
        assert await site.reads.repository("open/a") is None
        assert await site.reads.manifest("open/a", "v1", None) is None


async def test_a_text_with_a_nul_is_found_nowhere(url: str) -> None:
    """PostgreSQL takes no such text: it is no fault of the database, and 503 would be one."""
    async with opened(url) as site:
        assert await site.reads.project("shop\0") is None
        assert await site.reads.repository("shop/web\0") is None
        assert await site.access.holder_of_name("\0") is None


async def test_revoked_secrets_are_those_since_then(url: str) -> None:
    async with opened(url) as site:
        person = {"id": 7, "uid": "a", "kind": "person", "name": "ann", "project_id": None, "created_at": NOW}
        await site.add(account, person)
        base = {"account_id": 7, "name": "t", "created_at": NOW, "expires_at": NOW}
        moments = {"A": None, "B": NOW - timedelta(minutes=30), "C": NOW, "D": NOW + timedelta(minutes=5)}
        await site.add(secret, *({**base, "id": id_, "hmac": id_, "revoked_at": at} for id_, at in moments.items()))

        assert await site.access.revoked(NOW - timedelta(minutes=15)) == {"C", "D"}
        assert await site.access.holder_of_secret("C") is None


async def test_a_text_with_a_nul_is_the_caller_s_fault(url: str) -> None:
    """On PostgreSQL the driver refuses it, which must be no fault of ours; SQLite keeps it."""
    async with opened(url) as site:
        work = Work(site.database, FixedClock())
        try:
            async with site.database.reading() as connection:
                await connection.execute(select(project.c.id).where(project.c.name == "\0"))
            async with work(SYSTEM) as unit:
                await unit.execute(update(repo).where(repo.c.id == 1).values(uid="\0"))
        except InvalidError:
            assert site.database.kind is Kind.POSTGRESQL
        else:
            assert site.database.kind is Kind.SQLITE
        if site.database.kind is Kind.POSTGRESQL:
            with pytest.raises(InvalidError):
                async with work(SYSTEM) as unit:
                    await unit.execute(update(repo).where(repo.c.id == 1).values(uid="\0"))
