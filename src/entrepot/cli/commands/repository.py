"""`entrepot repository`: deleting one with all it has."""

from typing import Annotated, Final
from urllib.parse import quote

import typer

from entrepot.cli.options import Insecure, Url, Wanted, client
from entrepot.cli.output import Column, Format, Output

app = typer.Typer(help="Delete repositories.", no_args_is_help=True, add_completion=False)

DELETED: Final = (Column("operation", "operation"),)


@app.callback()
def group() -> None:
    """Delete repositories."""


@app.command("delete")
def delete(
    repository: Annotated[str, typer.Argument(metavar="REPOSITORY", help="As in shop/web.")],
    url: Url = None,
    insecure: Insecure = False,
    output: Wanted = Format.TABLE,
) -> None:
    """Delete a repository with all it has; the operation printed takes it back."""
    deleted = client(url, insecure=insecure).delete(f"/repositories/{quote(repository)}")
    Output.to_terminal(output).item(deleted, DELETED)
