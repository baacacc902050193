"""`entrepot token`: personal tokens, which logins and scripts use."""

from typing import Annotated, Final
from urllib.parse import quote

import typer

from entrepot.cli.options import Insecure, Url, Wanted, client
from entrepot.cli.output import Column, Format, Output, when

app = typer.Typer(help="List and revoke your personal tokens.", no_args_is_help=True, add_completion=False)

COLUMNS: Final = (
    Column("ID", "id"),
    Column("NAME", "name"),
    Column("CREATED", when("created_at")),
    Column("EXPIRES", when("expires_at")),
)


@app.command("list")
def show_all(url: Url = None, insecure: Insecure = False, output: Wanted = Format.TABLE) -> None:
    """List your personal tokens, oldest first. What they are is not kept: only their names."""
    items = client(url, insecure=insecure).items("/auth/tokens")
    Output.to_terminal(output).items(items, COLUMNS, "no personal tokens: entrepot login makes one")


@app.command("revoke")
def revoke(
    token: Annotated[str, typer.Argument(metavar="ID", help="Its id, from the list.")],
    url: Url = None,
    insecure: Insecure = False,
) -> None:
    """Revoke a personal token. It opens nothing any more; pulls and pushes under way with it end within 5 s."""
    client(url, insecure=insecure).delete(f"/auth/tokens/{quote(token, safe='')}")
    Output.to_terminal(Format.TABLE).note(f"revoked {token}")
