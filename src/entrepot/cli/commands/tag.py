"""`entrepot tag`: what tags name, what they named before, moving one back, and locking one."""

from typing import Annotated, Final
from urllib.parse import quote

import typer

from entrepot.cli.listed import Listed
from entrepot.cli.options import Count, Insecure, Most, Repository, Sort, Tag, Url, Wanted, Where, asked, client
from entrepot.cli.output import Column, Format, Output, when

app = typer.Typer(help="List, restore and lock tags.", no_args_is_help=True, add_completion=False)

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
FACTS: Final = (
    Column("tag", "name"),
    Column("digest", "digest"),
    Column("moves", "rev"),
    Column("moved", when("moved_at")),
    Column("locked by", "locked_by"),
)
RESTORED: Final = (Column("tag", "name"), Column("digest", "digest"), Column("rev", "rev"))


@app.command("show")
def show(
    repository: Repository, tag: Tag, url: Url = None, insecure: Insecure = False, output: Wanted = Format.TABLE
) -> None:
    """Show what a tag names."""
    found = client(url, insecure=insecure).get(f"{_path(repository)}/{quote(tag)}")
    Output.to_terminal(output).item(found, FACTS)


@app.command("list")
def show_all(
    *,
    repository: Repository,
    where: Where = None,
    sort: Sort = None,
    limit: Most = None,
    count: Count = False,
    url: Url = None,
    insecure: Insecure = False,
    output: Wanted = Format.TABLE,
) -> None:
    """List the tags of a repository, with how often each was moved; `--sort natural` has v1.9 before v1.10."""
    listed = Listed(_path(repository), asked(where, sort), TAGS, "no tags")
    listed.show(client(url, insecure=insecure), Output.to_terminal(output), limit, count=count)


@app.command("history")
def history(
    repository: Repository,
    tag: Tag,
    limit: Most = None,
    url: Url = None,
    insecure: Insecure = False,
    output: Wanted = Format.TABLE,
) -> None:
    """List what a tag named, the last first; where it was deleted it named nothing."""
    items = client(url, insecure=insecure).items(f"{_path(repository)}/{quote(tag)}/history", None, limit)
    Output.to_terminal(output).items(items, HISTORY, "it never was", Column("", "rev"))


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
    path = f"{_path(repository)}/{quote(tag)}"
    client(url, insecure=insecure).change("PUT", f"{path}/lock", {}, path)


@app.command("unlock")
def unlock(repository: Repository, tag: Tag, url: Url = None, insecure: Insecure = False) -> None:
    """Unlock a tag."""
    path = f"{_path(repository)}/{quote(tag)}"
    client(url, insecure=insecure).change("DELETE", f"{path}/lock", None, path)


def _path(repository: str) -> str:
    return f"/repositories/{quote(repository)}/-/tags"
