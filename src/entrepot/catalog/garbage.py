"""Takes away what nothing holds: links that no manifest needs, manifests whose trash is over. Asked by the collector.

Nothing reachable goes (P3): references are foreign keys, so a DELETE here that is wrong fails, and with it the whole
unit. That is the proof; the questions below only find what may go. They are asked twice, the second time in a
statement behind the locks, because PostgreSQL shows each statement what was committed before it began.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Table, and_, delete, or_, select

from entrepot.catalog import manifests, quota, reviews
from entrepot.catalog.reviews import Kind, Place, chunks
from entrepot.catalog.tables import (
    manifest,
    manifest_push,
    operation,
    project,
    ref_blob,
    ref_manifest,
    repo,
    repo_blob,
    tag,
)
from entrepot.content.tables import blob
from entrepot.runtime.unit_of_work import Unit


@dataclass(frozen=True, slots=True)
class Link:
    """A link as the collector sees it."""

    repo_id: int
    digest: str
    project_id: int
    size: int
    leased_until: datetime | None
    hidden_at: datetime | None

    @property
    def place(self) -> Place:
        """Where it is."""
        return (self.repo_id, self.digest)


@dataclass(frozen=True, slots=True)
class OldManifest:
    """A manifest as the collector sees it. is_over: it is deleted, or its repository is, and can't be brought back."""

    repo_id: int
    digest: str
    repository: str
    project_id: int
    project: str
    size: int
    subject: str | None
    is_deleted: bool
    is_over: bool

    @property
    def place(self) -> Place:
        """Where it is."""
        return (self.repo_id, self.digest)


async def unreferenced(unit: Unit, places: Sequence[Place]) -> list[Place]:
    """Those of *places* that no manifest needs, not even one in the trash."""
    needed: set[Place] = set()
    for part in chunks(places):
        question = select(ref_blob.c.repo_id, ref_blob.c.digest).distinct()
        rows = await unit.fetch_all(question.where(_among(ref_blob, "digest", part)))
        needed |= {(row.repo_id, row.digest) for row in rows}
    return [place for place in places if place not in needed]


async def locked_links(unit: Unit, places: Sequence[Place]) -> list[Link]:
    """The links of *places*; nobody refers to or changes them until *unit* ends. Their blobs are to be locked first."""
    found: list[Link] = []
    for part in chunks(sorted(places)):
        question = (
            select(
                repo_blob.c.repo_id,
                repo_blob.c.digest,
                repo.c.project_id,
                blob.c.size,
                repo_blob.c.leased_until,
                repo_blob.c.hidden_at,
            )
            .join(repo, repo.c.id == repo_blob.c.repo_id)
            .join(blob, blob.c.digest == repo_blob.c.digest)
            .where(_among(repo_blob, "digest", part))
            .order_by(repo_blob.c.repo_id, repo_blob.c.digest)
            .with_for_update(of=repo_blob)
        )
        found += [
            Link(row.repo_id, row.digest, row.project_id, row.size, row.leased_until, row.hidden_at)
            for row in await unit.fetch_all(question)
        ]
    return found


async def remove_links(unit: Unit, links: Sequence[Link]) -> None:
    """*links*, locked and needed by nothing, are gone, and what their projects keep is counted anew."""
    for part in chunks([link.place for link in links]):
        await unit.execute(delete(repo_blob).where(_among(repo_blob, "digest", part)))
    left: set[tuple[int, str]] = set()
    for part in chunks([(0, digest) for digest in sorted({link.digest for link in links})]):
        question = (
            select(repo.c.project_id, repo_blob.c.digest)
            .distinct()
            .join(repo, repo.c.id == repo_blob.c.repo_id)
            .where(repo_blob.c.digest.in_([digest for _, digest in part]))
        )
        left |= {(row.project_id, row.digest) for row in await unit.fetch_all(question)}
    gone = {(link.project_id, link.digest): link.size for link in links}
    await _discharge(unit, ((owner, size) for (owner, digest), size in gone.items() if (owner, digest) not in left))


