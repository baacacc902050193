"""`entrepot login`, `logout`, `whoami`: which account this user's commands run as."""

import platform
import sys
from typing import Annotated, Final

import typer

from entrepot.cli.client import DEFAULT_URL, Client
from entrepot.cli.credentials import Login
from entrepot.cli.http import Http, Server, basic
from entrepot.cli.options import Insecure, Url, Wanted, client
from entrepot.cli.output import Column, Format, Output
from entrepot.cli.user import credentials, environment
from entrepot.errors import InvalidError, NotFoundError

login_app = typer.Typer(add_completion=False)
logout_app = typer.Typer(add_completion=False)
whoami_app = typer.Typer(add_completion=False)

TOKEN_DAYS: Final = 90
FACTS: Final = (Column("account", "account"), Column("kind", "kind"), Column("role", "role"))

Address = Annotated[
    str | None,
    typer.Argument(metavar="URL", help="The server; else ENTREPOT_URL, else the one in use.", show_default=False),
]
User = Annotated[str | None, typer.Option("--username", "-u", help="Asked for if not given.")]
FromStdin = Annotated[bool, typer.Option("--password-stdin", help="Read the password from stdin instead of asking.")]


@login_app.command("login")
def login(
    url: Address = None,
    user: User = None,
    password_stdin: FromStdin = False,
    days: Annotated[int, typer.Option(min=1, max=365, help="How long the login lasts.")] = TOKEN_DAYS,
    insecure: Insecure = False,
) -> None:
    """Log in to a server, and keep a personal token for it. The password itself is not kept."""
    logins = credentials()
    used = logins.in_use()
    wanted = url or environment().get("ENTREPOT_URL") or None
    address = wanted or (used.url if used else DEFAULT_URL)
    insecure = insecure or (wanted is None and used is not None and used.insecure)
    server = Server.parse(address, insecure=insecure)
    out = Output.to_terminal(Format.TABLE)
    api = with_password(server, user, from_stdin=password_stdin)
    made = api.post("/auth/tokens", {"name": f"entrepot login on {platform.node() or 'a machine'}", "days": days})
    kept = Login(server.url, str(made.get("account")), str(made.get("token")), str(made.get("expires_at")), insecure)
    logins.save(kept)
    out.note(f"logged in to {server.url} as {kept.account} until {kept.expires_at}")


@logout_app.command("logout")
def logout(url: Address = None) -> None:
    """Forget the login at a server, the one in use if none is named. Its token is good until it ends or is revoked."""
    logins = credentials()
    current = logins.current()
    wanted = Server.parse(url, insecure=True).url if url else current.url if current else None
    if wanted is None or not logins.forget(wanted):
        raise NotFoundError(f"there is no login at {wanted}" if wanted else "there is no login")
    Output.to_terminal(Format.TABLE).note(f"logged out of {wanted}")


@whoami_app.command("whoami")
def whoami(url: Url = None, insecure: Insecure = False, output: Wanted = Format.TABLE) -> None:
    """Show the account that commands run as."""
    Output.to_terminal(output).item(client(url, insecure=insecure).get("/whoami"), FACTS)


def with_password(server: Server, user: str | None, *, from_stdin: bool) -> Client:
    """The client of a person who gives his password now: only so are personal tokens made. Raises InvalidError."""
    account = user if user is not None else _ask("user name", hidden=False)
    password = sys.stdin.readline().rstrip("\r\n") if from_stdin else _ask("password", hidden=True)
    return Client(Http(server), basic(account, password))


def by_password(api: Client, user: str | None, *, from_stdin: bool) -> Client:
    """The client of *api*'s server, as the person that the environment names with his password, or as one who gives it.

    Raises InvalidError.
    """
    if user is None and "ENTREPOT_USERNAME" in environment():
        return api
    return with_password(api.http.server, user, from_stdin=from_stdin)


def _ask(what: str, *, hidden: bool) -> str:
    if not sys.stdin.isatty():
        raise InvalidError("there is no terminal to ask on: give -u USER and --password-stdin")
    answer: str = typer.prompt(what, hide_input=hidden, err=True)
    return answer
