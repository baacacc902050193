"""What lists have in common: how long a page is, where it begins, and the link to the next. Spec: RFC 8288."""

from urllib.parse import urlencode

from entrepot.errors import InvalidError
from entrepot.web.request import Request


def page_asked_for(request: Request) -> tuple[str, int | None]:
    """`last`, empty for the beginning, and `n`, None if it is not given. Raises InvalidError: no number."""
    text = request.query_value("n")
    if text is not None and not (text.isascii() and text.isdigit() and len(text) < 10):
        raise InvalidError("n is not a number of entries", "n")
    # No name holds a NUL, and PostgreSQL takes none: what comes behind `a\0b` is what comes behind `a`.
    last = (request.query_value("last") or "").partition("\0")[0]
    return last, int(text) if text is not None else None


def link_to_next(path: str, query: dict[str, str]) -> tuple[str, str]:
    """The header that leads on to the page of *query*; relative, so that it stays with the host the client knows."""
    return "link", f'<{path}?{urlencode(query)}>; rel="next"'