async def unheld(unit: Unit, digests: Iterable[str]) -> list[str]:
    """Those of *digests* that no repository links and no manifest is."""
    wanted = sorted(set(digests))
    held: set[str] = set()
    for start in range(0, len(wanted), reviews.KEYS):
        part = wanted[start : start + reviews.KEYS]
        for column in (repo_blob.c.digest, manifest.c.digest):
            held |= {row[0] for row in await unit.fetch_all(select(column).distinct().where(column.in_(part)))}
    return [digest for digest in wanted if digest not in held]


async def locked_manifests(unit: Unit, places: Sequence[Place], now: datetime) -> list[OldManifest]:
    """The manifests of *places*; nobody refers to, deletes or revives them until *unit* ends."""
    found: list[OldManifest] = []
    own, whole = operation.alias(), operation.alias()
    for part in chunks(sorted(places)):
        question = (
            select(
                manifest.c.repo_id,
                manifest.c.digest,
                repo.c.name,
                repo.c.project_id,
                project.c.name.label("project"),
                manifest.c.size,
                manifest.c.subject_digest,
                manifest.c.deleted_at,
                _is_over(own, manifest, now).label("own_over"),
                _is_over(whole, repo, now).label("whole_over"),
            )
            .join(repo, repo.c.id == manifest.c.repo_id)
            .join(project, project.c.id == repo.c.project_id)
            .outerjoin(own, own.c.id == manifest.c.delete_op)
            .outerjoin(whole, whole.c.id == repo.c.delete_op)
            .where(_among(manifest, "digest", part))
            .order_by(manifest.c.repo_id, manifest.c.digest)
            .with_for_update(of=manifest)
        )
        found += [
            OldManifest(
                row.repo_id,
                row.digest,
                row.name,
                row.project_id,
                row.project,
                row.size,
                row.subject_digest,
                row.deleted_at is not None,
                bool(row.own_over) or bool(row.whole_over),
            )
            for row in await unit.fetch_all(question)
        ]
    return found


async def without_parents(unit: Unit, old: Sequence[OldManifest]) -> list[OldManifest]:
    """Those of *old* that no manifest outside of *old* lists; lists that are mere bookkeeping forget them."""
    going = {each.place: each for each in old}
    pairs: list[tuple[int, str, str]] = []
    for part in chunks(sorted(going)):
        question = (
            select(ref_manifest.c.repo_id, ref_manifest.c.parent, ref_manifest.c.child)
            .distinct()
            .where(_among(ref_manifest, "child", part))
        )
        pairs += [(row.repo_id, row.parent, row.child) for row in await unit.fetch_all(question)]
    pairs = await _holding(unit, [pair for pair in pairs if (pair[0], pair[1]) not in going]) + [
        pair for pair in pairs if (pair[0], pair[1]) in going
    ]
    while held := {(r, child) for r, parent, child in pairs if (r, parent) not in going and (r, child) in going}:
        for place in held:
            del going[place]
    return list(going.values())


async def remove_manifests(unit: Unit, old: Sequence[OldManifest]) -> list[Place]:
    """*old*, locked and listed by nothing, are gone with their own references and tags; the links they needed.

    What other nouns keep by manifest must be gone already. What their projects keep is counted anew.
    """
    needed: set[Place] = set()
    for part in chunks([each.place for each in old]):
        question = select(ref_blob.c.repo_id, ref_blob.c.digest).distinct()
        rows = await unit.fetch_all(question.where(_among(ref_blob, "parent", part)))
        needed |= {(row.repo_id, row.digest) for row in rows}
        for table, column in (
            (manifest_push, "digest"),
            (ref_blob, "parent"),
            (ref_manifest, "parent"),
            (tag, "digest"),
            (manifest, "digest"),
        ):
            await unit.execute(delete(table).where(_among(table, column, part)))
    await _discharge(unit, ((each.project_id, each.size) for each in old))
    return sorted(needed)


async def listed_by(unit: Unit, places: Sequence[Place]) -> list[Place]:
    """The manifests that those of *places* list."""
    found: set[Place] = set()
    for part in chunks(places):
        question = select(ref_manifest.c.repo_id, ref_manifest.c.child).distinct()
        rows = await unit.fetch_all(question.where(_among(ref_manifest, "parent", part)))
        found |= {(row.repo_id, row.child) for row in rows}
    return sorted(found)


