"""An image came in: its layers' facts are laid over one another, its packages matched, and the result kept.

Only package versions never seen before are matched. Matching reads advisories outside the transaction; if a feed
came into force meanwhile, it is done again: so a version is either matched with the new feed here, or was there in
time for the feed's own re-evaluation.
"""

import asyncio
import hashlib
from contextlib import aclosing
from dataclasses import dataclass
from itertools import groupby, islice
from time import monotonic
from typing import Any, Final

from entrepot.clock import Clock
from entrepot.content import copies
from entrepot.content.model import FACTS
from entrepot.content.ports import BlobStore
from entrepot.ids import ulid
from entrepot.oci import mediatype
from entrepot.oci.document import parse
from entrepot.oci.errors import ManifestInvalidError
from entrepot.oci.manifest import Manifest
from entrepot.runtime.database import Database
from entrepot.runtime.events.model import SYSTEM
from entrepot.runtime.telemetry.work import WorkMetrics
from entrepot.runtime.unit_of_work import Unit, Work
from entrepot.scanning import store
from entrepot.scanning.analyse import analyser_set
from entrepot.scanning.codec import pack, unpack_layer
from entrepot.scanning.errors import ScanUnknownError
from entrepot.scanning.index.match import match
from entrepot.scanning.jobs import ImageScanned, ScanImage, ScanLayer
from entrepot.scanning.layers.overlay import overlay
from entrepot.scanning.model import Finding, ImageFacts, ImagePackage, LayerFacts, ScanStatus

MAX_CONFIG: Final = 4 << 20
MAX_VERSIONS: Final = 100
MAX_TEXT: Final = 255
MAX_LABEL: Final = 128
ENGINE: Final = "matcher"
"""What puts images together and matches them, as the metrics call it."""

FINAL: Final = frozenset({ScanStatus.COMPLETE, ScanStatus.PARTIAL, ScanStatus.FAILED, ScanStatus.NOT_APPLICABLE})


@dataclass(frozen=True, slots=True)
class _Layers:
    """The facts of an image's layers, lowest first (None: not distributed), and its config document."""

    facts: tuple[LayerFacts | None, ...]
    foreign: bool
    config: dict[str, Any]


