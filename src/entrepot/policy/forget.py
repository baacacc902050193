"""What was judged and is gone: its verdict and gate go with it."""

from collections.abc import Sequence

from sqlalchemy import delete

from entrepot.catalog.reviews import among
from entrepot.policy.tables import gate, verdict
from entrepot.runtime.unit_of_work import Unit


async def forget(unit: Unit, places: Sequence[tuple[int, str]]) -> None:
    """Verdicts and gates of *places* (repository row, digest; at most a few hundred) are no more."""
    for table in (gate, verdict):
        await unit.execute(delete(table).where(among(table.c.repo_id, table.c.digest, places)))
