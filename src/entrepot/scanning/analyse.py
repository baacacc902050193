"""A blob came in: if it is a layer, a child reads it once, and its facts are kept for as long as the layer."""

import asyncio
import hashlib
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Final

import structlog

from entrepot.catalog import blobs
from entrepot.clock import Clock
from entrepot.content import copies
from entrepot.content.errors import CopySuspectError
from entrepot.content.model import FACTS
from entrepot.content.ports import BlobStore, StoredBytes
from entrepot.ids import ulid
from entrepot.oci.digest import Digest
from entrepot.runtime.events.model import SYSTEM
from entrepot.runtime.telemetry.work import WorkMetrics
from entrepot.runtime.unit_of_work import Unit, Work
from entrepot.scanning import store
from entrepot.scanning.codec import pack
from entrepot.scanning.errors import AnalyserError
from entrepot.scanning.jobs import ScanImage, ScanLayer
from entrepot.scanning.layers.compression import sniff
from entrepot.scanning.layers.known_paths import BINARY_EXTRACTORS, EXTRACTORS
from entrepot.scanning.layers.pool import LayerPool
from entrepot.scanning.model import FACTS_FORMAT, LayerFacts, Problem, ScanStatus

HEAD_BYTES: Final = 512
# Raise it with any change that lets the same bytes give other facts: layers are then read again.
ANALYSER_VERSION: Final = 2
MISMATCH: Final = "digest_mismatch"
ENGINE: Final = "analyser"
"""What reads layers, as the metrics call it."""

log = structlog.get_logger("scan")


def analyser_set() -> str:
    """The name of what reads layers here: equal sets give equal facts. SHA-256 over names and versions."""
    names = sorted([each.name for each in EXTRACTORS] + [each.name for each in BINARY_EXTRACTORS])
    parts = [f"format={FACTS_FORMAT}", f"version={ANALYSER_VERSION}", *names]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class AnalyseLayer:
    """Runs `scan.layer`."""

    work: Work
    files: BlobStore
    pool: LayerPool
    clock: Clock
    metrics: WorkMetrics

    async def __call__(self, job: ScanLayer) -> None:
        """The facts of the layer are there when this returns; of a blob that is no layer nothing is kept.

        Raises CopySuspectError: the bytes are not there now, or damaged; the job is tried again.
        """
        digest, analysers = Digest.parse(job.digest), analyser_set()
        async with self.work(SYSTEM) as unit:
            if await store.facts_key(unit, job.digest, analysers) is not None:
                # An image may have begun to wait in the same moment as the facts came.
                await _wake(unit, job.digest)
                return
            copy = await copies.copy_key(unit, digest)
            is_layer = await store.is_layer(unit, job.digest)
        if copy is None:
            raise CopySuspectError(job.digest)
        if not is_layer and not sniff(await _head(self.files, copy[0], copy[1])):
            return
        async with self.files.opened(copy[0]) as path:
            facts = await self._read(path, digest, copy[1])
            is_other = not facts.complete and await asyncio.to_thread(_digest_of, path, digest.algorithm) != digest.hex
        if is_other:
            # Not the layer is to blame, but the disk: what is left of the layer says nothing of it.
            async with self.work(SYSTEM) as unit:
                await blobs.suspect(unit, copy[0], "other bytes than were pushed")
            raise CopySuspectError(copy[0])
        if any(problem.code == MISMATCH for problem in facts.problems):
            # These are facts of other bytes. The copy is not served again; a push brings a good one.
            async with self.work(SYSTEM) as unit:
                await blobs.suspect(unit, copy[0], "other bytes than were pushed")
            raise CopySuspectError(copy[0])
        key = f"{FACTS}/{analysers}/{digest.algorithm}-{digest.hex}.{ulid()}"
        await self.files.put(key, await asyncio.to_thread(pack, facts))
        async with self.work(SYSTEM) as unit:
            await store.add_facts(unit, facts, analysers, key, self.clock.now())
            await _wake(unit, job.digest)

    async def _read(self, path: Path, digest: Digest, size: int) -> LayerFacts:
        started = monotonic()
        try:
            with await asyncio.to_thread(path.open, "rb") as file:
                facts = await self.pool.analyse(file, digest, size)
        except AnalyserError as error:
            # A layer that breaks its reader is not clean, and not unread for ever either: it is partial, and says so.
            log.warning("layer.unreadable", digest=str(digest), reason=error.reason)
            problem = Problem(f"analyser:layer:{error.reason}")
            facts = LayerFacts(str(digest), "", "", size, 0, 0, complete=False, problems=(problem,))
            status = ScanStatus.FAILED
        else:
            status = ScanStatus.COMPLETE if facts.complete else ScanStatus.PARTIAL
        self.metrics.scanned(ENGINE, status, monotonic() - started)
        return facts


async def _wake(unit: Unit, layer: str) -> None:
    for image in await store.images_waiting_for(unit, layer):
        unit.enqueue(ScanImage(image))


def _digest_of(path: Path, algorithm: str) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, algorithm).hexdigest()


async def _head(files: StoredBytes, key: str, size: int) -> bytes:
    if not size:
        return b""
    async with aclosing(files.stream(key, 0, min(HEAD_BYTES, size))) as pieces:
        return b"".join([piece async for piece in pieces])
