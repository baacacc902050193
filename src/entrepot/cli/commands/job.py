"""`entrepot job`: work that the server does by itself."""

from enum import StrEnum
from typing import Annotated, Final
from urllib.parse import quote

import typer

from entrepot.cli.listed import Listed
from entrepot.cli.options import Count, Insecure, Most, Sort, Url, Wanted, Where, asked, client
from entrepot.cli.output import Column, Format, Output, when

app = typer.Typer(help="List background work.", no_args_is_help=True, add_completion=False)

COLUMNS: Final = (
    Column("ID", "id"),
    Column("NAME", "name"),
    Column("STATE", "state"),
    Column("ATTEMPTS", "attempts", right=True),
    Column("CREATED", when("created_at")),
    Column("FINISHED", when("finished_at")),
    Column("ERROR", "error"),
)


FACTS: Final = (
    Column("id", "id"),
    Column("name", "name"),
    Column("arguments", "args"),
    Column("state", "state"),
    Column("queue", "queue"),
    Column("attempts", "attempts"),
    Column("created", when("created_at")),
    Column("started", when("started_at")),
    Column("finished", when("finished_at")),
    Column("error", "error"),
)


class State(StrEnum):
    """The states of a job."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


@app.command("show")
def show(
    job: Annotated[str, typer.Argument(metavar="ID", help="Its id, from the list.")],
    url: Url = None,
    insecure: Insecure = False,
    output: Wanted = Format.TABLE,
) -> None:
    """Show a job: how far it is, and why it failed."""
    Output.to_terminal(output).item(client(url, insecure=insecure).get(f"/jobs/{quote(job, safe='')}"), FACTS)


@app.command("list")
def show_all(
    *,
    state: Annotated[State | None, typer.Option(help="Only jobs in this state.")] = None,
    where: Where = None,
    sort: Sort = None,
    limit: Most = None,
    count: Count = False,
    url: Url = None,
    insecure: Insecure = False,
    output: Wanted = Format.TABLE,
) -> None:
    """List jobs."""
    query = asked(where, sort, state=state.value if state else None)
    listed = Listed("/jobs", query, COLUMNS, "no jobs")
    listed.show(client(url, insecure=insecure), Output.to_terminal(output), limit, count=count)
