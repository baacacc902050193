"""`entrepot quota`: how much a project keeps, and may keep."""

from typing import Annotated, Final

import typer

from entrepot.cli.client import project_path
from entrepot.cli.options import Insecure, Project, Url, Wanted, client
from entrepot.cli.output import Column, Format, Item, Output
from entrepot.errors import InvalidError
from entrepot.runtime.quantities import parse_bytes
from entrepot.runtime.shown import byte_size

app = typer.Typer(help="Show and set how much a project may keep.", no_args_is_help=True, add_completion=False)

NONE: Final = "none"


def amount(item: Item, key: str) -> object:
    """Bytes of an item for people; `none` where there is no number."""
    found = item.get(key)
    return byte_size(found) if isinstance(found, int) else NONE


FACTS: Final = (
    Column("project", "project"),
    Column("used", lambda item: amount(item, "used")),
    Column("limit", lambda item: amount(item, "limit")),
    Column("nearly used", "nearly_used"),
)
LARGEST: Final = (Column("REPOSITORY", "repository"), Column("SIZE", lambda item: amount(item, "bytes"), right=True))


@app.command("show")
def show(project: Project, url: Url = None, insecure: Insecure = False, output: Wanted = Format.TABLE) -> None:
    """Show what a project keeps, trash included, and its largest repositories."""
    _print(client(url, insecure=insecure).get(f"{project_path(project)}/quota"), output)


@app.command("set")
def set_limit(
    project: Project,
    limit: Annotated[str, typer.Argument(metavar="SIZE", help="500MiB, 20GiB, or none.")],
    url: Url = None,
    insecure: Insecure = False,
    output: Wanted = Format.TABLE,
) -> None:
    """Set how much a project may keep; what is there stays, also if it is more."""
    try:
        wanted = None if limit == NONE else parse_bytes(limit)
    except ValueError as error:
        raise InvalidError(f"{error}, or none", "SIZE") from None
    api = client(url, insecure=insecure)
    _print(api.change("PUT", f"{project_path(project)}/quota", {"limit": wanted}), output)


def _print(quota: Item, wanted: Format) -> None:
    out = Output.to_terminal(wanted)
    out.item(quota, FACTS)
    largest = quota.get("largest")
    if wanted is Format.TABLE and isinstance(largest, list) and largest:
        out.text("")
        out.items(largest, LARGEST, "")
