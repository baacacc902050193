"""Which of several ratings counts (scanning.md, section 7)."""

from collections.abc import Iterable
from typing import Final

from entrepot.scanning.model import Rating, Severity

DEBIAN: Final = "debian"
GHSA: Final = "ghsa"

# After them come vendors we have no word on, then Debian's urgency, which speaks only where nobody else does.
_ORDER: Final = (GHSA, "cvss:4.0", "cvss:3.1", "cvss:3.0", "cvss:2")


def choose(ratings: Iterable[Rating]) -> tuple[Severity, str]:
    """The severity of a finding and the source that gave it; `(UNKNOWN, "")` if none rates it.

    GHSA's own word comes before CVSS, a newer CVSS version before an older one, other sources after them. Debian's
    urgency is taken as it stands only where there is no other rating; but what Debian calls unimportant
    (`negligible`) is so, whatever the others say. Of two ratings of one source the higher counts.
    """
    known = [rating for rating in ratings if rating.severity is not Severity.UNKNOWN]
    if not known:
        return Severity.UNKNOWN, ""
    best = min(known, key=lambda rating: (_place(rating), rating.source, -rating.severity.rank))
    return best.severity, best.source


def _place(rating: Rating) -> int:
    if rating.source == DEBIAN:
        return -1 if rating.severity is Severity.NEGLIGIBLE else len(_ORDER) + 1
    return _ORDER.index(rating.source) if rating.source in _ORDER else len(_ORDER)
