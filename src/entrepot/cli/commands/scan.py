"""`entrepot scan`: the analysis of an image."""

from typing import Annotated, Final

import typer

from entrepot.cli.client import artifact_path
from entrepot.cli.options import Image, Insecure, Url, Wanted, client
from entrepot.cli.output import BlockedError, Column, Format, Item, Output
from entrepot.errors import EntrepotError

app = typer.Typer(help="Show and wait for an image's analysis.", no_args_is_help=True, add_completion=False)

FACTS: Final = (
    Column("digest", "digest"),
    Column("status", "status"),
    Column("reasons", "reasons"),
    Column("outcome", "outcome"),
    Column("mode", "mode"),
    Column("reason", "text"),
)


class ScanIncompleteError(EntrepotError):
    """The analysis ended, but did not see all: such an image is not known to be clean."""


@app.command("show")
def show(image: Image, url: Url = None, insecure: Insecure = False, output: Wanted = Format.TABLE) -> None:
    """Show how far an image's analysis and judgement are."""
    Output.to_terminal(output).item(client(url, insecure=insecure).get(f"{artifact_path(image)}/scan"), FACTS)


@app.command("wait")
def wait(
    image: Image,
    timeout: Annotated[float, typer.Option(min=0, metavar="SECONDS", help="How long to wait.")] = 300,
    url: Url = None,
    insecure: Insecure = False,
    output: Wanted = Format.TABLE,
) -> None:
    """Wait until an image is analysed and judged.

    Ends with 0 if it may be pulled, 5 if policy blocks it, 1 if it was not analysed to the end.
    """
    out = Output.to_terminal(output)
    with out.progress(f"waiting for the scan of {image}") as tell:
        scan = client(url, insecure=insecure).wait_for_scan(image, timeout, tell)
    out.item(scan, FACTS)
    judge(scan)


def judge(scan: Item) -> None:
    """Raise what the verdict comes to: BlockedError, ScanIncompleteError; nothing for an image that may be pulled."""
    text = str(scan.get("text") or "")
    if scan.get("outcome") == "block" and scan.get("mode") == "enforce":
        raise BlockedError(text or "blocked by policy")
    if scan.get("status") in {"partial", "failed"} or scan.get("outcome") == "error":
        raise ScanIncompleteError(text or f"the scan ended as {scan.get('status')}")
