"""Pages: the trash of a project, or of the whole site: what was deleted, taken back, or gone before its time."""

from typing import Final

from starlette.responses import Response

from entrepot.access.model import Permission
from entrepot.catalog.errors import OperationOverError, OperationUnknownError
from entrepot.catalog.lists import OPERATIONS
from entrepot.catalog.operations import Kind, Operation
from entrepot.errors import InvalidError
from entrepot.lifecycle.trash import Undone, check_undo
from entrepot.runtime.lists import Part, Wanted
from entrepot.runtime.shown import byte_size
from entrepot.web.pages.lists import Act, Action, Bulk, Column, Shown, answer, listed
from entrepot.web.pages.look import counted
from entrepot.web.pages.projects import project_of
from entrepot.web.pages.several import Question, Result, Thing, chosen, done, foreseen, told, tried
from entrepot.web.pages.visit import Visit, action, page

RESTORE: Final = "restore"
PURGE: Final = "purge"
BACK: Final = "is back"
ASKED: Final = "is asked for"
GONE: Final = "is gone for good"
WORDS: Final = {BACK: "undone", ASKED: "asked", GONE: "purged"}
COLUMNS: Final[tuple[Column[Operation], ...]] = (
    Column("reference", "Deleted", lambda row: row.reference or row.repository or row.project, Shown.DIGEST),
    Column("kind", "What", lambda row: row.kind.value),
    Column("project", "Project", lambda row: row.project, is_usual=False),
    Column("repository", "Repository", lambda row: row.repository),
    Column("actor", "By", lambda row: row.actor),
    Column("at", "When", lambda row: row.at, Shown.TIME),
    Column("undo_until", "Gone for good", lambda row: row.undo_until, Shown.TIME),
    Column("undone_at", "Taken back", lambda row: row.undone_at, Shown.TIME, is_usual=False),
    Column("undone_by", "Taken back by", lambda row: row.undone_by, is_usual=False),
    Column("purged_at", "Purged", lambda row: row.purged_at, Shown.TIME, is_usual=False),
    Column("id", "Operation", lambda row: row.id, Shown.CODE, is_usual=False),
)


async def show_trash(visit: Visit) -> Response:
    """Deletions, each of which can be taken back for a time: those of the project in the address, or all."""
    now = visit.context.now
    lists = visit.services.lists
    owner = await project_of(visit, Permission.REPO_DELETE) if _project(visit) else None

    async def ask(wanted: Wanted) -> Part[Operation]:
        if owner is not None:
            return await lists.operations(owner, wanted, now)
        return await lists.all_operations(visit.context.site(Permission.SYSTEM_READ), wanted, now)

    def over(row: Operation) -> str:
        try:
            check_undo(row, now)
        except OperationOverError as error:
            return error.message
        return ""

    undo_it: Action[Operation] = Action(
        "Take back", lambda row: f"{_address(visit)}/{row.id}/undo", lambda row: row.reference, over
    )
    acts = (Act(RESTORE, "Take back…"), Act(PURGE, "Purge now…", visit.refused(Permission.TRASH_PURGE)))
    view = await listed(
        visit,
        "Trash",
        OPERATIONS,
        COLUMNS,
        ask,
        empty="Nothing was deleted: what is lies here for a time, and can be taken back.",
        actions=(undo_it,),
        bulk=Bulk(f"{_address(visit)}/chosen", lambda row: row.id, acts),
        hint="state=open",
    )
    return answer(visit, "trash.html", view, project=_project(visit))


async def undo(visit: Visit) -> Response:
    """Takes a deletion back."""
    await _check(visit)
    row = await _operation(visit, visit.http.path_params["operation"])
    undone = await visit.services.undo(visit.context.principal, row.id)
    result = Result(_thing(row), _is_back(undone), "")
    return told(visit, _question(visit, RESTORE), [result], WORDS)


