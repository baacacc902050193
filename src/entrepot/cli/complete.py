"""What a shell completes from the server: projects, repositories, tags, images. Fast, and silent when it can't."""

from collections.abc import Mapping
from typing import Final
from urllib.parse import quote

import typer

from entrepot.cli.client import Client
from entrepot.cli.http import Http
from entrepot.cli.suggest import names
from entrepot.cli.user import environment
from entrepot.errors import EntrepotError

CONNECT_SECONDS: Final = 0.5
READ_SECONDS: Final = 1.0
MOST: Final = "100"


def projects(context: typer.Context, incomplete: str) -> list[str]:
    """Projects that begin as *incomplete* does."""
    return _found(context, "/projects", incomplete)


def repositories(context: typer.Context, incomplete: str) -> list[str]:
    """Repositories that begin as *incomplete* does."""
    return _found(context, "/repositories", incomplete)


def tags(context: typer.Context, incomplete: str) -> list[str]:
    """Tags, that begin as *incomplete* does, of the repository that stands before; the last moved first."""
    return _tags(context, str(context.params.get("repository") or ""), incomplete)


def images(context: typer.Context, incomplete: str) -> list[str]:
    """Repositories, and behind a colon the tags of one: `shop/web:1.0`."""
    repository, colon, tag = incomplete.partition(":")
    if not colon:
        return repositories(context, incomplete)
    return [f"{repository}:{each}" for each in _tags(context, repository, tag)]


def _tags(context: typer.Context, repository: str, begin: str) -> list[str]:
    return _found(context, f"/repositories/{quote(repository)}/-/tags", begin, {"sort": "-moved_at"})


def _found(context: typer.Context, path: str, begin: str, more: Mapping[str, str] | None = None) -> list[str]:
    """The names in the list at *path* that begin so; none on any failure: who presses a key reads no errors."""
    where = {"filter": f'name~"{begin}"'} if begin.isprintable() and begin and not set(begin) & set('"\\') else {}
    url, insecure = context.params.get("url"), bool(context.params.get("insecure"))
    try:
        user = Client.of_user(url, environment(), insecure=insecure, helpers=False)
        api = Client(Http(user.http.server, CONNECT_SECONDS, READ_SECONDS), user.authorization, suggests=False)
        found = names(api.get(path, {"limit": MOST, **where, **(more or {})}))
    except (EntrepotError, OSError):
        return []
    return [name for name in found if name.startswith(begin)]
