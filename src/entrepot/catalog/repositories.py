"""Repositories come to be with the first push into them."""

from datetime import datetime

from sqlalchemy import select

from entrepot.access.authorize import made
from entrepot.access.model import Repository
from entrepot.access.scoped import Scoped
from entrepot.catalog.model import RepositoryCreated
from entrepot.catalog.tables import repo
from entrepot.ids import uuid7
from entrepot.runtime.unit_of_work import Unit
from entrepot.runtime.upsert import insert_or


async def ensure(unit: Unit, repository: Scoped[Repository], now: datetime) -> Scoped[Repository]:
    """*repository* with its row, made if it is not there."""
    wanted = repository.resource
    if wanted.id:
        return repository
    values = {"uid": uuid7(), "project_id": wanted.project.id, "name": wanted.name, "created_at": now}
    row = await unit.fetch_one(insert_or(repo).values(values).on_conflict_do_nothing().returning(repo.c.id))
    if row is not None:
        unit.emit(RepositoryCreated(project=wanted.project.name, repository=wanted.name))
        return made(repository, int(row.id))
    found = await unit.fetch_one(
        select(repo.c.id).where(repo.c.name == wanted.name, repo.c.project_id == wanted.project.id)
    )
    assert found is not None  # noqa: S101  the name was taken a statement ago, and names do not move
    return made(repository, int(found.id))
