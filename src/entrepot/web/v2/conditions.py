"""Conditional requests, by entity tags that are digests in quotes. Spec: RFC 9110, 8.8.3, 13.1.1, 13.1.2."""

import re
from typing import Final

from entrepot.registry.model import ANY, Condition
from entrepot.web.request import Request

TAG: Final = re.compile(r'\s*(W/)?"([\x21\x23-\x7e\x80-\xff]*)"\s*(?:,|\Z)')
NOTHING: Final[frozenset[str]] = frozenset()


def has_already(request: Request, digest: str) -> bool:
    """Whether the client of a GET or HEAD has *digest* and wants no other answer than 304 if it is still that."""
    listed = _listed(request, "if-none-match", weak=True)
    return listed is not None and not listed.isdisjoint({ANY, digest})


def condition(request: Request) -> Condition:
    """What a PUT asks of its reference. A list that can't be read names nothing."""
    return Condition(_listed(request, "if-match", weak=False), _listed(request, "if-none-match", weak=True))


def _listed(request: Request, header: str, *, weak: bool) -> frozenset[str] | None:
    """The digests that *header* lists, or ANY; None if it is not there. weak: whether weak tags count too."""
    text = request.headers.get(header)
    if text is None:
        return None
    if text.strip() == ANY:
        return frozenset({ANY})
    found, place = set(), 0
    while place < len(text):
        match = TAG.match(text, place)
        if match is None:
            return NOTHING
        if weak or not match[1]:
            found.add(match[2])
        place = match.end()
    return frozenset(found)
