"""Pages: the documentation, as it came with this version. Nothing is fetched from elsewhere."""

import asyncio
from pathlib import Path
from typing import Final

from starlette.responses import Response

from entrepot.errors import NotFoundError
from entrepot.web.pages.markdown import render
from entrepot.web.pages.visit import Visit, page

PACKAGE: Final = Path(__file__).parents[2]
FOLDERS: Final = (PACKAGE / "docs", PACKAGE.parents[1] / "docs")
"""Where the pages lie: in the installed package, or beside the source."""

START: Final = "README.md"
PLAIN: Final = str.maketrans("", "", "[]")
"""A title stands in a link here."""


async def show_help(visit: Visit) -> Response:
    """One page of the documentation, or the list of all."""
    name = visit.http.path_params.get("name", "").rstrip("/") or START
    text = await asyncio.to_thread(_read, name)
    title, html = await asyncio.to_thread(render, text, name)
    return visit.page("help.html", title=title, text=html)


def _read(name: str) -> str:
    """The text of the page *name*, or a list of those in the folder *name*; it must be one of those there are.

    Raises NotFoundError.
    """
    folder = next((each for each in FOLDERS if (each / START).is_file()), FOLDERS[0])
    pages = {path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*.md"))}
    if name in pages:
        return pages[name].read_text()
    inside = [f"- [{_title(path)}]({page})" for page, path in pages.items() if page.startswith(f"{name}/")]
    if not inside:
        raise NotFoundError("there is no such page of help")
    return "\n".join([f"# Pages in {name}", "", *inside])


def _title(path: Path) -> str:
    return path.read_text().partition("\n")[0].removeprefix("# ").translate(PLAIN)


ROUTES: Final = (page("/help", show_help), page("/help/{name:path}", show_help))
