"""Pages: a tag with its history, and what is done to several tags of a repository at once."""

from typing import Final

from starlette.responses import Response

from entrepot.access.model import Permission, Repository
from entrepot.access.scoped import Scoped
from entrepot.catalog.errors import ManifestUnknownError
from entrepot.catalog.queries import TagMove, TagRow
from entrepot.errors import EntrepotError, InvalidError, UnavailableError
from entrepot.lifecycle.model import Promotion, PromotionState
from entrepot.lifecycle.promote import Wish
from entrepot.oci.reference import check_tag
from entrepot.policy.model import Outcome
from entrepot.runtime.filters import Field, FilterInvalidError, Kind
from entrepot.runtime.lists import Listing, Part, Wanted
from entrepot.web.pages.commands import pull_commands
from entrepot.web.pages.lists import Act, Action, Bulk, Column, Shown, answer, listed
from entrepot.web.pages.look import counted
from entrepot.web.pages.promotions import next_stages, promotion_address
from entrepot.web.pages.several import Question, Result, Thing, chosen, done, foreseen, tried
from entrepot.web.pages.verdicts import address_of
from entrepot.web.pages.visit import Visit, action, page

HISTORY: Final = Listing({"rev": Field(Kind.NUMBER, filters=False)}, key="rev", default="-rev")
NEWEST_FIRST: Final = "-rev"
MOST_DIGITS: Final = 9
TRASH: Final = "trash"
PROMOTE: Final = "promote-to-"
DELETED: Final = "is in the trash"


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
        Column("operation", "Operation", lambda move: move.operation, Shown.CODE, is_usual=False),
    )
    restore: Action[TagMove] = Action(
        "Restore",
        lambda move: f"{tag_address(name, tag)}/restore/{move.rev}",
        lambda move: f"move {move.rev}",
        refused,
    )
    view = await listed(visit, f"History of {tag}", HISTORY, columns, ask, empty="It never was.", actions=(restore,))
    stage, onward = await next_stages(visit, name)
    outcomes = await services.policy.outcomes_of(repository, [row.digest]) if row else {}
    return answer(
        visit,
        "tag.html",
        view,
        repository=name,
        tag=tag,
        row=row,
        verdict=outcomes.get(row.digest, Outcome.PENDING).value if row else "",
        stage=stage,
        onward=onward,
        is_protected=repository.resource.protection is not None,
        commands=pull_commands(services.service, f"{name}:{tag}", secure=visit.secure),
        promote=PROMOTE,
        refused_promote=visit.refused(Permission.PROMOTION_REQUEST, repository.resource),
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
    return visit.go(tag_address(name, tag), "restored")


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


async def roll_back(visit: Visit) -> Response:
    """Asks that a tag of a protected repository name again what it named before."""
    name, tag = visit.http.path_params["name"], check_tag(visit.http.path_params["tag"])
    target = await visit.context.repository(Permission.PROMOTION_REQUEST, name)
    return visit.go(promotion_address(await visit.services.request_promotion.roll_back(target, tag)), "saved")


async def foresee_tags(visit: Visit) -> Response:
    """What would become of several tags."""
    name = visit.http.path_params["name"]
    things, act = [Thing(tag, f"{name}:{tag}", tag_address(name, tag)) for tag in chosen(visit)], visit.word("act")
    if (stage := _stage(act)) is None:
        repository = await visit.context.repository(Permission.REPO_DELETE, name)
        return foreseen(
            visit, _question(visit, act), await tried(things, lambda each: _to_trash(visit, repository, each))
        )
    source = await visit.context.repository(Permission.PROMOTION_REQUEST, name)
    results = await tried(things, lambda each: _onward(visit, source, [each.key], stage))
    going = [each.thing for each in results if not each.refused]
    try:  # what each may do alone, all may not do together
        if len(going) > 1:
            await _onward(visit, source, [each.key for each in going], stage)
    except UnavailableError:
        raise
    except EntrepotError as error:
        results = [each if each.refused else Result(each.thing, "", error.message) for each in results]
    return foreseen(visit, _question(visit, act), results)


async def act_on_tags(visit: Visit) -> Response:
    """Deletes several tags, each by itself, or asks for one promotion of all."""
    name, act = visit.http.path_params["name"], visit.form.get("act", "")
    keys = chosen(visit)
    if (stage := _stage(act)) is None:
        repository = await visit.context.repository(Permission.REPO_DELETE, name)
        things = [Thing(tag, f"{name}:{tag}", tag_address(name, tag)) for tag in keys]
        return await done(
            visit, _question(visit, act), things, lambda each: _delete(visit, repository, each), {DELETED: "trashed"}
        )
    source = await visit.context.repository(Permission.PROMOTION_REQUEST, name)
    made = await visit.services.request_promotion(source, [Wish(tag) for tag in keys], stage)
    return visit.go(promotion_address(made), "saved")


def bulk_of(name: str, onward: list[str], refused_delete: str, refused_promote: str) -> Bulk[TagRow]:
    """What can be done to several tags of the repository *name*, which leads to the stages *onward*."""
    promotions = [Act(f"{PROMOTE}{stage}", f"Promote to {stage}…", refused_promote) for stage in onward]
    acts = (*promotions, Act(TRASH, "Move to the trash…", refused_delete))
    return Bulk(f"/repositories/{name}/-/chosen", lambda row: row.name, acts)


def _stage(act: str) -> str | None:
    """The stage that *act* promotes to; None: it deletes. Raises InvalidError: neither."""
    if act == TRASH:
        return None
    if not act.startswith(PROMOTE):
        raise InvalidError(f"{TRASH}, or {PROMOTE} and a stage", "act")
    return act.removeprefix(PROMOTE)


def _question(visit: Visit, act: str) -> Question:
    name, stage = visit.http.path_params["name"], _stage(act)
    path, back = f"/repositories/{name}/-/chosen", f"/repositories/{name}"
    if stage is None:
        lead = "A tag takes no bytes with it: its image stays until nothing names it, and the tag can be taken back."
        return Question("Move tags to the trash?", "Move to the trash", path, act, back, lead)
    lead = "They go together, in one promotion: all of them, or none."
    return Question(f"Promote to {stage}?", f"Ask for the promotion to {stage}", path, act, back, lead)


async def _to_trash(visit: Visit, repository: Scoped[Repository], tag: Thing) -> str:
    await visit.services.plan.reference(repository, check_tag(tag.key))
    return "goes to the trash"


async def _delete(visit: Visit, repository: Scoped[Repository], tag: Thing) -> str:
    await visit.services.delete.manifest(visit.context.principal, repository.resource.name, check_tag(tag.key))
    return DELETED


async def _onward(visit: Visit, source: Scoped[Repository], tags: list[str], stage: str) -> str:
    wishes = [Wish(check_tag(tag)) for tag in tags]
    return _where(await visit.services.request_promotion.rehearse(source, wishes, stage))


def _where(promotion: Promotion) -> str:
    """What a promotion that was asked for means."""
    if promotion.state is PromotionState.EXECUTED:
        return f"goes to {promotion.target} at once"
    return f"goes to {promotion.target}, once it has {counted(promotion.needed, 'approval')}"


async def _lock(visit: Visit, *, locked: bool) -> Response:
    name, tag = visit.http.path_params["name"], check_tag(visit.http.path_params["tag"])
    await visit.services.lock_tag(await visit.context.repository(Permission.TAG_LOCK, name), tag, locked=locked)
    return visit.go(tag_address(name, tag), "saved")


def tag_address(repository: str, tag: str) -> str:
    """The page of a tag."""
    return f"/repositories/{repository}/-/tags/{tag}"


TAG: Final = "/repositories/{name:path}/-/tags/{tag}"
CHOSEN: Final = "/repositories/{name:path}/-/chosen"
ROUTES: Final = (
    page(CHOSEN, foresee_tags),
    action(CHOSEN, act_on_tags),
    page(TAG, show_tag),
    action(f"{TAG}/restore/{{rev}}", restore_tag),
    action(f"{TAG}/lock", lock_tag),
    action(f"{TAG}/unlock", unlock_tag),
    action(f"{TAG}/delete", delete_tag),
    action(f"{TAG}/roll-back", roll_back),
)
