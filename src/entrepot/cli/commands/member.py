"""`entrepot member`: people and their roles on a project."""

from enum import StrEnum
from typing import Annotated, Final
from urllib.parse import quote

import typer

from entrepot.cli.client import project_path
from entrepot.cli.options import Insecure, Most, Project, Url, Wanted, client
from entrepot.cli.output import Column, Format, Output, when

app = typer.Typer(help="List, set and remove the members of a project.", no_args_is_help=True, add_completion=False)

COLUMNS: Final = (Column("ACCOUNT", "account"), Column("ROLE", "role"), Column("SINCE", when("granted_at")))
Account = Annotated[str, typer.Argument(metavar="ACCOUNT", help="The person's name.")]


class Role(StrEnum):
    """What a person may do on a project."""

    ADMIN = "admin"
    DEVELOPER = "developer"
    VIEWER = "viewer"


@app.command("show")
def show(
    project: Project, account: Account, url: Url = None, insecure: Insecure = False, output: Wanted = Format.TABLE
) -> None:
    """Show a person's role on a project, if any."""
    Output.to_terminal(output).item(client(url, insecure=insecure).get(_path(project, account)), COLUMNS)


@app.command("list")
def show_all(
    project: Project, limit: Most = None, url: Url = None, insecure: Insecure = False, output: Wanted = Format.TABLE
) -> None:
    """List the people with a role on a project."""
    items = client(url, insecure=insecure).items(f"{project_path(project)}/members", None, limit)
    Output.to_terminal(output).items(items, COLUMNS, f"no members: entrepot member set {project} ACCOUNT ROLE")


@app.command("set")
def set_role(
    project: Project,
    account: Account,
    role: Annotated[Role, typer.Argument(metavar="ROLE", help="admin, developer or viewer.")],
    url: Url = None,
    insecure: Insecure = False,
    output: Wanted = Format.TABLE,
) -> None:
    """Give a person a role on a project, instead of the one he has there. Nobody changes his own."""
    now = client(url, insecure=insecure).change("PUT", _path(project, account), {"role": role.value})
    Output.to_terminal(output).item(now, COLUMNS)


@app.command("remove")
def remove(project: Project, account: Account, url: Url = None, insecure: Insecure = False) -> None:
    """Take a person's role on a project away. It ends at once."""
    client(url, insecure=insecure).delete(_path(project, account))
    Output.to_terminal(Format.TABLE).note(f"removed {account} from {project}")


def _path(project: str, account: str) -> str:
    return f"{project_path(project)}/members/{quote(account, safe='')}"
