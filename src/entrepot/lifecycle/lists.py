"""The list of repositories: what each holds, and when it was last pushed to and pulled from."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Select, func, select

from entrepot.audit.tables import last_pull
from entrepot.catalog.tables import manifest, project, repo, repo_blob, tag
from entrepot.runtime.database import Database
from entrepot.runtime.filters import Field, Kind
from entrepot.runtime.lists import Listing, Part, Wanted
from entrepot.runtime.pages import Columns

REPOSITORIES: Final = Listing(
    {
        "name": Field(Kind.TEXT),
        "project": Field(Kind.TEXT),
        "created_at": Field(Kind.INSTANT),
        "tags": Field(Kind.NUMBER),
        "pushed_at": Field(Kind.INSTANT, optional=True),
        "pulled_at": Field(Kind.INSTANT, optional=True),
    },
    key="name",
    default="name",
)
TAGS: Final = select(func.count()).where(tag.c.repo_id == repo.c.id).correlate(repo).scalar_subquery()
PUSHED: Final = (
    select(func.max(manifest.c.pushed_at, type_=manifest.c.pushed_at.type))
    .where(manifest.c.repo_id == repo.c.id)
    .correlate(repo)
    .scalar_subquery()
)
COLUMNS: Final = Columns(
    REPOSITORIES,
    {
        "name": repo.c.name,
        "project": project.c.name,
        "created_at": repo.c.created_at,
        "tags": TAGS,
        "pushed_at": PUSHED,
        "pulled_at": last_pull.c.at,
    },
)


@dataclass(frozen=True, slots=True)
class RepositoryRow:
    """A repository. size: of all that it links and holds, trash included, in bytes; None: it was not asked for."""

    name: str
    project: str
    created_at: datetime
    tags: int
    pushed_at: datetime | None
    pulled_at: datetime | None
    size: int | None


@dataclass(frozen=True, slots=True)
class RepositoryLists:
    """Asks *database*."""

    database: Database

    async def __call__(
        self, project_ids: Iterable[int] | None, wanted: Wanted, *, sizes: bool = False
    ) -> Part[RepositoryRow]:
        """Repositories that are not deleted; only those of the projects *project_ids*, if given.

        sizes: whether to sum up what each holds, which reads every link of the page's repositories.
        """
        question = _joined(repo.c.id).where(repo.c.deleted_at.is_(None))
        question = question if project_ids is None else question.where(repo.c.project_id.in_(list(project_ids)))
        columns = (repo.c.name, project.c.name, repo.c.created_at, TAGS, PUSHED, last_pull.c.at)
        async with self.database.reading() as connection:
            # First which, by what the order and the filter need, then what is shown of them.
            part = await COLUMNS.page(connection, question, wanted)
            ids = [row.id for row in part.items]
            shown = await connection.execute(_joined(repo.c.id, *columns).where(repo.c.id.in_(ids)))
            found = {row.id: row for row in shown}
            summed = await _sizes(connection, ids) if sizes else {}
        rows = [
            RepositoryRow(name, owner, created_at, tags, pushed_at, pulled_at, summed.get(id_, 0) if sizes else None)
            for id_, name, owner, created_at, tags, pushed_at, pulled_at in (found[id_] for id_ in ids)
        ]
        return Part(rows, part.next, part.total)


def _joined(*columns: Any) -> Select[Any]:
    question = select(*columns).select_from(repo).join(project, project.c.id == repo.c.project_id)
    return question.outerjoin(last_pull, last_pull.c.repository == repo.c.name)


async def _sizes(connection: Any, repo_ids: list[int]) -> dict[int, int]:
    """Bytes that each repository links and holds: asked for the page alone, for it reads each link."""
    links = select(repo_blob.c.repo_id, func.sum(repo_blob.c.size)).where(repo_blob.c.repo_id.in_(repo_ids))
    manifests = select(manifest.c.repo_id, func.sum(manifest.c.size)).where(manifest.c.repo_id.in_(repo_ids))
    sizes: dict[int, int] = {}
    for question in (links.group_by(repo_blob.c.repo_id), manifests.group_by(manifest.c.repo_id)):
        for repo_id, size in await connection.execute(question):
            sizes[repo_id] = sizes.get(repo_id, 0) + int(size)
    return sizes
