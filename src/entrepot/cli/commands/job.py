"""`entrepot job`: work that the server does by itself."""

from enum import StrEnum
from typing import Annotated, Final

import typer

from entrepot.cli.options import Insecure, Url, Wanted, client
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


class State(StrEnum):
    """The states of a job."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


@app.callback()
def group() -> None:
    """List background work."""


@app.command("list")
def show_all(
    state: Annotated[State | None, typer.Option(help="Only jobs in this state.")] = None,
    url: Url = None,
    insecure: Insecure = False,
    output: Wanted = Format.TABLE,
) -> None:
    """List jobs."""
    query = {"state": state.value} if state else {}
    Output.to_terminal(output).items(client(url, insecure=insecure).items("/jobs", query), COLUMNS, "no jobs")
