"""What may have been meant by a name that is not there.

The server is asked for the names there are: it tells only what the caller may see.
"""

from collections.abc import Callable, Iterator
from difflib import get_close_matches
from typing import Final
from urllib.parse import unquote

from entrepot.cli.output import Item

MOST: Final = 1_000
"""Names that are compared: one page of the server's."""

Ask = Callable[[str, dict[str, str]], Item]
"""Gives what the server answers at a path to a query."""


def meant_by(path: str, ask: Ask) -> str | None:
    """A name close to the first one in the API's *path* that *ask* does not know; None if there is none.

    Raises what *ask* raises.
    """
    for name, known in _names(path, ask):
        if name not in known:
            close = get_close_matches(name, known, 1)
            return close[0] if close else None
    return None


def names(items: Item, key: str = "name") -> list[str]:
    """The names in a page of the API."""
    found = items.get("items")
    return [str(each.get(key)) for each in found if isinstance(each, dict)] if isinstance(found, list) else []


def _names(path: str, ask: Ask) -> Iterator[tuple[str, list[str]]]:
    """Each name in *path*, the outer ones first, and what there is of its kind."""
    most = {"limit": str(MOST)}
    kind, _, rest = path.lstrip("/").partition("/")
    if kind == "projects" and rest:
        yield unquote(rest.partition("/")[0]), names(ask("/projects", most))
    if kind != "repositories" or not rest:
        return
    repository, _, inside = rest.partition("/-/")
    project, slash, _ = unquote(repository).partition("/")
    projects = names(ask("/projects", most))
    if slash and project in projects:
        found = ask("/repositories", most | {"filter": f'project="{project}"'})
        yield unquote(repository), names(found)
    else:
        yield project, projects
    part, _, reference = inside.partition("/")
    reference = unquote(reference.partition("/")[0])
    if part in {"tags", "artifacts"} and reference and ":" not in reference:
        yield reference, names(ask(f"/repositories/{repository}/-/tags", most | {"sort": "-moved_at"}))
