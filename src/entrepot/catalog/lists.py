"""Lists of what exists, each filtered, sorted and paged by the one language of lists."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Select, and_, case, func, or_, select

from entrepot.access.model import Project, Repository, Site
from entrepot.access.scoped import Scoped
from entrepot.catalog.model import ASIDE
from entrepot.catalog.operations import COLUMNS as OPERATION_COLUMNS
from entrepot.catalog.operations import Operation
from entrepot.catalog.queries import ProjectRow, TagRow
from entrepot.catalog.tables import operation, project, repo, tag
from entrepot.runtime.database import Database
from entrepot.runtime.filters import Field, Kind
from entrepot.runtime.lists import Listing, Part, Wanted
from entrepot.runtime.pages import Columns

PROJECTS: Final = Listing(
    {
        "name": Field(Kind.TEXT),
        "visibility": Field(Kind.TEXT),
        "strict_sizes": Field(Kind.BOOLEAN),
        "created_at": Field(Kind.INSTANT),
        "repositories": Field(Kind.NUMBER),
    },
    key="name",
    default="name",
)
TAGS: Final = Listing(
    {
        "name": Field(Kind.TEXT),
        "natural": Field(Kind.TEXT, filters=False),
        "digest": Field(Kind.TEXT),
        "rev": Field(Kind.NUMBER),
        "moved_at": Field(Kind.INSTANT),
        "locked": Field(Kind.BOOLEAN),
        "locked_by": Field(Kind.TEXT, optional=True),
    },
    key="name",
    default="name",
)
OPERATIONS: Final = Listing(
    {
        "id": Field(Kind.TEXT),
        "kind": Field(Kind.TEXT),
        "state": Field(Kind.TEXT, sorts=False),
        "project": Field(Kind.TEXT),
        "repository": Field(Kind.TEXT),
        "reference": Field(Kind.TEXT),
        "actor": Field(Kind.TEXT),
        "at": Field(Kind.INSTANT),
        "undo_until": Field(Kind.INSTANT),
    },
    key="id",
    default="-id",
)
NATURAL: Final = "natural"

REPOSITORIES: Final = (
    select(func.count())
    .where(and_(repo.c.project_id == project.c.id, repo.c.deleted_at.is_(None)))
    .correlate(project)
    .scalar_subquery()
)
PROJECT_COLUMNS: Final = Columns(
    PROJECTS,
    {name: project.c[name] for name in PROJECTS.fields if name != "repositories"} | {"repositories": REPOSITORIES},
)
TAG_COLUMNS: Final = Columns(
    TAGS,
    {name: tag.c[name] for name in TAGS.fields if name not in {NATURAL, "locked"}}
    | {NATURAL: tag.c.natural_key, "locked": tag.c.locked_by.is_not(None)},
)


@dataclass(frozen=True, slots=True)
class CatalogLists:
    """Asks *database*."""

    database: Database

    async def projects(self, ids: Iterable[int] | None, wanted: Wanted) -> Part[ProjectRow]:
        """Projects; only those of *ids*, if given."""
        columns = (project.c.id, project.c.uid, project.c.name, project.c.created_at)
        question = select(*columns, project.c.visibility, project.c.strict_sizes, REPOSITORIES)
        question = question.where(project.c.name.not_like(f"{ASIDE}%"))
        question = question.where(project.c.id.in_(list(ids))) if ids is not None else question
        async with self.database.reading() as connection:
            part = await PROJECT_COLUMNS.page(connection, question, wanted)
        return Part([ProjectRow(*row[:7]) for row in part.items], part.next, part.total)

    async def tags(self, repository: Scoped[Repository], wanted: Wanted) -> Part[TagRow]:
        """Tags of *repository*."""
        columns = (tag.c.name, tag.c.digest, tag.c.rev, tag.c.moved_at, tag.c.locked_by)
        question = select(*columns).where(tag.c.repo_id == repository.resource.id)
        async with self.database.reading() as connection:
            part = await TAG_COLUMNS.page(connection, question, wanted)
        return Part([TagRow(*row[:5]) for row in part.items], part.next, part.total)

    async def operations(self, owner: Scoped[Project], wanted: Wanted, now: datetime) -> Part[Operation]:
        """Operations in *owner*."""
        question = select(*OPERATION_COLUMNS).where(operation.c.project == owner.resource.name)
        return await self._operations(question, wanted, now)

    async def all_operations(self, site: Scoped[Site], wanted: Wanted, now: datetime) -> Part[Operation]:
        """Operations anywhere."""
        del site  # the proof is enough
        return await self._operations(select(*OPERATION_COLUMNS), wanted, now)

    async def _operations(self, question: Select[Any], wanted: Wanted, now: datetime) -> Part[Operation]:
        over = or_(operation.c.purged_at.is_not(None), operation.c.undo_until <= now)
        state = case((operation.c.undone_at.is_not(None), "undone"), (over, "purged"), else_="open")
        of = {name: operation.c[name] for name in OPERATIONS.fields if name != "state"} | {"state": state}
        async with self.database.reading() as connection:
            part = await Columns(OPERATIONS, of).page(connection, question, wanted)
        return Part([Operation.of(row) for row in part.items], part.next, part.total)
