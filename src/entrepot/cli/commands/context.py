"""`entrepot context`: names for servers, and which of them is asked."""

from typing import Annotated, Final

import typer

from entrepot.cli.credentials import Context
from entrepot.cli.http import Server
from entrepot.cli.options import Insecure, Wanted
from entrepot.cli.output import Column, Format, Item, Output
from entrepot.cli.user import credentials

app = typer.Typer(help="Name servers, and choose which one is asked.", no_args_is_help=True, add_completion=False)

COLUMNS: Final = (
    Column("NAME", "name"),
    Column("SERVER", "url"),
    Column("LOGGED IN AS", "account"),
    Column("IN USE", "in_use"),
)


def known(incomplete: str) -> list[str]:
    """Contexts that begin as *incomplete* does."""
    names = [each.name for each in credentials().contexts()]
    return [name for name in names if name.startswith(incomplete)]


Name = Annotated[
    str, typer.Argument(metavar="NAME", help="The context's name, which you choose.", autocompletion=known)
]


@app.command("add")
def add(
    name: Name,
    url: Annotated[str, typer.Argument(metavar="URL", help="The server's address.")],
    insecure: Insecure = False,
    use: Annotated[bool, typer.Option("--use", help="Ask this server from now on.")] = False,
) -> None:
    """Give a server a name, in the place of any other of that name."""
    kept = credentials()
    server = Server.parse(url, insecure=insecure)
    kept.add(Context(name, server.url, insecure))
    if use:
        kept.use(name)
    Output.to_terminal(Format.TABLE).note(f"{name} is {server.url}{', in use from now on' if use else ''}")


@app.command("use")
def use(name: Name) -> None:
    """Ask this server from now on, where neither --url nor ENTREPOT_URL names one."""
    context = credentials().use(name)
    Output.to_terminal(Format.TABLE).note(f"commands ask {context.url} from now on")


@app.command("list")
def show_all(output: Wanted = Format.TABLE) -> None:
    """List the contexts, and who is logged in there."""
    kept = credentials()
    used = kept.in_use()
    items: list[Item] = []
    for each in kept.contexts():
        login = kept.of(each.url)
        is_used = used is not None and used.url == each.url
        items.append({"name": each.name, "url": each.url, "account": login and login.account, "in_use": is_used})
    Output.to_terminal(output).items(items, COLUMNS, "no contexts: entrepot context add NAME URL")


@app.command("remove")
def remove(name: Name) -> None:
    """Forget a context. A login at its server stays: entrepot logout ends that."""
    credentials().remove(name)
    Output.to_terminal(Format.TABLE).note(f"removed {name}")
