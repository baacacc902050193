"""`entrepot storage`: how much is stored, and whether the store and the rows agree."""

from typing import Annotated, Final
from urllib.parse import quote

import typer

from entrepot.cli import complete
from entrepot.cli.commands.quota import amount
from entrepot.cli.options import Insecure, Url, Wanted, client
from entrepot.cli.output import Column, Format, Output, when

app = typer.Typer(help="Show what is stored, and check it.", no_args_is_help=True, add_completion=False)

FACTS: Final = (
    Column("physical", lambda item: amount(item, "physical")),
    Column("live", lambda item: amount(item, "live")),
    Column("trash", lambda item: amount(item, "trash")),
    Column("reclaimable", lambda item: amount(item, "reclaimable")),
    Column("logical", lambda item: amount(item, "logical")),
    Column("uploading", lambda item: amount(item, "uploading")),
    Column("waiting for review", "waiting"),
)
SHARE: Final = (
    Column("repository", "repository"),
    Column("tag", "tag"),
    Column("exclusive", lambda item: amount(item, "exclusive")),
    Column("shared", lambda item: amount(item, "shared")),
)
CHECKED: Final = (
    Column("at", when("at")),
    Column("objects", "objects"),
    Column("their bytes", lambda item: amount(item, "bytes")),
    Column("rows", "rows"),
    Column("their bytes", lambda item: amount(item, "row_bytes")),
    Column("objects without a row", "orphans"),
    Column("rows without an object", "missing"),
    Column("of another size", "resized"),
    Column("examples", "examples"),
)


@app.command("show")
def show(
    repository: Annotated[
        str | None,
        typer.Argument(metavar="REPOSITORY", help="Else the whole store.", autocompletion=complete.repositories),
    ] = None,
    tag: Annotated[str | None, typer.Option(help="One tag of the repository.", autocompletion=complete.tags)] = None,
    url: Url = None,
    insecure: Insecure = False,
    output: Wanted = Format.TABLE,
) -> None:
    """Show what the store holds; of a repository or tag what would be freed with it, and what others share."""
    api, out = client(url, insecure=insecure), Output.to_terminal(output)
    if repository is None:
        if tag is not None:
            raise typer.BadParameter("--tag needs a repository")
        out.item(api.get("/storage"), FACTS)
        return
    query = {"tag": tag} if tag is not None else None
    out.item(api.get(f"/repositories/{quote(repository)}/-/storage", query), SHARE)


@app.command("check")
def check(url: Url = None, insecure: Insecure = False, output: Wanted = Format.TABLE) -> None:
    """Compare the store's listing with the database now, and report; nothing is changed."""
    api, out = client(url, insecure=insecure), Output.to_terminal(output)
    started = api.post("/storage/check", {})
    if started.get("job"):
        with out.progress("comparing"):
            api.wait_for_job(str(started["job"]))
    out.item(api.get("/storage/check"), CHECKED)
