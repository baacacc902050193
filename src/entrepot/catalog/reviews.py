"""The review queue: whatever may have lost its last holder is looked at again, later. Nothing is searched for.

A row says "look at this from then on", never "this is garbage": the collector asks again, under locks. The latest
wish wins, so that a fresh lease puts a review off and a purge brings it forward. Every unit writes its reviews last,
the collector too, which reads them without a lock and removes only those still due: so nobody waits in a circle.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from sqlalchemy import Column, ColumnElement, and_, delete, false, or_, select, update

from entrepot.catalog.tables import gc_review
from entrepot.runtime.unit_of_work import Unit
from entrepot.runtime.upsert import insert_or

PURGE_NOW: Final = "purge-now"
"""The cause of reviews that two people asked for: neither lease nor backup is waited for."""

KEYS: Final = 200
"""Rows named in one statement by their whole key."""


class Kind(StrEnum):
    """What is looked at: the link (repository, digest), the blob of a digest (repository 0), a manifest."""

    LINK = "link"
    BLOB = "blob"
    MANIFEST = "manifest"


@dataclass(frozen=True, slots=True)
class Review:
    """One row of the queue. attempts: how often it was put off."""

    kind: Kind
    repo_id: int
    key: str
    cause: str
    review_after: datetime
    attempts: int


Place = tuple[int, str]
"""A repository's row and a digest in it; row 0 for a digest anywhere."""


# It comes with each push and stands built: building it takes longer than running it.
NEW: Final = insert_or(gc_review)
WISH: Final = NEW.on_conflict_do_update(
    index_elements=[gc_review.c.kind, gc_review.c.repo_id, gc_review.c.key],
    set_={name: NEW.excluded[name] for name in ("review_after", "cause", "attempts")},
)


async def ask(unit: Unit, kind: Kind, places: Iterable[Place], after: datetime, cause: str) -> None:
    """Each of *places* is to be looked at from *after* on."""
    values = {"review_after": after, "cause": cause, "attempts": 0}
    rows = [{"kind": kind.value, "repo_id": repo_id, "key": key, **values} for repo_id, key in sorted(set(places))]
    if not rows:
        return
    await unit.execute(WISH, rows)


async def due(unit: Unit, now: datetime, limit: int) -> list[Review]:
    """Reviews whose time has come, oldest first, of all kinds: so one index answers, however long the queue is."""
    question = select(gc_review).where(gc_review.c.review_after <= now).order_by(gc_review.c.review_after).limit(limit)
    return [
        Review(Kind(row.kind), row.repo_id, row.key, row.cause, row.review_after, row.attempts)
        for row in await unit.fetch_all(question)
    ]


async def done(unit: Unit, kind: Kind, places: Sequence[Place], now: datetime) -> None:
    """What was due there at *now* was looked at; a wish that came since stays."""
    for part in chunks(places):
        await unit.execute(delete(gc_review).where(_due(kind, part, now)))


async def put_off(unit: Unit, kind: Kind, places: Sequence[Place], now: datetime, until: datetime) -> None:
    """What was due there at *now* is to be looked at again from *until* on; that is counted."""
    values = {"review_after": until, "attempts": gc_review.c.attempts + 1}
    for part in chunks(places):
        await unit.execute(update(gc_review).where(_due(kind, part, now)).values(values))


def chunks(places: Sequence[Place]) -> Iterable[Sequence[Place]]:
    """*places* in parts that one statement can name."""
    return (places[start : start + KEYS] for start in range(0, len(places), KEYS))


def among(repo_id: Column[int], key: Column[str], places: Iterable[Place]) -> ColumnElement[bool]:
    """That a row is of one of *places*, by its repository and *key*.

    By repository, because SQLite reads a whole table to answer `(a, b) IN (VALUES …)`.
    """
    keys: defaultdict[int, list[str]] = defaultdict(list)
    for owner, name in places:
        keys[owner].append(name)
    return or_(false(), *(and_(repo_id == owner, key.in_(names)) for owner, names in keys.items()))


def _due(kind: Kind, places: Sequence[Place], now: datetime) -> ColumnElement[bool]:
    keys: defaultdict[int, list[str]] = defaultdict(list)
    for owner, name in places:
        keys[owner].append(name)
    table = gc_review.c
    # The kind in each part, for it comes first in the key.
    parts = (
        and_(table.kind == kind.value, table.repo_id == owner, table.key.in_(names)) for owner, names in keys.items()
    )
    return and_(or_(false(), *parts), table.review_after <= now)
