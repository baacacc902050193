"""`entrepot project`: the units of ownership, each with its policy."""

from enum import StrEnum
from typing import Annotated, Final

import typer

from entrepot.cli.client import project_path
from entrepot.cli.listed import Listed
from entrepot.cli.options import Count, DryRun, Insecure, Most, Project, Sort, Url, Wanted, Where, asked, client
from entrepot.cli.output import Column, Format, Output, when
from entrepot.cli.removal import removal_query, tell

app = typer.Typer(help="Create, list and open projects.", no_args_is_help=True, add_completion=False)

COLUMNS: Final = (
    Column("NAME", "name"),
    Column("MODE", "mode"),
    Column("VISIBILITY", "visibility"),
    Column("REPOSITORIES", "repositories", right=True),
    Column("CREATED", when("created_at")),
)
FACTS: Final = (
    Column("name", "name"),
    Column("mode", "mode"),
    Column("visibility", "visibility"),
    Column("strict sizes", "strict_sizes"),
    Column("repositories", "repositories"),
    Column("created", when("created_at")),
)
SWITCHES: Final = (
    Column("NAME", "name"),
    Column("VISIBILITY", "visibility"),
    Column("STRICT SIZES", "strict_sizes"),
)


class Visibility(StrEnum):
    """Who may pull without a role on the project."""

    PRIVATE = "private"
    PUBLIC = "public"


class Sizes(StrEnum):
    """Whether a manifest's sizes must be those of the stored bytes."""

    STRICT = "strict"
    LENIENT = "lenient"


@app.command("create")
def create(
    *,
    name: Annotated[str, typer.Argument(metavar="PROJECT", help="The project's name.")],
    public: Annotated[bool, typer.Option("--public", help="Everybody may pull from it, logged in or not.")] = False,
    url: Url = None,
    insecure: Insecure = False,
    output: Wanted = Format.TABLE,
) -> None:
    """Create a project. Repositories in it begin with its name: shop/web."""
    wanted = Visibility.PUBLIC if public else Visibility.PRIVATE
    body: dict[str, object] = {"name": name, "visibility": wanted.value}
    Output.to_terminal(output).item(client(url, insecure=insecure).post("/projects", body), COLUMNS)


@app.command("show")
def show(project: Project, url: Url = None, insecure: Insecure = False, output: Wanted = Format.TABLE) -> None:
    """Show a project."""
    Output.to_terminal(output).item(client(url, insecure=insecure).get(project_path(project)), FACTS)


@app.command("list")
def show_all(
    *,
    where: Where = None,
    sort: Sort = None,
    limit: Most = None,
    count: Count = False,
    url: Url = None,
    insecure: Insecure = False,
    output: Wanted = Format.TABLE,
) -> None:
    """List the projects you can see."""
    listed = Listed("/projects", asked(where, sort), COLUMNS, "no projects: entrepot project create NAME")
    listed.show(client(url, insecure=insecure), Output.to_terminal(output), limit, count=count)


@app.command("visibility")
def visibility(
    project: Project,
    wanted: Annotated[Visibility, typer.Argument(metavar="VISIBILITY", help="public or private.")],
    url: Url = None,
    insecure: Insecure = False,
    output: Wanted = Format.TABLE,
) -> None:
    """Open a project for pulls by everybody, or close it again. Both take effect at once."""
    now = client(url, insecure=insecure).change("PATCH", project_path(project), {"visibility": wanted.value})
    Output.to_terminal(output).item(now, SWITCHES)


@app.command("sizes")
def sizes(
    project: Project,
    wanted: Annotated[Sizes, typer.Argument(metavar="SIZES", help="strict or lenient.")],
    url: Url = None,
    insecure: Insecure = False,
    output: Wanted = Format.TABLE,
) -> None:
    """Refuse manifests whose sizes are wrong, or take them: some old tools write such."""
    now = client(url, insecure=insecure).change(
        "PATCH", project_path(project), {"strict_sizes": wanted is Sizes.STRICT}
    )
    Output.to_terminal(output).item(now, SWITCHES)


@app.command("delete")
def delete(
    *,
    name: Project,
    dry_run: DryRun = False,
    url: Url = None,
    insecure: Insecure = False,
    output: Wanted = Format.TABLE,
) -> None:
    """Delete a project with its repositories; the operation printed takes it back."""
    deleted = client(url, insecure=insecure).delete(project_path(name), removal_query(dry_run=dry_run))
    tell(Output.to_terminal(output), deleted)
