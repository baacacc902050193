"""`entrepot token`: personal tokens, which logins and scripts use."""

from typing import Annotated, Final
from urllib.parse import quote

import typer

from entrepot.cli.commands.login import FromStdin, User, by_password
from entrepot.cli.options import Insecure, Most, Url, Wanted, client
from entrepot.cli.output import Column, Format, Output, when

app = typer.Typer(help="Make, list and revoke your personal tokens.", no_args_is_help=True, add_completion=False)

COLUMNS: Final = (
    Column("ID", "id"),
    Column("NAME", "name"),
    Column("CREATED", when("created_at")),
    Column("EXPIRES", when("expires_at")),
)


@app.command("create")
def create(
    *,
    name: Annotated[str, typer.Argument(metavar="NAME", help="What it is for.")],
    days: Annotated[int, typer.Option(min=1, max=365, help="How long it is valid.")] = 90,
    user: User = None,
    password_stdin: FromStdin = False,
    url: Url = None,
    insecure: Insecure = False,
    output: Wanted = Format.TABLE,
) -> None:
    """Make a personal token, for docker login or a script. It is shown once: alone on stdout. Takes the password."""
    api = by_password(client(url, insecure=insecure), user, from_stdin=password_stdin)
    made = api.post("/auth/tokens", {"name": name, "days": days})
    out = Output.to_terminal(output)
    if output.is_document:
        out.item(made, COLUMNS)
        return
    out.note(
        f"token {made.get('id')} of {made.get('account')}, valid until {made.get('expires_at')}; it is not shown again:"
    )
    out.text(str(made.get("token")))


@app.command("list")
def show_all(limit: Most = None, url: Url = None, insecure: Insecure = False, output: Wanted = Format.TABLE) -> None:
    """List your personal tokens, oldest first. What they are is not kept: only their names."""
    items = client(url, insecure=insecure).items("/auth/tokens", None, limit)
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
