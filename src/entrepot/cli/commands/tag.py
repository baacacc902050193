"""`entrepot tag`: what tags name, what they named before, moving one back, and locking one."""

from typing import Annotated, Final
from urllib.parse import quote

import typer

from entrepot.cli.options import Insecure, Url, Wanted, client
from entrepot.cli.output import Column, Format, Output, when

app = typer.Typer(help="List, restore and lock tags.", no_args_is_help=True, add_completion=False)

Repository = Annotated[str, typer.Argument(metavar="REPOSITORY", help="As in shop/web.")]
Tag = Annotated[str, typer.Argument(metavar="TAG", help="As in 1.0.")]
Most = Annotated[int, typer.Option("--limit", min=1, help="At most so many.")]

TAGS: Final = (
    Column("TAG", "name"),
    Column("DIGEST", "digest"),
    Column("MOVES", "rev"),
    Column("MOVED", when("moved_at")),
    Column("LOCKED BY", "locked_by"),
)
HISTORY: Final = (
    Column("REV", "rev"),
    Column("DIGEST", "digest"),
    Column("BY", "actor"),
    Column("AT", when("at")),
    Column("OPERATION", "operation"),
)
RESTORED: Final = (Column("tag", "name"), Column("digest", "digest"), Column("rev", "rev"))


@app.command("list")
def show_all(
    repository: Repository,
    limit: Most = 100,
    url: Url = None,
    insecure: Insecure = False,
    output: Wanted = Format.TABLE,
) -> None:
    """List the tags of a repository."""
    items = client(url, insecure=insecure).items(_path(repository), None, limit)
    Output.to_terminal(output).items(items, TAGS, "no tags")


@app.command("history")
def history(
    repository: Repository,
    tag: Tag,
    limit: Most = 100,
    url: Url = None,
    insecure: Insecure = False,
    output: Wanted = Format.TABLE,
) -> None:
    """List what a tag named, the last first; where it was deleted it named nothing."""
    items = client(url, insecure=insecure).items(f"{_path(repository)}/{quote(tag)}/history", None, limit)
    Output.to_terminal(output).items(items, HISTORY, "it never was")


@app.command("restore")
def restore(
    repository: Repository,
    tag: Tag,
    rev: Annotated[int, typer.Option(min=1, help="The move to go back to, as its history counts.")],
    url: Url = None,
    insecure: Insecure = False,
    output: Wanted = Format.TABLE,
) -> None:
    """Move a tag back to what it named; what lies in the trash lives again with it."""
    restored = client(url, insecure=insecure).post(f"{_path(repository)}/{quote(tag)}/restore", {"rev": rev})
    Output.to_terminal(output).item(restored, RESTORED)


@app.command("lock")
def lock(repository: Repository, tag: Tag, url: Url = None, insecure: Insecure = False) -> None:
    """Lock a tag: nobody moves or deletes it, or what it names."""
    client(url, insecure=insecure).put(f"{_path(repository)}/{quote(tag)}/lock", {})


@app.command("unlock")
def unlock(repository: Repository, tag: Tag, url: Url = None, insecure: Insecure = False) -> None:
    """Unlock a tag."""
    client(url, insecure=insecure).delete(f"{_path(repository)}/{quote(tag)}/lock")


def _path(repository: str) -> str:
    return f"/repositories/{quote(repository)}/-/tags"
