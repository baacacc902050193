"""Questions about promotions: the board of what waits, one of them, and the way of a digest through the stages."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from sqlalchemy import select

from entrepot.access.model import Project
from entrepot.access.scoped import Scoped
from entrepot.catalog.stages import Pipeline, read_pipeline
from entrepot.catalog.tables import project
from entrepot.clock import Clock
from entrepot.lifecycle import promotions
from entrepot.lifecycle.errors import PromotionUnknownError
from entrepot.lifecycle.model import Promotion, PromotionState
from entrepot.lifecycle.tables import promotion, promotion_item
from entrepot.runtime.database import Database
from entrepot.runtime.filters import Field, Kind
from entrepot.runtime.lists import Listing, Part, Wanted
from entrepot.runtime.pages import Columns

PROMOTIONS: Final = Listing(
    {
        "id": Field(Kind.TEXT),
        "project": Field(Kind.TEXT),
        "source": Field(Kind.TEXT),
        "target": Field(Kind.TEXT),
        "stage": Field(Kind.TEXT),
        "state": Field(Kind.TEXT),
        "actor": Field(Kind.TEXT),
        "at": Field(Kind.INSTANT),
    },
    key="id",
    default="-id",
)
COLUMNS: Final = Columns(
    PROMOTIONS,
    {
        "id": promotion.c.id,
        "project": project.c.name,
        "source": promotion.c.source,
        "target": promotion.c.target,
        "stage": promotion.c.stage,
        "state": promotion.c.state,
        "actor": promotion.c.actor,
        "at": promotion.c.at,
    },
)
MOST: Final = 200
"""So many promotions of one digest its history shows, the newest first."""


@dataclass(frozen=True, slots=True)
class PromotionLists:
    """Asks *database*."""

    database: Database
    clock: Clock

    async def __call__(self, project_ids: Iterable[int] | None, wanted: Wanted) -> Part[Promotion]:
        """Promotions, the newest first; only those in the projects *project_ids*, if given."""
        question = select(promotion).join(project, project.c.id == promotion.c.project_id)
        question = question if project_ids is None else question.where(promotion.c.project_id.in_(list(project_ids)))
        async with self.database.reading() as connection:
            part = await COLUMNS.page(connection, question, wanted)
            rows = await promotions.read(connection, part.items, self.clock.now())
        return Part(rows, part.next, part.total)

    async def one(self, id_: str) -> tuple[str, Promotion]:
        """The promotion *id_*, and the name of its project. Raises PromotionUnknownError."""
        question = select(promotion, project.c.name.label("project"))
        question = question.join(project, project.c.id == promotion.c.project_id).where(promotion.c.id == id_)
        async with self.database.reading() as connection:
            row = (await connection.execute(question)).one_or_none()
            if row is None:
                raise PromotionUnknownError
            (found,) = await promotions.read(connection, [row], self.clock.now())
        return str(row.project), found

    async def of_digest(self, owner: Scoped[Project], digest: str) -> list[Promotion]:
        """Promotions of the project that moved *digest*, the newest first: its way through the stages."""
        moved = select(promotion_item.c.promotion_id).where(promotion_item.c.digest == digest)
        question = select(promotion).where(
            promotion.c.project_id == owner.resource.id,
            promotion.c.state == PromotionState.EXECUTED.value,
            promotion.c.id.in_(moved),
        )
        async with self.database.reading() as connection:
            rows = (await connection.execute(question.order_by(promotion.c.id.desc()).limit(MOST))).all()
            return await promotions.read(connection, rows, self.clock.now())

    async def pipeline(self, owner: Scoped[Project]) -> Pipeline:
        """The project's pipeline."""
        question = select(project.c.pipeline).where(project.c.id == owner.resource.id)
        async with self.database.reading() as connection:
            return read_pipeline((await connection.execute(question)).scalar_one_or_none())

    async def waiting(self) -> tuple[int, float]:
        """How many promotions wait, and since how many seconds the first does (0: none)."""
        question = select(promotion.c.at).where(promotion.c.state == PromotionState.WAITING.value)
        async with self.database.reading() as connection:
            rows = [row.at for row in await connection.execute(question.order_by(promotion.c.id))]
        now = self.clock.now()
        open_ = [at for at in rows if not promotions.expired(at, now)]
        return len(open_), (now - min(open_)).total_seconds() if open_ else 0.0
