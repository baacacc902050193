"""What was scanned and is nowhere any more: its scan goes with it. Facts of layers stay, they are true for ever."""

from collections.abc import Sequence

from sqlalchemy import delete, select

from entrepot.catalog.tables import manifest
from entrepot.runtime.unit_of_work import Unit
from entrepot.scanning.tables import image_scan


async def forget(unit: Unit, digests: Sequence[str]) -> None:
    """Scans of those of *digests* (at most a few hundred) that no repository has any more are gone."""
    there = select(manifest.c.digest).where(manifest.c.digest == image_scan.c.digest).exists()
    await unit.execute(delete(image_scan).where(image_scan.c.digest.in_(list(digests)), ~there))
