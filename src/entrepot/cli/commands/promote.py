"""`entrepot promote`: what goes to the next stage, and who approves it."""

from typing import Annotated, Final
from urllib.parse import quote

import typer

from entrepot.cli.client import artifact_path
from entrepot.cli.listed import Listed
from entrepot.cli.options import Count, Image, Insecure, Most, Repository, Sort, Tag, Url, Wanted, Where, asked, client
from entrepot.cli.output import Column, Format, Item, Output, parts, when

app = typer.Typer(help="Ask for promotions, and decide them.", no_args_is_help=True, add_completion=False)

Id = Annotated[
    str, typer.Argument(metavar="PROMOTION", help="The promotion's id, as `entrepot promote list` shows it.")
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only say whether it would be, or why not.")]


def _what(item: Item) -> str:
    return ", ".join(str(each["reference"]) for each in parts(item, "items"))


def _digests(item: Item) -> str:
    return ", ".join(str(each["digest"]) for each in parts(item, "items"))


def _approvals(item: Item) -> str:
    names = ", ".join(str(each["actor"]) for each in parts(item, "approvals"))
    return f"{len(parts(item, 'approvals'))} of {item.get('needed')}" + (f" ({names})" if names else "")


COLUMNS: Final = (
    Column("PROMOTION", "id"),
    Column("STATE", "state"),
    Column("FROM", "source"),
    Column("WHAT", _what),
    Column("TO", "target"),
    Column("APPROVALS", _approvals),
    Column("BY", "actor"),
    Column("AT", when("at")),
)
FACTS: Final = (
    Column("promotion", "id"),
    Column("state", "state"),
    Column("from", "source"),
    Column("what", _what),
    Column("digests", _digests),
    Column("to", "target"),
    Column("stage", "stage"),
    Column("approvals", _approvals),
    Column("asked by", "actor"),
    Column("at", when("at")),
    Column("reason", "reason"),
)


@app.command("request")
def request(
    *,
    image: Image,
    stage: Annotated[str, typer.Argument(metavar="STAGE", help="Where it is to go: production.")],
    also: Annotated[
        list[str] | None, typer.Option("--also", metavar="TAG", help="Another tag or digest of it; all or none go.")
    ] = None,
    tags: Annotated[
        list[str] | None, typer.Option("--tag", metavar="TAG", help="What the image is to be called there.")
    ] = None,
    dry_run: DryRun = False,
    url: Url = None,
    insecure: Insecure = False,
    output: Wanted = Format.TABLE,
) -> None:
    """Ask that an image go to a stage: no byte moves, and its tags and referrers go along."""
    first: dict[str, object] = {"reference": str(image.digest or image.tag or "latest"), "tags": tags or []}
    items: list[object] = [first, *({"reference": each} for each in also or [])]
    body: Item = {"repository": image.name, "stage": stage, "items": items}
    query = {"dry_run": "true"} if dry_run else None
    Output.to_terminal(output).item(client(url, insecure=insecure).post("/promotions", body, query), FACTS)


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
    """List promotions, the newest first; what waits: --filter state=waiting."""
    listed = Listed("/promotions", asked(where, sort), COLUMNS, "no promotions: entrepot promote request IMAGE STAGE")
    listed.show(client(url, insecure=insecure), Output.to_terminal(output), limit, count=count)


@app.command("status")
def status(id_: Id, url: Url = None, insecure: Insecure = False, output: Wanted = Format.TABLE) -> None:
    """Show a promotion."""
    Output.to_terminal(output).item(client(url, insecure=insecure).get(_path(id_)), FACTS)


@app.command("approve")
def approve(id_: Id, url: Url = None, insecure: Insecure = False, output: Wanted = Format.TABLE) -> None:
    """Approve a promotion that somebody else asked for; the last approval it takes executes it."""
    Output.to_terminal(output).item(client(url, insecure=insecure).post(f"{_path(id_)}/approve", {}), FACTS)


@app.command("reject")
def reject(
    id_: Id,
    reason: Annotated[str, typer.Option("--reason", help="Why: whoever asked reads it.")],
    url: Url = None,
    insecure: Insecure = False,
    output: Wanted = Format.TABLE,
) -> None:
    """End a promotion without a move."""
    ended = client(url, insecure=insecure).post(f"{_path(id_)}/reject", {"reason": reason})
    Output.to_terminal(output).item(ended, FACTS)


@app.command("withdraw")
def withdraw(id_: Id, url: Url = None, insecure: Insecure = False, output: Wanted = Format.TABLE) -> None:
    """End a promotion you asked for."""
    Output.to_terminal(output).item(client(url, insecure=insecure).post(f"{_path(id_)}/withdraw", {}), FACTS)


@app.command("rollback")
def rollback(
    repository: Repository, tag: Tag, url: Url = None, insecure: Insecure = False, output: Wanted = Format.TABLE
) -> None:
    """Ask that a tag of a protected repository name again what it named before: a promotion like any other."""
    path = f"/repositories/{quote(repository)}/-/tags/{quote(tag)}/rollback"
    Output.to_terminal(output).item(client(url, insecure=insecure).post(path, {}), FACTS)


@app.command("history")
def history(image: Image, url: Url = None, insecure: Insecure = False, output: Wanted = Format.TABLE) -> None:
    """Show the way of an image through the stages, the newest promotion first."""
    found = client(url, insecure=insecure).get(f"{artifact_path(image)}/stages")
    Output.to_terminal(output).items(iter(parts(found, "items")), COLUMNS, "it was never promoted")


def _path(id_: str) -> str:
    return f"/promotions/{quote(id_, safe='')}"
