"""Symbolic links as data, resolved in the merged tree and never on a file system.

Spec: path_resolution(7), with the image's root as root. Design: scanning.md, section 3.1 ("Links are data").
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

MOST_HOPS: Final = 40


@dataclass(frozen=True, slots=True)
class Way:
    """Where a path leads: path, None if it never ends; link: the first link on the way, empty if there is none."""

    path: str | None
    link: str


def follow(path: str, links: Mapping[str, str]) -> Way:
    """*path* with every link on its way and at its end replaced. *links*: targets as written, by path."""
    ahead = path.split("/")[::-1]
    at: list[str] = []
    hops, first = 0, ""
    while ahead:
        part = ahead.pop()
        if part in {"", "."}:
            continue
        if part == "..":
            del at[-1:]
            continue
        at.append(part)
        here = "/".join(at)
        target = links.get(here)
        if target is None:
            continue
        first = first or here
        hops += 1
        if hops > MOST_HOPS:
            return Way(None, first)
        if target.startswith("/"):
            at.clear()
        else:
            at.pop()
        ahead += target.split("/")[::-1]
    return Way("/".join(at), first)


def resolve(path: str, links: Mapping[str, str]) -> str | None:
    """Where *path* leads; None if its links never end."""
    return follow(path, links).path if links else path


def resolve_parent(path: str, links: Mapping[str, str]) -> str:
    """The place at which a member named *path* is written: its directory's links followed, its own name kept."""
    folder, slash, name = path.rpartition("/")
    if not links or not slash:
        return path
    real = resolve(folder, links)
    return path if real is None else f"{real}/{name}".lstrip("/")
