"""Paths of members: cleaned, or refused. Design: scanning.md, section 3.1."""

import re
from typing import Final

# A component that is empty, `.` or `..`: most paths have none, and are taken as they are.
ODD: Final = re.compile(rb"(?:\A|/)\.{0,2}(?:/|\Z)")


class PathRefusedError(Exception):
    """A path that is not used. *code* becomes the problem's code; never leaves `layers`."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


def clean(raw: bytes, path_bytes: int, depth: int) -> str:
    """The path *raw* without `./`, leading and trailing `/`; empty for the root itself.

    Bytes that are no UTF-8 are shown in hexadecimal, so that different names stay different.
    Raises PathRefusedError: `path_nul`, `path_escape` (a component `..`, which a runtime would resolve),
    `limit:path` (over *path_bytes*), `limit:depth` (over *depth* components).
    """
    if len(raw) > path_bytes:
        raise PathRefusedError("limit:path")
    if b"\0" in raw:
        raise PathRefusedError("path_nul")
    path = raw.rstrip(b"/")
    if path and ODD.search(path):
        parts = [part for part in path.split(b"/") if part not in {b"", b"."}]
        if b".." in parts:
            raise PathRefusedError("path_escape")
        path = b"/".join(parts)
    if path.count(b"/") >= depth:
        raise PathRefusedError("limit:depth")
    return path.decode("utf-8", "backslashreplace")


def ancestors(path: str) -> list[str]:
    """The directories above *path*, outermost first, without the root: `a`, `a/b` for `a/b/c`."""
    return [path[: match.start()] for match in re.finditer("/", path)]
