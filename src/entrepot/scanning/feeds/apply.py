"""Brings a feed into force: what differs from before is written, and what that touches is matched again.

A feed may not make us know less: an older one, or one that lost more than a fifth, is refused unless forced. A crash
anywhere is made good by running the job again: changed names wait in a table until they are matched.
"""

import asyncio
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Final, TypeVar

from entrepot.clock import Clock
from entrepot.content.model import INCOMING
from entrepot.content.ports import BlobStore
from entrepot.runtime.events.model import SYSTEM, Actor
from entrepot.runtime.unit_of_work import Work
from entrepot.scanning import store as scans
from entrepot.scanning.errors import FeedInvalidError, FeedRefusedError
from entrepot.scanning.feeds import store
from entrepot.scanning.feeds.read import Feed, read_feed
from entrepot.scanning.jobs import ApplyFeed, FeedApplied, FeedRefused, Rematch, ScanImage
from entrepot.scanning.model import Advisory

BATCH: Final = 1_000
MAX_SHRINK: Final = 0.2
# Raise it with any change that reads the same record otherwise: the next import then writes it anew.
READER_VERSION: Final = 2
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Changes:
    """What a feed changes: advisories to write, keys to drop, and counts for the log."""

    write: list[Advisory]
    drop: list[store.Key]
    added: int


@dataclass(frozen=True, slots=True)
class ApplyFeeds:
    """Runs `feed.apply` on feeds that wait in *files*."""

    work: Work
    files: BlobStore
    clock: Clock

    async def __call__(self, job: ApplyFeed) -> None:
        """The feed is in force when this returns, or refused for good: then the file is gone and the log says why."""
        key, by = f"{INCOMING}/{job.upload}", Actor(job.actor, "person")
        if await self.files.size(key) is None:
            return  # applied before: only the end of the job was lost
        try:
            async with self.files.opened(key) as path:
                header, advisories = await asyncio.to_thread(read_feed, path)
                source = job.source or header.source
                await self._check(source, header, force=job.force)
                await self._apply(by, source, header, advisories, path)
        except (FeedInvalidError, FeedRefusedError) as error:
            field = getattr(error, "field", None)
            reason = f"{error.message} ({field})" if field else error.message
            async with self.work(by) as unit:
                unit.emit(FeedRefused(source=job.source, outcome="denied", reason=reason))
            await self.files.delete([key])
            raise
        await self.files.delete([key])

    async def _check(self, source: str, header: Feed, *, force: bool) -> None:
        async with self.work(SYSTEM) as unit:
            before = await store.known(unit, source)
        if before is None or force:
            return
        built_at, records, _ = before
        if header.built_at and built_at and header.built_at.isoformat() < built_at:
            raise FeedRefusedError(
                f"feed {source} of {header.built_at.isoformat()} is older than the one in force, of {built_at}; "
                "use --force to take it all the same, or --source to keep both"
            )
        if header.records < records * (1 - MAX_SHRINK):
            raise FeedRefusedError(
                f"feed {source} has {header.records} records, the one in force has {records}; "
                "use --force to take it all the same, or --source to keep both"
            )

    async def _apply(self, by: Actor, source: str, header: Feed, advisories: Iterator[Advisory], path: Path) -> None:
        async with self.work(SYSTEM) as unit:
            await store.announce(unit, source, header.form.value, self.clock.now())
            known = await store.hashes(unit, source)
        changes = await asyncio.to_thread(_changes, known, advisories)
        for batch in _batches(iter(changes.write)):
            async with self.work(SYSTEM) as unit:
                await store.put_advisories(unit, source, batch)
                await scans.mark_changed(unit, {(each.namespace, each.package) for each in batch})
        for keys in _batches(iter(changes.drop)):
            async with self.work(SYSTEM) as unit:
                await store.drop_advisories(unit, source, keys)
                await scans.mark_changed(unit, {(namespace, package) for namespace, package, _ in keys})
        digest = await asyncio.to_thread(lambda: hashlib.sha256(path.read_bytes()).hexdigest())
        async with self.work(by) as unit:
            await unit.serialize(*scans.FEEDS)
            moved = await store.put_feed(unit, source, replace(header, source=source), digest, self.clock.now())
            for image in await scans.images_in(unit, moved):
                unit.enqueue(ScanImage(image, again=True))
            unit.enqueue(Rematch())
            event = FeedApplied(
                source=source,
                records=header.records,
                added=changes.added,
                changed=len(changes.write) - changes.added,
                removed=len(changes.drop),
            )
            unit.emit(event)


def _changes(known: dict[store.Key, str], advisories: Iterator[Advisory]) -> _Changes:
    """The difference by content hash: a feed that rewrote only its time stamps changes nothing."""
    left, write, added = dict(known), [], 0
    for each in advisories:
        key = (each.namespace, each.package, each.id)
        before = left.pop(key, known.get(key))
        content = f"{READER_VERSION}:{each.content_hash}"
        if before != content:
            write.append(replace(each, content_hash=content))
            added += before is None
    return _Changes(write, list(left), added)


def _batches(items: Iterator[T]) -> Iterator[list[T]]:
    while batch := list(islice(items, BATCH)):
        yield batch
