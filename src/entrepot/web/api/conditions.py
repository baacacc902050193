"""Conditional changes: no client overwrites what it never saw. Spec: RFC 9110, 8.8.3, 13.1.1; RFC 6585, 3 (428).

Invariant: a change with `If-Match` takes place only on the state its entity tag was made of. It holds because the tag
is made of all that can be changed in the resource, and the state that was compared here is what the use case demands
again inside its transaction. Example: A and B read quota `"5f…"`; B sets it; A's `If-Match: "5f…"` is 412, also if B's
commit falls between A's check and A's write. Broken, `tests/conformance/test_api_conditions.py` fails.
"""

import hashlib
import re
from typing import Annotated, Final, TypeVar

import msgspec
from fastapi import Header

from entrepot.runtime.errors import StaleError
from entrepot.web.limits.errors import ConditionRequiredError

T = TypeVar("T")
LISTED: Final = re.compile(r'\s*(?P<weak>W/)?(?P<tag>"[\x21\x23-\x7e\x80-\xff]*")\s*(?:,|\Z)')
ANY: Final = "*"
TEXT: Final = "The `ETag` that reading it gave, or `*` for whatever it is. Without: 428; changed since: 412."

IfMatch = Annotated[str | None, Header(alias="If-Match", max_length=1_000, description=TEXT)]


def entity_tag(state: object) -> str:
    """The entity tag of *state*: of what can be changed, not of counters that move by themselves."""
    return f'"{hashlib.sha256(msgspec.json.encode(state)).hexdigest()[:20]}"'


def expected(if_match: str | None, state: T) -> T | None:
    """What a use case is to expect: *state*, which the caller saw; None for `*`. Weak tags match nothing.

    Raises ConditionRequiredError, StaleError.
    """
    if if_match is None:
        raise ConditionRequiredError
    if if_match.strip() == ANY:
        return None
    wanted, place = entity_tag(state), 0
    while (listed := LISTED.match(if_match, place)) is not None and place < len(if_match):
        if listed["tag"] == wanted and not listed["weak"]:
            return state
        place = listed.end()
    raise StaleError
