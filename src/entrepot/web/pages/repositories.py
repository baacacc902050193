"""Pages: repositories, and the tags of one."""

from typing import Final

from starlette.responses import Response

from entrepot.access.authorize import visible_projects
from entrepot.access.model import Permission
from entrepot.catalog.lists import NATURAL, TAGS
from entrepot.catalog.queries import TagRow
from entrepot.errors import NotFoundError
from entrepot.lifecycle.lists import REPOSITORIES, RepositoryRow
from entrepot.policy.model import Outcome
from entrepot.runtime.lists import Listing, Part, Wanted
from entrepot.web.pages.commands import pull_commands, push_commands
from entrepot.web.pages.lists import Column, Shown, answer, listed
from entrepot.web.pages.promotions import next_stages
from entrepot.web.pages.tags import bulk_of, tag_address
from entrepot.web.pages.verdicts import address_of
from entrepot.web.pages.visit import Visit, page

NONE_YET: Final = "No repository yet: the first push makes one."
COLUMNS: Final[tuple[Column[RepositoryRow], ...]] = (
    Column("name", "Name", lambda row: row.name, link=lambda row: f"/repositories/{row.name}"),
    Column("tags", "Tags", lambda row: row.tags),
    Column("pushed_at", "Last push", lambda row: row.pushed_at, Shown.TIME),
    Column("pulled_at", "Last pull", lambda row: row.pulled_at, Shown.TIME),
    Column("created_at", "Created", lambda row: row.created_at, Shown.TIME),
)
ANY_TAG: Final = "TAG"


async def show_repositories(visit: Visit) -> Response:
    """The repositories of all projects one sees."""
    ids = visible_projects(visit.context.principal)
    view = await listed(
        visit,
        "Repositories",
        REPOSITORIES,
        COLUMNS,
        lambda wanted: visit.services.repositories(ids, wanted),
        empty=NONE_YET,
    )
    return answer(visit, "list.html", view, title="Repositories", lead="")


async def show_repository(visit: Visit) -> Response:
    """The tags of a repository: those of one digest stand in a row of their own each, and name one another."""
    name = visit.http.path_params["name"]
    if "/-/" in name:
        raise NotFoundError("a repository has no such page")
    repository = await visit.context.repository(Permission.REPO_READ, name)
    services = visit.services
    outcomes: dict[str, Outcome] = {}
    same: dict[str, list[str]] = {}

    async def ask(wanted: Wanted) -> Part[TagRow]:
        part = await services.lists.tags(repository, wanted)
        outcomes.update(await services.policy.outcomes_of(repository, {row.digest for row in part.items}))
        for row in part.items:
            same.setdefault(row.digest, []).append(row.name)
        return part

    columns: tuple[Column[TagRow], ...] = (
        Column(NATURAL, "Tag", lambda row: row.name, link=lambda row: tag_address(name, row.name)),
        Column("digest", "Digest", lambda row: row.digest, Shown.DIGEST, lambda row: address_of(name, row.digest)),
        Column("verdict", "Verdict", lambda row: outcomes.get(row.digest, Outcome.PENDING).value, Shown.BADGE),
        Column("same", "Same image here", lambda row: [each for each in same[row.digest] if each != row.name]),
        Column("moved_at", "Moved", lambda row: row.moved_at, Shown.TIME),
        Column("rev", "Moves", lambda row: row.rev),
        Column("locked_by", "Locked by", lambda row: row.locked_by),
    )
    stage, onward = await next_stages(visit, name)
    refused_delete = visit.refused(Permission.REPO_DELETE, repository.resource)
    bulk = bulk_of(name, onward, refused_delete, visit.refused(Permission.PROMOTION_REQUEST, repository.resource))
    empty = "No tag is left: what was deleted lies in the trash of the project for a time."
    view = await listed(visit, f"Tags of {name}", NATURALLY, columns, ask, empty=empty, bulk=bulk, hint="name~1.")
    host, project = services.service, repository.resource.project.name
    example = next((row.key for row in view.rows), ANY_TAG)
    return answer(
        visit,
        "repository.html",
        view,
        repository=name,
        project=project,
        stage=stage,
        is_protected=repository.resource.protection is not None,
        refused_delete=refused_delete,
        pull=pull_commands(host, f"{name}:{example}", secure=visit.secure),
        push=push_commands(host, name, secure=visit.secure),
    )


NATURALLY: Final = Listing(TAGS.fields, TAGS.key, NATURAL)
"""As people count: v1.9 before v1.10."""


ROUTES: Final = (
    page("/repositories", show_repositories),
    page("/repositories/{name:path}", show_repository),
)