async def foresee_trash(visit: Visit) -> Response:
    """What would become of several deletions."""
    await _check(visit)
    act = _act(visit.word("act"))

    async def would(thing: Thing) -> str:
        operation = await _operation(visit, thing.key)
        if act == RESTORE:
            undone = await visit.services.undo.rehearse(visit.context.principal, thing.key)
            brought = [
                counted(number, noun)
                for number, noun in ((undone.manifests, "manifest"), (len(undone.tags), "tag"))
                if number
            ]
            return f"comes back{', with ' if brought else ''}{' and '.join(brought)}{_taken(undone)}"
        site, confirms = visit.context.site(Permission.TRASH_PURGE), operation.kind is Kind.PURGE
        plan = await visit.services.plan.purge(site, thing.key, confirms=confirms)
        freed = f"it frees {byte_size(plan.size)}"
        return f"is gone for good: {freed}" if confirms else f"another admin is asked to confirm: {freed}"

    return foreseen(visit, _question(visit, act), await tried(await _things(visit), would))


async def act_on_trash(visit: Visit) -> Response:
    """Takes several deletions back, or asks for their purge, or confirms what another admin asked for."""
    await _check(visit)
    act = _act(visit.form.get("act", ""))

    async def do(thing: Thing) -> str:
        operation = await _operation(visit, thing.key)
        if act == RESTORE:
            return _is_back(await visit.services.undo(visit.context.principal, thing.key))
        site = visit.context.site(Permission.TRASH_PURGE)
        if operation.kind is Kind.PURGE:
            await visit.services.purge.confirm(site, thing.key)
            return GONE
        await visit.services.purge.request(site, thing.key)
        return ASKED

    return await done(visit, _question(visit, act), await _things(visit), do, WORDS)


async def _things(visit: Visit) -> list[Thing]:
    things = []
    for id_ in chosen(visit):
        try:
            things.append(_thing(await _operation(visit, id_)))
        except OperationUnknownError:
            things.append(Thing(id_, id_))
    return things


def _thing(row: Operation) -> Thing:
    what = row.reference or row.repository or row.project
    return Thing(row.id, f"{row.kind.value} {what}" + (f" of {row.repository}" if row.repository else ""))


def _is_back(undone: Undone) -> str:
    return f"{BACK}{_taken(undone)}"


def _taken(undone: Undone) -> str:
    """What does not come back, if anything."""
    return f"; {', '.join(undone.taken)} names something else by now, and goes on to" if undone.taken else ""


async def _operation(visit: Visit, id_: str) -> Operation:
    """The operation *id_*, of the project in the address if one is. Raises OperationUnknownError."""
    row = await visit.context.operation(id_)
    if row.project != (_project(visit) or row.project):
        raise OperationUnknownError
    return row


async def _check(visit: Visit) -> None:
    """Lets pass who may see this trash. Raises as `Context.project` and `Context.site`."""
    if _project(visit):
        await project_of(visit, Permission.REPO_DELETE)
    else:
        visit.context.site(Permission.SYSTEM_READ)


def _act(text: str) -> str:
    if text not in {RESTORE, PURGE}:
        raise InvalidError(f"{RESTORE} or {PURGE}", "act")
    return text


def _question(visit: Visit, act: str) -> Question:
    back = _address(visit)
    if act == RESTORE:
        return Question("Take deletions back?", "Take back", f"{back}/chosen", act, back)
    lead = "It takes two admins: one asks, another confirms within a day. Nothing brings back what was purged."
    return Question("Purge before the time?", "Purge", f"{back}/chosen", act, back, lead, is_final=True)


def _project(visit: Visit) -> str:
    """The project in the address; empty: the whole site."""
    return str(visit.http.path_params.get("project", ""))


def _address(visit: Visit) -> str:
    return f"/projects/{_project(visit)}/trash" if _project(visit) else "/trash"


ROUTES: Final = tuple(
    route
    for trash in ("/projects/{project}/trash", "/trash")
    for route in (
        page(trash, show_trash),
        page(f"{trash}/chosen", foresee_trash),
        action(f"{trash}/chosen", act_on_trash),
        action(f"{trash}/{{operation}}/undo", undo),
    )
)
