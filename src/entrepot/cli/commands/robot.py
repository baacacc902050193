"""`entrepot robot`: machine accounts of a project."""

from enum import StrEnum
from typing import Annotated, Final
from urllib.parse import quote

import typer

from entrepot.cli.client import project_path
from entrepot.cli.listed import Listed
from entrepot.cli.options import Count, DryRun, Insecure, Most, Project, Sort, Url, Wanted, Where, asked, client
from entrepot.cli.output import Column, Format, Output, when
from entrepot.cli.removal import removal_query, tell

app = typer.Typer(help="Create, list and delete machine accounts.", no_args_is_help=True, add_completion=False)

COLUMNS: Final = (
    Column("NAME", "name"),
    Column("LOGIN", "login"),
    Column("ROLE", "role"),
    Column("CREATED", when("created_at")),
    Column("EXPIRES", when("expires_at")),
)


class Role(StrEnum):
    """What a robot may do in its project."""

    DEVELOPER = "developer"
    VIEWER = "viewer"


@app.command("create")
def create(
    *,
    project: Project,
    name: Annotated[str, typer.Argument(metavar="NAME", help="The robot's name within the project.")],
    role: Annotated[Role, typer.Option(help="developer pushes and pulls, viewer pulls.")] = Role.DEVELOPER,
    days: Annotated[int, typer.Option(min=1, help="How long the secret is valid.")] = 90,
    url: Url = None,
    insecure: Insecure = False,
    output: Wanted = Format.TABLE,
) -> None:
    """Create a robot. Its secret is shown once: alone on stdout, so that a script can keep it."""
    body: dict[str, object] = {"name": name, "role": role.value, "days": days}
    made = client(url, insecure=insecure).post(f"{project_path(project)}/robots", body)
    out = Output.to_terminal(output)
    if output.is_document:
        out.item(made, COLUMNS)
        return
    out.note(
        f"robot {made.get('name')} ({made.get('role')}), login {made.get('login')}, valid until "
        f"{made.get('expires_at')}; this is its secret, it is not shown again:"
    )
    out.text(str(made.get("secret")))


@app.command("list")
def show_all(
    *,
    project: Project,
    where: Where = None,
    sort: Sort = None,
    limit: Most = None,
    count: Count = False,
    url: Url = None,
    insecure: Insecure = False,
    output: Wanted = Format.TABLE,
) -> None:
    """List a project's robots."""
    listed = Listed(
        f"{project_path(project)}/robots",
        asked(where, sort),
        COLUMNS,
        f"no robots: entrepot robot create {project} NAME",
    )
    listed.show(client(url, insecure=insecure), Output.to_terminal(output), limit, count=count)


@app.command("delete")
def delete(
    *,
    project: Project,
    name: Annotated[str, typer.Argument(metavar="NAME", help="The robot's name within the project.")],
    dry_run: DryRun = False,
    url: Url = None,
    insecure: Insecure = False,
    output: Wanted = Format.TABLE,
) -> None:
    """Delete a robot. Its secret opens nothing any more; pulls and pushes under way with it end within 5 s."""
    path = f"{project_path(project)}/robots/{quote(name, safe='')}"
    answer = client(url, insecure=insecure).delete(path, removal_query(dry_run=dry_run))
    out = Output.to_terminal(output)
    if dry_run:
        tell(out, answer)
    else:
        out.note(f"deleted robot {name} of {project}")
