"""`entrepot finding`: what is known to be wrong with an image."""

from typing import Annotated, Final

import typer

from entrepot.cli.client import artifact_path
from entrepot.cli.options import Image, Insecure, Url, Wanted, client
from entrepot.cli.output import Column, Format, Item, Output
from entrepot.scanning.model import Severity

app = typer.Typer(help="List an image's vulnerabilities.", no_args_is_help=True, add_completion=False)

COLUMNS: Final = (
    Column("ID", "id"),
    Column("SEVERITY", "severity"),
    Column("BY", "severity_source"),
    Column("PACKAGE", "package"),
    Column("VERSION", "version"),
    Column("FIXED IN", "fixed_version"),
    Column("COUNTED", "counted"),
    Column("LAYER", "layer", right=True),
    Column("STEP", "step"),
)


@app.callback()
def group() -> None:
    """List an image's vulnerabilities."""


@app.command("list")
def show_all(
    *,
    image: Image,
    severity: Annotated[
        Severity | None,
        typer.Option(help="Only this severity and above; what nobody rated is `unknown`, the lowest here."),
    ] = None,
    fixable: Annotated[bool, typer.Option("--fixable", help="Only those with a fixed version.")] = False,
    url: Url = None,
    insecure: Insecure = False,
    output: Wanted = Format.TABLE,
) -> None:
    """List findings, the worst first."""
    found = list(client(url, insecure=insecure).items(f"{artifact_path(image)}/findings"))
    least = severity.rank if severity else 0
    shown = [item for item in found if rank(item) >= least and (not fixable or item.get("fixed_version"))]
    empty = f"no findings in {image}" if not found else f"none of {len(found)} findings in {image} is of that kind"
    Output.to_terminal(output).items(sorted(shown, key=lambda item: -rank(item)), COLUMNS, empty)


def rank(item: Item) -> int:
    """The rank of a finding's severity; of one we do not know, that of `unknown`."""
    try:
        return Severity(str(item.get("severity"))).rank
    except ValueError:
        return Severity.UNKNOWN.rank
