"""The collector: takes away what nothing holds, and then its bytes.

Invariant: nothing reachable goes. A review only says where to look. Under locks on blob and link the collector asks
whether a manifest, be it in the trash, needs the link; a manifest PUT that comes meanwhile waits for those locks, or
its foreign keys hold the row: either the collector sees the reference, or the PUT hears MANIFEST_BLOB_UNKNOWN before
any 201. Bytes go by key, after a day at least, and no key is given twice, so what was pushed again is never hit.
Example: the last manifest with layer D is purged; D's link is reviewed and goes; no link is left, so the blob's row
goes and its copy is `trashed`; a push of D stores a new copy; the day after the old key is removed. Broken,
`tests/property/test_collector.py` fails.

Units are short and followed by as long a pause, so that pushes, which wait for the same writer on SQLite, never starve.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from time import monotonic
from typing import Final

import structlog

from entrepot.access.authorize import authorize
from entrepot.access.model import Grant, Permission, Principal, Project, Repository, Role
from entrepot.catalog import garbage, manifests, operations, reviews
from entrepot.catalog.errors import ManifestUnknownError, StillReferencedError
from entrepot.catalog.garbage import Link, OldManifest
from entrepot.catalog.manifests import SUBJECT_WAIT
from entrepot.catalog.operations import Deletion
from entrepot.catalog.reviews import PURGE_NOW, Kind, Place, Review
from entrepot.clock import Clock
from entrepot.content import copies
from entrepot.content.ports import StoredKeys
from entrepot.oci.digest import Digest
from entrepot.policy import forget as policy
from entrepot.runtime.events.model import SYSTEM
from entrepot.runtime.unit_of_work import Unit, Work
from entrepot.scanning import forget as scanning

LEAST_BATCH: Final = 100
UNIT_SECONDS: Final = 0.025
"""How long a unit should take: half of what SQLite's other writers may be kept waiting."""

REST: Final = 1.5
MOST_REST_SECONDS: Final = 0.1
"""How long the pause after a unit is: as a multiple of it, and at most."""

PURGED_AFTER: Final = timedelta(hours=24)
LISTED: Final = timedelta(days=1)
"""When a manifest is looked at again that another one in the trash still lists; the end of that one comes first."""

OFTEN: Final = 10
KEYS: Final = 1_000
KEEPER: Final = Principal(SYSTEM, (Grant(Role.ADMIN, None),))

log = structlog.get_logger("lifecycle")


@dataclass(frozen=True, slots=True)
class Collected:
    """What a run took away. reviewed: rows of the queue it looked at; freed_bytes: of keys removed from the store."""

    reviewed: int = 0
    manifests: int = 0
    links: int = 0
    blobs: int = 0
    trashed_bytes: int = 0
    keys: int = 0
    freed_bytes: int = 0

    def __add__(self, other: "Collected") -> "Collected":
        return Collected(*(getattr(self, name) + getattr(other, name) for name in self.__slots__))


def _unheard(collected: Collected) -> None:
    del collected


