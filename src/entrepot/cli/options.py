"""The options that many commands share, and what they lead to."""

from typing import Annotated

import typer

from entrepot.cli import complete
from entrepot.cli.client import Client
from entrepot.cli.output import Format
from entrepot.cli.user import environment
from entrepot.oci.reference import Reference

Url = Annotated[
    str | None,
    typer.Option("--url", help="The server; else ENTREPOT_URL, else the one in use.", show_default=False),
]
Insecure = Annotated[
    bool,
    typer.Option("--insecure", help="Allow credentials over plain HTTP to another machine."),
]
Wanted = Annotated[Format, typer.Option("--output", "-o", help="How the result is printed.")]
Where = Annotated[
    str | None,
    typer.Option("--filter", metavar="FILTER", help="Only what this is true of: 'name~web and not locked=true'."),
]
Sort = Annotated[
    str | None,
    typer.Option("--sort", metavar="FIELD", help="By this field of the API; with a - before it the highest first."),
]
Most = Annotated[int | None, typer.Option("--limit", min=1, help="At most so many; else all.", show_default=False)]
Count = Annotated[bool, typer.Option("--count", help="Only say how many there are, whatever the limit.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only say what would go.")]
Image = Annotated[
    Reference,
    typer.Argument(
        parser=Reference.parse,
        metavar="REF",
        help="As docker writes it: shop/web:1.0, shop/web@sha256:…",
        autocompletion=complete.images,
    ),
]
Project = Annotated[
    str, typer.Argument(metavar="PROJECT", help="The project's name.", autocompletion=complete.projects)
]
Repository = Annotated[
    str, typer.Argument(metavar="REPOSITORY", help="As in shop/web.", autocompletion=complete.repositories)
]
Tag = Annotated[str, typer.Argument(metavar="TAG", help="As in 1.0.", autocompletion=complete.tags)]


def client(url: str | None, *, insecure: bool) -> Client:
    """The API client of this process's user. Raises as Client.of_user."""
    return Client.of_user(url, environment(), insecure=insecure)


def asked(where: str | None, sort: str | None, **more: str | None) -> dict[str, str]:
    """The query of a list, of what was given."""
    return {key: value for key, value in {"filter": where, "sort": sort, **more}.items() if value is not None}
