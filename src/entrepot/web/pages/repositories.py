"""Pages: repositories, the tags of one, and a tag with its history."""

from typing import Final

from starlette.responses import Response

from entrepot.access.authorize import visible_projects
from entrepot.access.model import Permission
from entrepot.catalog.errors import ManifestUnknownError
from entrepot.catalog.lists import NATURAL, TAGS
from entrepot.catalog.queries import TagMove, TagRow
from entrepot.errors import InvalidError, NotFoundError
from entrepot.lifecycle.lists import REPOSITORIES, RepositoryRow
from entrepot.oci.reference import check_tag
from entrepot.policy.model import Outcome
from entrepot.runtime.filters import Field, FilterInvalidError, Kind
from entrepot.runtime.lists import Listing, Part, Wanted
from entrepot.web.pages.commands import pull_commands, push_commands
from entrepot.web.pages.lists import Action, Column, Shown, answer, listed
from entrepot.web.pages.visit import Visit, action, page
from entrepot.web.pages.why import address_of

NONE_YET: Final = "No repository yet: the first push makes one."
COLUMNS: Final[tuple[Column[RepositoryRow], ...]] = (
    Column("name", "Name", lambda row: row.name, link=lambda row: f"/repositories/{row.name}"),
    Column("tags", "Tags", lambda row: row.tags),
    Column("pushed_at", "Last push", lambda row: row.pushed_at, Shown.TIME),
    Column("pulled_at", "Last pull", lambda row: row.pulled_at, Shown.TIME),
    Column("created_at", "Made", lambda row: row.created_at, Shown.TIME),
)
HISTORY: Final = Listing({"rev": Field(Kind.NUMBER, filters=False)}, key="rev", default="-rev")
NEWEST_FIRST: Final = "-rev"
MOST_DIGITS: Final = 9


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
        Column(NATURAL, "Tag", lambda row: row.name, link=lambda row: _tag_address(name, row.name)),
        Column("digest", "Digest", lambda row: row.digest, Shown.DIGEST, lambda row: address_of(name, row.digest)),
        Column("verdict", "Verdict", lambda row: outcomes.get(row.digest, Outcome.PENDING).value, Shown.BADGE),
        Column("same", "Same image here", lambda row: [each for each in same[row.digest] if each != row.name]),
        Column("moved_at", "Moved", lambda row: row.moved_at, Shown.TIME),
        Column("rev", "Moves", lambda row: row.rev),
        Column("locked_by", "Locked by", lambda row: row.locked_by),
    )
    view = await listed(visit, f"Tags of {name}", NATURALLY, columns, ask, empty="No tag.")
    host = services.service
    return answer(
        visit,
        "repository.html",
        view,
        repository=name,
        project=repository.resource.project.name,
        pull=pull_commands(host, f"{name}:TAG", secure=visit.secure),
        push=push_commands(host, name, secure=visit.secure),
    )


NATURALLY: Final = Listing(TAGS.fields, TAGS.key, NATURAL)
"""As people count: v1.9 before v1.10."""