@dataclass(frozen=True, slots=True)
class Collector:
    """Works off the review queue. trash: how long a deletion can be undone; backups: how long they are kept; told: of
    what each unit took away, once it is committed.
    """

    work: Work
    store: StoredKeys
    clock: Clock
    trash: timedelta
    backups: timedelta
    batch: int
    told: Callable[[Collected], None] = _unheard

    async def __call__(self) -> Collected:
        """Everything that is due, and what becomes due by it."""
        total = await self._until_done()
        total += await self.remove_keys()
        if total != Collected():
            log.info("lifecycle.collected", **{name: getattr(total, name) for name in Collected.__slots__})
        return total

    async def work_off(self, limit: int) -> Collected:
        """Up to *limit* reviews, in one unit.

        Manifests whose trash is over go, referrers without a subject into it; links go that nothing needs, blobs with
        their last link, and bytes of manifests with the manifest.
        """
        return await self.work.run(SYSTEM, lambda unit: self._work_off(unit, limit))

    async def remove_keys(self) -> Collected:
        """The bytes of trashed copies whose time is over are removed, a thousand in one call."""
        total = Collected()
        while True:
            started = monotonic()
            now = self.clock.now()
            doomed = await self.work.run(SYSTEM, lambda unit: copies.doomed(unit, now, KEYS))  # noqa: B023
            if not doomed:
                return total
            keys = [key for key, _ in doomed]
            await self.store.delete(keys)
            await self.work.run(SYSTEM, lambda unit: copies.removed(unit, keys))  # noqa: B023
            one = Collected(keys=len(keys), freed_bytes=sum(size for _, size in doomed))
            self.told(one)
            total += one
            await asyncio.sleep((monotonic() - started) / 2)

    async def _until_done(self) -> Collected:
        """Works until the queue is empty; batches grow and shrink with the time a unit takes."""
        least = min(LEAST_BATCH, self.batch)
        total, size = Collected(), least
        while True:
            started = monotonic()
            one = await self.work_off(size)
            seconds = monotonic() - started
            self.told(one)
            total += one
            if not one.reviewed:
                return total
            await asyncio.sleep(min(seconds * REST, MOST_REST_SECONDS))
            if seconds > UNIT_SECONDS:
                size = max(size // 2, least)
            elif seconds < UNIT_SECONDS / 2:
                size = min(size * 2, self.batch)

    async def _work_off(self, unit: Unit, limit: int) -> Collected:
        now = self.clock.now()
        due: dict[Kind, dict[Place, Review]] = {kind: {} for kind in Kind}
        for each in await reviews.due(unit, now, limit):
            due[each.kind][each.repo_id, each.key] = each
        # One kind in a unit, so that reviews are written behind all locks; the others are due in the next one.
        for kind, work in ((Kind.MANIFEST, self._manifests), (Kind.LINK, self._links), (Kind.BLOB, self._blobs)):
            if due[kind]:
                return Collected(reviewed=len(due[kind])) + await work(unit, due[kind], now)
        return Collected()

    async def _manifests(self, unit: Unit, due: dict[Place, Review], now: datetime) -> Collected:
        found = await garbage.locked_manifests(unit, sorted(due), now)
        going = await garbage.without_parents(unit, [each for each in found if each.is_over])
        gone = {each.place for each in going}
        waiting = [each.place for each in found if each.is_over and each.place not in gone]
        for each in found:
            if not each.is_deleted and not each.is_over:
                await self._without_subject(unit, each, now)
        await self._put_off(unit, Kind.MANIFEST, waiting, due, (now, now + LISTED))
        await reviews.done(unit, Kind.MANIFEST, sorted(set(due) - set(waiting)), now)
        await self._purge(unit, going, due, now)
        return Collected(manifests=len(going))

    async def _purge(self, unit: Unit, going: list[OldManifest], due: dict[Place, Review], now: datetime) -> None:
        by_cause: dict[str, list[OldManifest]] = {}
        for each in going:
            cause = PURGE_NOW if due[each.place].cause == PURGE_NOW else "purged"
            by_cause.setdefault(cause, []).append(each)
        for cause, olds in by_cause.items():
            places = [each.place for each in olds]
            listed = await garbage.listed_by(unit, places)
            for part in reviews.chunks(places):
                await policy.forget(unit, part)
            needed = await garbage.remove_manifests(unit, olds)
            await scanning.forget(unit, [digest for _, digest in places])
            await reviews.ask(unit, Kind.LINK, needed, now, cause)
            await reviews.ask(unit, Kind.BLOB, [(0, digest) for _, digest in places], now, cause)
            # What they listed may have waited for them alone; what referred to them has lost its subject.
            await reviews.ask(unit, Kind.MANIFEST, set(listed) - set(places), now, "parent-purged")
            orphans = await garbage.referrers_of(unit, places)
            await reviews.ask(unit, Kind.MANIFEST, orphans, now + SUBJECT_WAIT, "no-subject")

    async def _without_subject(self, unit: Unit, old: OldManifest, now: datetime) -> None:
        """A referrer whose subject never came goes into the trash, unless a tag or an index holds it."""
        if old.subject is None or await garbage.has_manifest(unit, (old.repo_id, old.subject)):
            return
        if await garbage.has_tag(unit, old.place):
            return
        place = Repository(old.repo_id, old.repository, Project(old.project_id, old.project))
        repository = authorize(KEEPER, Permission.REPO_DELETE, place)
        when, kind = Deletion(now, now + self.trash), operations.Kind.REFERRER
        try:
            await manifests.delete(unit, repository, Digest.parse(old.digest), when, kind)
        except (ManifestUnknownError, StillReferencedError):
            return

    async def _links(self, unit: Unit, due: dict[Place, Review], now: datetime) -> Collected:
        free = await garbage.unreferenced(unit, sorted(due))
        await copies.locked(unit, (digest for _, digest in free))
        links = await garbage.locked_links(unit, free)
        still = set(await garbage.unreferenced(unit, [link.place for link in links]))
        free_links = [link for link in links if link.place in still]
        going, waiting = [], {}
        for link in free_links:
            until = self._kept_until(link, now_or_never=due[link.place].cause == PURGE_NOW)
            if until is None or until <= now:
                going.append(link)
            else:
                waiting[link.place] = until
        await garbage.remove_links(unit, going)
        taken = await self._trash(unit, {link.digest: due[link.place].cause for link in going}, now)
        for place, until in waiting.items():
            await self._put_off(unit, Kind.LINK, [place], due, (now, until))
        await reviews.done(unit, Kind.LINK, sorted(set(due) - set(waiting)), now)
        return taken + Collected(links=len(going))

    async def _blobs(self, unit: Unit, due: dict[Place, Review], now: datetime) -> Collected:
        causes = {digest: each.cause for (_, digest), each in due.items()}
        there = await copies.locked(unit, causes)
        taken = await self._trash(unit, {digest: causes[digest] for digest in there}, now)
        await reviews.done(unit, Kind.BLOB, sorted(due), now)
        return taken

    async def _trash(self, unit: Unit, causes: dict[str, str], now: datetime) -> Collected:
        """Blobs among those of *causes*, all locked, that nothing holds any more: their copies wait for the purger."""
        orphans = await garbage.unheld(unit, causes)
        at_once = [digest for digest in orphans if causes[digest] == PURGE_NOW]
        later = [digest for digest in orphans if causes[digest] != PURGE_NOW]
        size = await copies.trash(unit, later, now + max(PURGED_AFTER, self.backups))
        size += await copies.trash(unit, at_once, now)
        return Collected(blobs=len(orphans), trashed_bytes=size)

    def _kept_until(self, link: Link, *, now_or_never: bool) -> datetime | None:
        """Until when a link stays that nothing needs; None: it need not."""
        if now_or_never:
            return None
        hidden = link.hidden_at + self.trash if link.hidden_at is not None else None
        return max(filter(None, (hidden, link.leased_until)), default=None)

    async def _put_off(
        self, unit: Unit, kind: Kind, places: list[Place], due: dict[Place, Review], times: tuple[datetime, datetime]
    ) -> None:
        await reviews.put_off(unit, kind, places, *times)
        often = [place for place in places if due[place].attempts >= OFTEN]
        if often:
            log.warning("lifecycle.review_put_off", kind=kind.value, places=len(often), first=often[0])
