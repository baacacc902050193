"""`entrepot repository`: what there is, and deleting one with all it has."""

from typing import Annotated, Final
from urllib.parse import quote

import typer

from entrepot.cli import complete
from entrepot.cli.listed import Listed
from entrepot.cli.options import Count, DryRun, Insecure, Most, Repository, Sort, Url, Wanted, Where, asked, client
from entrepot.cli.output import Column, Format, Item, Output, when
from entrepot.cli.removal import removal_query, tell
from entrepot.runtime.shown import byte_size

app = typer.Typer(help="List and delete repositories.", no_args_is_help=True, add_completion=False)


def size(item: Item) -> object:
    """What the repository holds, for people."""
    found = item.get("size")
    return byte_size(found) if isinstance(found, int) else found


COLUMNS: Final = (
    Column("NAME", "name"),
    Column("TAGS", "tags", right=True),
    Column("SIZE", size, right=True),
    Column("PUSHED", when("pushed_at")),
    Column("PULLED", when("pulled_at")),
)


@app.command("list")
def show_all(
    *,
    project: Annotated[str | None, typer.Option(help="Only this project's.", autocompletion=complete.projects)] = None,
    sizes: Annotated[bool, typer.Option("--sizes", help="Say what each holds, which takes longer.")] = False,
    where: Where = None,
    sort: Sort = None,
    limit: Most = None,
    count: Count = False,
    url: Url = None,
    insecure: Insecure = False,
    output: Wanted = Format.TABLE,
) -> None:
    """List the repositories you can see."""
    own = f'project="{project}"' if project else None
    both = f"{own} and ({where})" if own and where else own or where
    listed = Listed("/repositories", asked(both, sort, sizes="true" if sizes else None), COLUMNS, "no repositories")
    listed.show(client(url, insecure=insecure), Output.to_terminal(output), limit, count=count)


@app.command("delete")
def delete(
    *,
    repository: Repository,
    dry_run: DryRun = False,
    url: Url = None,
    insecure: Insecure = False,
    output: Wanted = Format.TABLE,
) -> None:
    """Delete a repository with all it has; the operation printed takes it back."""
    path = f"/repositories/{quote(repository)}"
    tell(Output.to_terminal(output), client(url, insecure=insecure).delete(path, removal_query(dry_run=dry_run)))