@dataclass(frozen=True, slots=True)
class AssessImage:
    """Runs `scan.image`."""

    work: Work
    database: Database
    files: BlobStore
    clock: Clock
    metrics: WorkMetrics

    async def __call__(self, job: ScanImage) -> None:
        """The image's result is there when this returns, or it waits for layers, whose jobs will call again."""
        started = monotonic()
        layers = await self._layers(job, analyser_set())
        if layers is None:
            return
        facts = overlay(layers.facts, layers.config)
        reasons = set(facts.reasons) | ({"foreign_layer"} if layers.foreign else set())
        key = f"{FACTS}/images/{job.digest.replace(':', '-')}.{ulid()}"
        await self.files.put(key, await asyncio.to_thread(pack, facts))
        while (status := await self._keep(job.digest, facts, reasons, layers.config, key)) is None:
            pass
        self.metrics.scanned(ENGINE, status, monotonic() - started)

    async def _layers(self, job: ScanImage, analysers: str) -> _Layers | None:
        """Everything to overlay; None if there is nothing to do now."""
        async with self.work(SYSTEM) as unit:
            status = await store.image_status(unit, job.digest, analysers)
            if status in FINAL and not job.again:
                return None
            body = await store.manifest_bytes(unit, job.digest)
            if body is None:
                raise ScanUnknownError("no repository has this manifest any more")
            manifest = Manifest.parse(body, "")
            keys = [(layer, await store.facts_key(unit, str(layer.digest), analysers)) for layer in manifest.layers]
            missing = [x for x, key in keys if key is None and not mediatype.is_foreign(x.media_type)]
            if missing:
                await store.put_waiting(unit, job.digest, len(missing), analysers, self.clock.now())
                for layer in missing:
                    unit.enqueue(ScanLayer(str(layer.digest)))
                return None
            config = await copies.copy_key(unit, manifest.config.digest) if manifest.config else None
        read = [None if key is None else await self._facts(key) for _, key in keys]
        document = await self._config(*config) if config else {}
        return _Layers(tuple(read), any(key is None for _, key in keys), document)

    async def _facts(self, key: str) -> LayerFacts:
        return await asyncio.to_thread(unpack_layer, await self.files.get(key))

    async def _config(self, key: str, size: int) -> dict[str, Any]:
        """The image's config document; an unreadable one is an empty one, and then layers and diff_ids do not agree."""
        async with aclosing(self.files.stream(key, 0, min(size, MAX_CONFIG))) as pieces:
            body = b"".join([piece async for piece in pieces]) if size else b""
        return await asyncio.to_thread(_parsed, body)

    async def _keep(
        self, digest: str, facts: ImageFacts, reasons: set[str], config: dict[str, Any], key: str
    ) -> ScanStatus | None:
        """Matches and keeps; what came of it, None if a feed came in between: then nothing was done."""
        wanted, more = _bounded(sorted({_version(package) for package in facts.packages}))
        reasons = reasons | more
        async with self.database.reading() as connection:
            stamp = await store.feed_stamp(connection)
            known = await store.known_versions(connection, wanted)
            new = [version for version in wanted if version not in known]
            advisories = await store.advisories(connection, sorted({(a, b) for a, b, _ in new}))
            covered = await store.coverage(connection, {namespace for namespace, _, _ in wanted})
        found = await asyncio.to_thread(
            lambda: {version: match(*version, advisories.get(version[:2], [])) for version in new}
        )
        reasons = reasons | set(_uncovered(wanted, covered))
        status = ScanStatus.PARTIAL if reasons else ScanStatus.COMPLETE
        async with self.work(SYSTEM) as unit:
            await unit.serialize(*store.FEEDS)
            if await store.feed_stamp(unit.connection) != stamp:
                return None
            set_id = await self._keep_packages(unit, wanted, found)
            platform = "/".join(str(config[x]) for x in ("os", "architecture", "variant") if config.get(x))
            scan = store.Scan(status, tuple(sorted(reasons)), _label(facts.os), _label(platform), key, set_id)
            await store.put_scan(unit, digest, scan, analyser_set(), self.clock.now())
            event = ImageScanned(digest=digest, status=status.value, reasons=scan.reasons, packages=len(facts.packages))
            unit.emit(event)
        return status

    async def _keep_packages(
        self, unit: Unit, wanted: list[store.Version], found: dict[store.Version, tuple[Finding, ...]]
    ) -> int:
        ids = await store.add_versions(unit, wanted)
        # A version that came in meanwhile was matched with the same feeds, so its findings are these.
        await store.add_findings(
            unit, ((ids[version], findings) for version, findings in found.items()), self.clock.now()
        )
        text = "\n".join("\0".join(version) for version in wanted)
        hash_ = hashlib.sha256(text.encode()).hexdigest()
        return await store.add_set(unit, hash_, [ids[version] for version in wanted])


def _bounded(versions: list[store.Version]) -> tuple[list[store.Version], set[str]]:
    """*versions*, sorted, at most MAX_VERSIONS of each package, and the reasons if that left some out.

    No honest image has more; one made to have them would fill the database with findings and hold up every writer.
    Nor has one a name that no database takes.
    """
    written = [version for version in versions if all(len(text) <= MAX_TEXT and "\0" not in text for text in version)]
    kept = [v for _, same in groupby(written, key=lambda v: v[:2]) for v in islice(same, MAX_VERSIONS)]
    reasons = set() if len(written) == len(versions) else {"limit:text"}
    return kept, reasons if len(kept) == len(written) else reasons | {"limit:versions"}


def _label(text: str) -> str:
    return text.replace("\0", "")[:MAX_LABEL]


def _version(found: ImagePackage) -> store.Version:
    return (found.namespace, found.package.source_name, found.package.source_version)


def _uncovered(wanted: list[store.Version], covered: dict[str, store.Coverage]) -> list[str]:
    """What no feed speaks of is not known to be clean: `no_feed:<namespace>`, with the part that is missing, if any."""
    found = set()
    for namespace, name, _ in wanted:
        known = covered.get(namespace)
        if known is None or not known.has(name):
            found |= {f"no_feed:{namespace}/{part}" for part in (known.missing if known else ())} or {
                f"no_feed:{namespace}"
            }
    return sorted(found)


def _parsed(body: bytes) -> dict[str, Any]:
    try:
        return parse(body)
    except ManifestInvalidError:
        return {}