async def referrers_of(unit: Unit, places: Sequence[Place]) -> list[Place]:
    """Live manifests whose subject is one of *places*."""
    found: list[Place] = []
    for part in chunks(places):
        question = select(manifest.c.repo_id, manifest.c.digest)
        rows = await unit.fetch_all(
            question.where(_among(manifest, "subject_digest", part), manifest.c.deleted_at.is_(None))
        )
        found += [(row.repo_id, row.digest) for row in rows]
    return found


async def has_manifest(unit: Unit, place: Place) -> bool:
    """Whether the manifest is there, be it in the trash."""
    there = (manifest.c.repo_id == place[0]) & (manifest.c.digest == place[1])
    return await unit.fetch_one(select(manifest.c.digest).where(there)) is not None


async def has_tag(unit: Unit, place: Place) -> bool:
    """Whether a tag names the manifest."""
    named = (tag.c.repo_id == place[0]) & (tag.c.digest == place[1])
    return await unit.fetch_one(select(tag.c.name).where(named).limit(1)) is not None


async def digests_in(unit: Unit, repo_id: int, table: Table, after: str, limit: int) -> list[str]:
    """Digests of the repository's rows of *table* behind *after*, in order."""
    question = select(table.c.digest).where(table.c.repo_id == repo_id, table.c.digest > after)
    return [row.digest for row in await unit.fetch_all(question.order_by(table.c.digest).limit(limit))]


async def ask_for_repository(
    unit: Unit, repo_id: int, after: tuple[str, str], limit: int, cause: str, now: datetime
) -> tuple[str, str] | None:
    """Reviews for the next *limit* manifests and links of a repository behind *after*; how far, None at the end."""
    below = await digests_in(unit, repo_id, manifest, after[0], limit)
    links = await digests_in(unit, repo_id, repo_blob, after[1], limit)
    await reviews.ask(unit, Kind.MANIFEST, [(repo_id, digest) for digest in below], now, cause)
    if cause == reviews.PURGE_NOW:
        await reviews.ask(unit, Kind.LINK, [(repo_id, digest) for digest in links], now, cause)
    if not below and not links:
        return None
    return (below[-1] if below else after[0], links[-1] if links else after[1])


async def _holding(unit: Unit, pairs: Sequence[tuple[int, str, str]]) -> list[tuple[int, str, str]]:
    """Those *pairs* of parent and child that count; where the parent lives and is bookkeeping, its line is removed."""
    live: set[Place] = set()
    for part in chunks(sorted({(repo_id, parent) for repo_id, parent, _ in pairs})):
        question = select(manifest.c.repo_id, manifest.c.digest)
        rows = await unit.fetch_all(question.where(_among(manifest, "digest", part), manifest.c.deleted_at.is_(None)))
        live |= {(row.repo_id, row.digest) for row in rows}
    kept = [pair for pair in pairs if (pair[0], pair[1]) not in live]
    by_repo: defaultdict[int, set[str]] = defaultdict(set)
    for repo_id, parent, child in pairs:
        if (repo_id, parent) in live:
            by_repo[repo_id].add(child)
    for repo_id, children in by_repo.items():
        held = await manifests.holders(unit, repo_id, sorted(children))
        holding = {(repo_id, parent.digest, child) for child, parents in held.items() for parent in parents}
        for pair in pairs:
            if pair[0] == repo_id and (repo_id, pair[1]) in live:
                if pair in holding:
                    kept.append(pair)
                else:
                    line = ref_manifest.c
                    there = and_(line.repo_id == repo_id, line.parent == pair[1], line.child == pair[2])
                    await unit.execute(delete(ref_manifest).where(there))
    return kept


def _is_over(op: Any, owner: Table, now: datetime) -> ColumnElement[bool]:
    """Whether what *owner*'s row was deleted by, if it was, can be undone no more."""
    over = and_(op.c.undo_until <= now, op.c.undone_at.is_(None))
    return and_(owner.c.deleted_at.is_not(None), or_(owner.c.delete_op.is_(None), over))


def _among(table: Table, column: str, places: Collection[Place]) -> ColumnElement[bool]:
    return reviews.among(table.c.repo_id, table.c[column], places)


async def _discharge(unit: Unit, parts: Iterable[tuple[int, int]]) -> None:
    totals: defaultdict[int, int] = defaultdict(int)
    for owner, size in parts:
        totals[owner] += size
    for owner in sorted(totals):
        await quota.discharge(unit, owner, totals[owner])
