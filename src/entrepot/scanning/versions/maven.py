"""Maven versions as bytes (Maven's POM reference, "Version Order Specification").

A version is a run of tokens, numbers and qualifiers, parted by `.`, by `-`, and where digits meet other characters,
which counts as `-`. Tokens that say nothing (0, `ga`, `final`, `release`, none) are dropped at the end, before a
hyphen and before a qualifier. By rank: alpha < beta < milestone < rc < snapshot < the end < sp < other qualifiers by
alphabet < `-number` < `.number`.

Maven's own comparison has cycles, so no order of keys can be the same on every text: in 3.8, `1.0.rc.1` < `1` <
`1-1` < `1.0.rc.1`. In the specification `.qualifier` equals `-qualifier`; dropping zeros before both breaks them.
"""

import re
from typing import Final

from entrepot.scanning.errors import VersionMalformedError
from entrepot.scanning.versions.parts import checked_key, checked_text, number

_VERSION: Final = re.compile(r"(?=.*[0-9])[0-9A-Za-z._+~-]+")
_TOKEN: Final = re.compile(r"([.-]?)([0-9]+|[^0-9.-]+|(?=[.-])|$)")
_ALIASES: Final = {"cr": "rc", "ga": "", "final": "", "release": ""}
_SHORT: Final = {"a": "alpha", "b": "beta", "m": "milestone"}
_QUALIFIERS: Final = {
    **{name: bytes((0x10 + i,)) for i, name in enumerate(("alpha", "beta", "milestone", "rc", "snapshot"))},
    "": b"\x28",
    "sp": b"\x30",
}
_END: Final = b"\x20"
_OTHER_QUALIFIER: Final = b"\x31"
_HYPHEN_NUMBER: Final = b"\x40"
_DOT_NUMBER: Final = b"\x50"


def key(text: str) -> bytes:
    """The key of the Maven version *text*, whatever its case. Raises VersionMalformedError if it has no digit."""
    if _VERSION.fullmatch(checked_text(text)) is None:
        raise VersionMalformedError("not a Maven version")
    pieces: list[bytes] = []
    dropped = 0  # how many of the last pieces say nothing
    for is_hyphen, token in _tokens(text.lower()):
        is_number = token.isdigit()
        if dropped and (is_hyphen or not is_number):
            del pieces[-dropped:]
            dropped = 0
        if is_number:
            pieces.append((_HYPHEN_NUMBER if is_hyphen else _DOT_NUMBER) + number(token))
        else:
            pieces.append(_QUALIFIERS.get(token) or _OTHER_QUALIFIER + token.encode() + b"\x00")
        dropped = 0 if token.strip("0") else dropped + 1
    return checked_key(b"".join(pieces[: len(pieces) - dropped]) + _END)


def _tokens(text: str) -> list[tuple[bool, str]]:
    """Each token, and whether a hyphen is before it; a qualifier by its full name, an empty token as 0."""
    found = [(separator, token) for separator, token in _TOKEN.findall(text) if separator or token]
    if text[0] in ".-":
        found.insert(0, ("", ""))
    tokens = []
    for i, (separator, token) in enumerate(found):
        is_hyphen = separator == "-" or (not separator and i > 0)
        is_before_digits = i + 1 < len(found) and not found[i + 1][0]
        name = _SHORT.get(token, token) if is_before_digits else token
        tokens.append((is_hyphen, _ALIASES.get(name, name) if token else "0"))
    return tokens
