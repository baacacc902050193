"""`entrepot trash` and `entrepot undo`: what was deleted, taking it back, and having it gone for good."""

from typing import Annotated, Final

import typer

from entrepot.cli import complete
from entrepot.cli.client import Client, project_path
from entrepot.cli.listed import Listed
from entrepot.cli.options import Count, DryRun, Insecure, Most, Sort, Url, Wanted, Where, asked, client
from entrepot.cli.output import Column, Format, Item, Output, when
from entrepot.cli.removal import removal_query, tell

app = typer.Typer(help="List what was deleted, and purge it.", no_args_is_help=True, add_completion=False)
undo_app = typer.Typer(add_completion=False)

OPERATION: Final = "OPERATION"
COLUMNS: Final = (
    Column("OPERATION", "id"),
    Column("KIND", "kind"),
    Column("STATE", "state"),
    Column("PROJECT", "project"),
    Column("REPOSITORY", "repository"),
    Column("REFERENCE", "reference"),
    Column("BY", "actor"),
    Column("AT", when("at")),
    Column("UNDO UNTIL", when("undo_until")),
)
UNDONE: Final = (
    Column("operation", "operation"),
    Column("manifests", "manifests"),
    Column("tags", "tags"),
    Column("taken meanwhile", "taken"),
)
ASKED: Final = (Column("operation", "operation"), Column("request", "request"))
STARTED: Final = (Column("job", "job"),)


@app.command("list")
def show_all(
    *,
    project: Annotated[str | None, typer.Option(help="Only this project's.", autocompletion=complete.projects)] = None,
    where: Where = None,
    sort: Sort = None,
    limit: Most = None,
    count: Count = False,
    url: Url = None,
    insecure: Insecure = False,
    output: Wanted = Format.TABLE,
) -> None:
    """List deletions, newest first, and until when each can be undone."""
    path = f"{project_path(project)}/operations" if project else "/operations"
    listed = Listed(path, asked(where, sort), COLUMNS, "nothing was deleted")
    listed.show(client(url, insecure=insecure), Output.to_terminal(output), limit, count=count)


@app.command("purge")
def purge(
    *,
    operation: Annotated[str | None, typer.Argument(metavar=OPERATION, help="What to purge before its time.")] = None,
    now: Annotated[bool, typer.Option("--now", help="Do not wait: another admin confirms it.")] = False,
    dry_run: DryRun = False,
    url: Url = None,
    insecure: Insecure = False,
    output: Wanted = Format.TABLE,
) -> None:
    """Remove what is due; with --now ask that a deletion's bytes be gone before their time."""
    api, out = client(url, insecure=insecure), Output.to_terminal(output)
    if now != (operation is not None):
        raise typer.BadParameter("--now and OPERATION are needed together")
    path = "/trash/purge" if operation is None else f"/operations/{operation}/purge"
    answer = api.post(path, {}, removal_query(dry_run=dry_run))
    if dry_run:
        tell(out, answer)
    elif operation is None:
        out.item(_ended(api, out, answer), STARTED)
    else:
        out.item(answer, ASKED, Column("", "request"))
        out.note(f"another admin confirms it within a day: entrepot trash confirm {answer.get('request')}")


@app.command("confirm")
def confirm(
    *,
    request: Annotated[str, typer.Argument(metavar="REQUEST", help="What another admin asked for.")],
    dry_run: DryRun = False,
    url: Url = None,
    insecure: Insecure = False,
    output: Wanted = Format.TABLE,
) -> None:
    """Confirm a purge that another admin asked for: nothing brings its bytes back."""
    api, out = client(url, insecure=insecure), Output.to_terminal(output)
    answer = api.post(f"/operations/{request}/confirm", {}, removal_query(dry_run=dry_run))
    if dry_run:
        tell(out, answer)
    else:
        out.item(_ended(api, out, answer), STARTED)


@undo_app.command("undo")
def undo(
    operation: Annotated[str, typer.Argument(metavar=OPERATION, help="As told at the deletion, and in the list.")],
    url: Url = None,
    insecure: Insecure = False,
    output: Wanted = Format.TABLE,
) -> None:
    """Take a deletion back, whole or not at all."""
    undone = client(url, insecure=insecure).post(f"/operations/{operation}/undo", {})
    Output.to_terminal(output).item(undone, UNDONE)


def _ended(api: Client, out: Output, started: Item) -> Item:
    """*started* once its job is done."""
    if started.get("job"):
        with out.progress("removing"):
            api.wait_for_job(str(started["job"]))
    return started
