"""`entrepot finding`: what is known to be wrong with an image."""

from typing import Annotated, Final

import typer

from entrepot.cli.client import artifact_path
from entrepot.cli.listed import Listed
from entrepot.cli.options import Count, Image, Insecure, Most, Sort, Url, Wanted, Where, asked, client
from entrepot.cli.output import Column, Format, Output
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
    where: Where = None,
    sort: Sort = None,
    limit: Most = None,
    count: Count = False,
    url: Url = None,
    insecure: Insecure = False,
    output: Wanted = Format.TABLE,
) -> None:
    """List findings, the worst first."""
    wanted = [f"severity>={severity.value}"] if severity else []
    wanted += ["fixable=true"] if fixable else []
    wanted += [f"({where})"] if where else []
    query = asked(" and ".join(wanted) or None, sort)
    empty = f"no findings in {image}" if not wanted else f"no finding in {image} is of that kind"
    listed = Listed(f"{artifact_path(image)}/findings", query, COLUMNS, empty)
    listed.show(client(url, insecure=insecure), Output.to_terminal(output), limit, count=count)