async def show_tag(visit: Visit) -> Response:
    """A tag: what it names, its lock, and every move it made."""
    name, tag = visit.http.path_params["name"], check_tag(visit.http.path_params["tag"])
    repository = await visit.context.repository(Permission.REPO_READ, name)
    services = visit.services
    try:
        row: TagRow | None = await services.catalog.tag(repository, tag)
    except ManifestUnknownError:
        row = None
    refused_push = visit.refused(Permission.REPO_PUSH, repository.resource)

    async def ask(wanted: Wanted) -> Part[TagMove]:
        if str(wanted.sort) != NEWEST_FIRST:
            raise FilterInvalidError("a history is told from its end", "sort")
        before = wanted.after.value if wanted.after else None
        limit = wanted.limit + 1
        rows = await services.catalog.tag_history(repository, tag, before if isinstance(before, int) else None, limit)
        more = len(rows) > wanted.limit
        last = rows[wanted.limit - 1].rev if more else 0
        return Part(rows[: wanted.limit], HISTORY.cursor(wanted.sort, last, str(last)) if more else None, None)

    def refused(move: TagMove) -> str:
        if move.digest is None:
            return "it was deleted by this move"
        if row is not None and move.digest == row.digest:
            return "the tag names it now"
        return f"{row.locked_by} has locked the tag" if row is not None and row.locked_by else refused_push

    columns: tuple[Column[TagMove], ...] = (
        Column("rev", "Move", lambda move: move.rev, sorts=False),
        Column(
            "digest",
            "To",
            lambda move: move.digest or "deleted",
            Shown.DIGEST,
            lambda move: address_of(name, move.digest) if move.digest else "",
        ),
        Column("actor", "By", lambda move: move.actor),
        Column("at", "When", lambda move: move.at, Shown.TIME),
        Column("operation", "Operation", lambda move: move.operation, Shown.CODE),
    )
    restore: Action[TagMove] = Action(
        "Restore",
        lambda move: f"{_tag_address(name, tag)}/restore/{move.rev}",
        lambda move: f"move {move.rev}",
        refused,
    )
    view = await listed(visit, f"History of {tag}", HISTORY, columns, ask, empty="It never was.", actions=(restore,))
    return answer(
        visit,
        "tag.html",
        view,
        repository=name,
        tag=tag,
        row=row,
        refused_lock=visit.refused(Permission.TAG_LOCK, repository.resource),
        refused_delete=visit.refused(Permission.REPO_DELETE, repository.resource)
        or (f"{row.locked_by} has locked it" if row and row.locked_by else ""),
    )


async def restore_tag(visit: Visit) -> Response:
    """Moves a tag back to what one of its moves made it name."""
    name, tag, rev = (visit.http.path_params[each] for each in ("name", "tag", "rev"))
    if not (rev.isascii() and rev.isdigit() and len(rev) <= MOST_DIGITS):
        raise InvalidError("a move is a number", "rev")
    repository = await visit.context.repository(Permission.REPO_PUSH, name)
    await visit.services.restore_tag(repository, check_tag(tag), int(rev))
    return visit.go(_tag_address(name, tag), "restored")


async def lock_tag(visit: Visit) -> Response:
    """Locks a tag."""
    return await _lock(visit, locked=True)


async def unlock_tag(visit: Visit) -> Response:
    """Unlocks a tag."""
    return await _lock(visit, locked=False)


async def delete_tag(visit: Visit) -> Response:
    """Deletes a tag; the trash of its project keeps it for a time."""
    name, tag = visit.http.path_params["name"], check_tag(visit.http.path_params["tag"])
    repository = await visit.context.repository(Permission.REPO_DELETE, name)
    await visit.services.delete.manifest(visit.context.principal, name, tag)
    return visit.go(f"/projects/{repository.resource.project.name}/trash", "removed")


async def _lock(visit: Visit, *, locked: bool) -> Response:
    name, tag = visit.http.path_params["name"], check_tag(visit.http.path_params["tag"])
    await visit.services.lock_tag(await visit.context.repository(Permission.TAG_LOCK, name), tag, locked=locked)
    return visit.go(_tag_address(name, tag), "saved")


def _tag_address(repository: str, tag: str) -> str:
    return f"/repositories/{repository}/-/tags/{tag}"


TAG: Final = "/repositories/{name:path}/-/tags/{tag}"
ROUTES: Final = (
    page("/repositories", show_repositories),
    page(TAG, show_tag),
    action(f"{TAG}/restore/{{rev}}", restore_tag),
    action(f"{TAG}/lock", lock_tag),
    action(f"{TAG}/unlock", unlock_tag),
    action(f"{TAG}/delete", delete_tag),
    page("/repositories/{name:path}", show_repository),
)
