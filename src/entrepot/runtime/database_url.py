"""Which database a URL names: `sqlite:///<path>` or `postgresql://…`. Asked at each start, so without the toolkit."""

from enum import StrEnum
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

from entrepot.errors import InvalidError

FORM: Final = "database.url must be sqlite:///<path> or postgresql://<user>@<host>/<name>"


class Kind(StrEnum):
    """What speaks SQL to us."""

    SQLITE = "sqlite"
    POSTGRESQL = "postgresql"


def kind_of(url: str) -> Kind:
    """The kind of database *url* names. Raises InvalidError, without the URL: it may hold a password."""
    scheme = urlsplit(url).scheme
    if scheme in {"postgresql", "postgres"}:
        return Kind.POSTGRESQL
    if scheme == "sqlite" and database_path(url):
        return Kind.SQLITE
    raise InvalidError(FORM, "database.url")


def database_path(url: str) -> Path:
    """The file of a `sqlite:///…` URL. Raises InvalidError for any other URL."""
    prefix = "sqlite:///"
    if not url.startswith(prefix) or len(url) == len(prefix):
        raise InvalidError(FORM, "database.url")
    return Path(unquote(url.removeprefix(prefix)))


def libpq_url(url: str) -> str:
    """A PostgreSQL *url* as libpq wants it."""
    return "postgresql://" + url.partition("://")[2]
