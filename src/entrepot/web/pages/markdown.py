"""Markdown to HTML, on the server: only the elements in TAGS, only links to pages of ours and to the web."""

from typing import Final

from markdown_it import MarkdownIt
from markdown_it.token import Token
from markupsafe import Markup

BLOCKS: Final = ("blockquote", "h1", "h2", "h3", "h4", "h5", "h6", "hr", "li", "ol", "p", "pre", "ul")
TABLES: Final = ("table", "tbody", "td", "th", "thead", "tr")
TAGS: Final = frozenset({"a", "br", "code", "em", "s", "strong", *BLOCKS, *TABLES})
READER: Final = MarkdownIt("commonmark", {"html": False}).enable("table")
KEPT: Final = {"a": ("href", "title"), "ol": ("start",), "h1": ("id",), "h2": ("id",), "h3": ("id",)}
WEB: Final = ("https://", "http://", "/", "#")


def render(text: str, page: str) -> tuple[str, Markup]:
    """Title and HTML of the Markdown *text*, which is the page `/help/` + *page*: links are taken from there."""
    tokens = READER.parse(text)
    title = next((tokens[n + 1].content for n, each in enumerate(tokens) if each.tag == "h1"), "Help")
    for n, token in enumerate(tokens):
        if token.type == "heading_open":
            token.attrs["id"] = _slug(tokens[n + 1].content)
        _clean(token, page)
    html = READER.renderer.render(tokens, READER.options, {})
    # Wide code is scrolled, by keyboard too.
    return title, Markup(html.replace("<pre>", '<pre tabindex="0">'))  # noqa: S704  of cleaned tokens alone


def _clean(token: Token, page: str) -> None:
    kept = KEPT.get(token.tag, ())
    token.attrs = {name: value for name, value in token.attrs.items() if name in kept}
    if "href" in token.attrs:
        token.attrs["href"] = _target(str(token.attrs["href"]), page)
    if token.type in {"fence", "code_block"}:
        token.info = ""
    if token.children:
        token.children = [each for each in token.children if not each.tag or each.tag in TAGS]
        for each in token.children:
            _clean(each, page)
    if token.tag and token.tag not in TAGS:
        token.hidden = True
        token.type, token.content, token.tag = "text", "", ""


def _target(href: str, page: str) -> str:
    """Where a link leads: within the docs, or to the web; all else leads to the first page of help."""
    if href.startswith("//") or (":" in href.partition("/")[0] and not href.startswith(("https://", "http://"))):
        return "/help"
    if href.startswith(WEB):
        return href
    path, _, anchor = href.partition("#")
    parts = page.split("/")[:-1]
    for part in path.split("/"):
        if part == "..":
            if not parts:
                return "/help"
            parts.pop()
        elif part not in {"", "."}:
            parts.append(part)
    return f"/help/{'/'.join(parts)}" + (f"#{anchor}" if anchor else "")


def _slug(heading: str) -> str:
    """A heading's anchor, as code hosts make it."""
    words = "".join(each for each in heading.lower() if each.isalnum() or each in " -_")
    return words.replace(" ", "-")
