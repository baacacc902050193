"""`entrepot account`: people, and their passwords."""

import sys
from enum import StrEnum
from typing import Annotated, Final
from urllib.parse import quote

import typer

from entrepot.cli.commands.login import FromStdin, User, by_password
from entrepot.cli.options import Insecure, Most, Url, Wanted, client
from entrepot.cli.output import Column, Format, Item, Output, when
from entrepot.errors import InvalidError

app = typer.Typer(
    help="Make and end accounts of people, and change passwords.", no_args_is_help=True, add_completion=False
)

Name = Annotated[str, typer.Argument(metavar="NAME", help="The person's name.")]


class SiteRole(StrEnum):
    """What a person may do on the whole site."""

    ADMIN = "admin"
    DEVELOPER = "developer"
    VIEWER = "viewer"
    NONE = "none"


def _roles(item: Item) -> object:
    roles = item.get("roles")
    return ", ".join(str(role) for role in roles) if isinstance(roles, list) else ""


COLUMNS: Final = (
    Column("NAME", "name"),
    Column("SITE ROLES", _roles),
    Column("CREATED", when("created_at")),
    Column("DISABLED", when("disabled_at")),
)


@app.command("create")
def create(*, name: Name, url: Url = None, insecure: Insecure = False, output: Wanted = Format.TABLE) -> None:
    """Make an account of a person. The first password is shown once, alone on stdout; he changes it."""
    made = client(url, insecure=insecure).post("/accounts", {"name": name})
    out = Output.to_terminal(output)
    if output.is_document:
        out.item(made, COLUMNS)
        return
    out.note(f"account {made.get('name')} has no role yet; this is the first password, it is not shown again:")
    out.text(str(made.get("password")))


@app.command("show")
def show(name: Name, url: Url = None, insecure: Insecure = False, output: Wanted = Format.TABLE) -> None:
    """Show a person's account."""
    Output.to_terminal(output).item(client(url, insecure=insecure).get(_path(name)), COLUMNS)


@app.command("list")
def show_all(limit: Most = None, url: Url = None, insecure: Insecure = False, output: Wanted = Format.TABLE) -> None:
    """List the accounts of people, the disabled ones too."""
    items = client(url, insecure=insecure).items("/accounts", None, limit)
    Output.to_terminal(output).items(items, COLUMNS, "no accounts: entrepot account create NAME")


@app.command("role")
def role(
    name: Name,
    wanted: Annotated[SiteRole, typer.Argument(metavar="ROLE", help="admin, developer, viewer or none.")],
    url: Url = None,
    insecure: Insecure = False,
    output: Wanted = Format.TABLE,
) -> None:
    """Give a person a role on the whole site, or take it away. Nobody changes his own."""
    roles = [] if wanted is SiteRole.NONE else [wanted.value]
    now = client(url, insecure=insecure).change("PUT", f"{_path(name)}/roles", {"roles": roles}, _path(name))
    Output.to_terminal(output).item(now, COLUMNS)


@app.command("reset")
def reset(*, name: Name, url: Url = None, insecure: Insecure = False, output: Wanted = Format.TABLE) -> None:
    """Give a person who forgot his password another. It is shown once, alone on stdout; he changes it."""
    made = client(url, insecure=insecure).post(f"{_path(name)}/password", {})
    out = Output.to_terminal(output)
    if output.is_document:
        out.item(made, COLUMNS)
        return
    out.note(f"this is the new password of {made.get('name')}, it is not shown again:")
    out.text(str(made.get("password")))


@app.command("delete")
def delete(name: Name, url: Url = None, insecure: Insecure = False) -> None:
    """Disable a person's account for good. What he has opens nothing any more; the name is not given again."""
    client(url, insecure=insecure).delete(_path(name))
    Output.to_terminal(Format.TABLE).note(f"disabled {name}")


@app.command("link")
def link(
    *,
    user: User = None,
    password_stdin: FromStdin = False,
    url: Url = None,
    insecure: Insecure = False,
    output: Wanted = Format.TABLE,
) -> None:
    """Make an address that signs your browser in, once, within ten minutes: alone on stdout. Takes the password."""
    made = by_password(client(url, insecure=insecure), user, from_stdin=password_stdin).post("/sign-in-links", {})
    out = Output.to_terminal(output)
    if output.is_document:
        out.item(made, COLUMNS)
        return
    out.note(f"whoever opens this first is {made.get('account')}, until {made.get('ends_at')}:")
    out.text(str(made.get("url")))


@app.command("password")
def password(
    from_stdin: Annotated[
        bool, typer.Option("--stdin", help="Read the old password and the new one from stdin, a line each.")
    ] = False,
    url: Url = None,
    insecure: Insecure = False,
) -> None:
    """Change your own password. Your other sessions end with it; your personal tokens stay."""
    old, new = _two_lines() if from_stdin else _asked()
    client(url, insecure=insecure).put("/auth/password", {"old": old, "new": new})
    Output.to_terminal(Format.TABLE).note("the password is changed")


def _path(name: str) -> str:
    return f"/accounts/{quote(name, safe='')}"


def _two_lines() -> tuple[str, str]:
    old, new = (sys.stdin.readline().rstrip("\r\n") for _ in range(2))
    return old, new


def _asked() -> tuple[str, str]:
    if not sys.stdin.isatty():
        raise InvalidError("there is no terminal to ask on: give --stdin")
    old: str = typer.prompt("password", hide_input=True, err=True)
    new: str = typer.prompt("new password", hide_input=True, confirmation_prompt=True, err=True)
    return old, new
