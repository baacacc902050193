"""Who sees which digest: the gate of a pull. Pure, and the same for GET and HEAD.

Invariant: what is not judged is not served as if it were. Only a `pass` is served in silence; the pusher alone may
read back what he pushed, for an hour, because a client must be able to, and the fix must be pushable
(goharbor/harbor#23638). Blobs are gated by membership only: good and bad images share layers.
"""

from datetime import timedelta
from functools import lru_cache
from typing import Final

from entrepot.registry.errors import PolicyBlockedError, QuarantinedError
from entrepot.registry.hot import Found

READ_BACK: Final = timedelta(hours=1)
MAX_TEXT: Final = 400
MAX_LINK: Final = 200
"""A longer address of a page would leave no room for the reason."""


def warning_for(found: Found, reference: str, now_us: int, pages: str) -> str:
    """The warning to serve *found* with, empty for none. now_us: microseconds since 1970; pages: URL
    of the registry's pages, of which one says why.

    Raises PolicyBlockedError, QuarantinedError: with what, why, and the next step, in one line of ASCII.
    """
    if found.kind == "artifact" or found.gate == "pass":
        return ""
    if found.own_push_at is not None and now_us - found.own_push_at < READ_BACK // timedelta(microseconds=1):
        return ""
    name = _written(found.repository.name, reference)
    why = f"{pages}/why/{found.repository.name}@{found.digest}"
    if found.gate == "warn":
        return _line(found.gate_text, name, why)
    if found.gate in {"block", "error"}:
        raise PolicyBlockedError(_line(found.gate_text, name, why))
    seconds = max(0, (now_us - found.pushed_at) // 1_000_000)
    what = f"{(found.digest or '')[:19]} waits for its scan (since {seconds} s)"
    if found.mode == "enforce":
        raise QuarantinedError(f"{what}; try again in a few seconds, or: entrepot scan wait {name}"[:MAX_TEXT])
    return f"{what}; served because the project is in {found.mode} mode"[:MAX_TEXT]


def _written(name: str, reference: str) -> str:
    return f"{name}@{reference}" if ":" in reference else f"{name}:{reference}"


@lru_cache(maxsize=1024)
def _line(text: str, name: str, why: str) -> str:
    step = f"; {why}" if len(why) <= MAX_LINK else f"; see: entrepot finding list {name}"
    ascii_text = text.encode("ascii", "replace").decode()
    return ascii_text[: MAX_TEXT - len(step)] + step
