"""`entrepot login`, `logout`, `whoami`: which account this user's commands run as."""

import os
import platform
import sys
from typing import Annotated, Final

import typer

from entrepot.cli.client import DEFAULT_URL, Client
from entrepot.cli.credentials import Credentials, Login
from entrepot.cli.http import Http, Server, basic
from entrepot.cli.options import Insecure, Url, Wanted, client
from entrepot.cli.output import Column, Format, Output
from entrepot.errors import InvalidError, NotFoundError

login_app = typer.Typer(add_completion=False)
logout_app = typer.Typer(add_completion=False)
whoami_app = typer.Typer(add_completion=False)

TOKEN_DAYS: Final = 90
FACTS: Final = (Column("account", "account"), Column("kind", "kind"), Column("role", "role"))

Address = Annotated[
    str | None,
    typer.Argument(metavar="URL", help="The server; else ENTREPOT_URL, else this machine.", show_default=False),
]


@login_app.command("login")
def login(
    url: Address = None,
    user: Annotated[str | None, typer.Option("--username", "-u", help="Asked for if not given.")] = None,
    password_stdin: Annotated[
        bool, typer.Option("--password-stdin", help="Read the password from stdin instead of asking.")
    ] = False,
    days: Annotated[int, typer.Option(min=1, max=365, help="How long the login lasts.")] = TOKEN_DAYS,
    insecure: Insecure = False,
) -> None:
    """Log in to a server, and keep a personal token for it. The password itself is not kept."""
    server = Server.parse(url or os.environ.get("ENTREPOT_URL") or DEFAULT_URL, insecure=insecure)
    out = Output.to_terminal(Format.TABLE)
    account = user if user is not None else _ask("user name", hidden=False)
    password = sys.stdin.readline().rstrip("\r\n") if password_stdin else _ask("password", hidden=True)
    api = Client(Http(server), basic(account, password))
    made = api.post("/auth/tokens", {"name": f"entrepot login on {platform.node() or 'a machine'}", "days": days})
    kept = Login(server.url, str(made.get("account")), str(made.get("token")), str(made.get("expires_at")), insecure)
    Credentials.of_user(os.environ).save(kept)
    out.note(f"logged in to {server.url} as {kept.account} until {kept.expires_at}")


@logout_app.command("logout")
def logout(url: Address = None) -> None:
    """Forget the login at a server, the last one if none is named. Its token is good until it ends or is revoked."""
    credentials = Credentials.of_user(os.environ)
    current = credentials.current()
    wanted = Server.parse(url, insecure=True).url if url else current.url if current else None
    if wanted is None or not credentials.forget(wanted):
        raise NotFoundError(f"there is no login at {wanted}" if wanted else "there is no login")
    Output.to_terminal(Format.TABLE).note(f"logged out of {wanted}")


@whoami_app.command("whoami")
def whoami(url: Url = None, insecure: Insecure = False, output: Wanted = Format.TABLE) -> None:
    """Show the account that commands run as."""
    Output.to_terminal(output).item(client(url, insecure=insecure).get("/whoami"), FACTS)


def _ask(what: str, *, hidden: bool) -> str:
    if not sys.stdin.isatty():
        raise InvalidError("there is no terminal to ask on: give -u USER and --password-stdin")
    answer: str = typer.prompt(what, hide_input=hidden, err=True)
    return answer
