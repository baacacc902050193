"""`entrepot project`: the units of ownership, each with its policy."""

from typing import Final

import typer

from entrepot.cli.options import Insecure, Project, Url, Wanted, client
from entrepot.cli.output import Column, Format, Output, when

app = typer.Typer(help="Create and list projects.", no_args_is_help=True, add_completion=False)

COLUMNS: Final = (
    Column("NAME", "name"),
    Column("MODE", "mode"),
    Column("REPOSITORIES", "repositories", right=True),
    Column("CREATED", when("created_at")),
)


@app.command("create")
def create(name: Project, url: Url = None, insecure: Insecure = False, output: Wanted = Format.TABLE) -> None:
    """Create a project. Repositories in it begin with its name: shop/web."""
    made = client(url, insecure=insecure).post("/projects", {"name": name})
    Output.to_terminal(output).item(made, COLUMNS)


@app.command("list")
def show_all(url: Url = None, insecure: Insecure = False, output: Wanted = Format.TABLE) -> None:
    """List the projects you can see."""
    items = client(url, insecure=insecure).items("/projects")
    Output.to_terminal(output).items(items, COLUMNS, "no projects: entrepot project create NAME")
