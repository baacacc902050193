"""The options that many commands share, and what they lead to."""

import os
from typing import Annotated

import typer

from entrepot.cli.client import Client
from entrepot.cli.output import Format
from entrepot.oci.reference import Reference

Url = Annotated[
    str | None,
    typer.Option("--url", help="The server; else ENTREPOT_URL, else the last login.", show_default=False),
]
Insecure = Annotated[
    bool,
    typer.Option("--insecure", help="Allow credentials over plain HTTP to another machine."),
]
Wanted = Annotated[Format, typer.Option("--output", "-o", help="How the result is printed.")]
Image = Annotated[
    Reference,
    typer.Argument(parser=Reference.parse, metavar="REF", help="As docker writes it: shop/web:1.0, shop/web@sha256:…"),
]
Project = Annotated[str, typer.Argument(metavar="PROJECT", help="The project's name.")]


def client(url: str | None, *, insecure: bool) -> Client:
    """The API client of this process's user. Raises as Client.of_user."""
    return Client.of_user(url, os.environ, insecure=insecure)
