"""Composer versions as bytes: normalized as Composer does (getcomposer.org, "Versions and constraints"), in the order
of PHP's `version_compare`.

One to four numbers or a date, then perhaps a stability and its numbers, then perhaps `dev`. By rank: dev < alpha <
beta < RC < the end < number < patch. A branch (`dev-main`, `2.x-dev`) is malformed: Composer puts it above all
releases, but which of them it has is not told by its name.
"""

import re
from typing import Final

from entrepot.scanning.errors import VersionMalformedError
from entrepot.scanning.versions.parts import checked_key, checked_text, number

# Possessive: a long run of digits must not be tried in every partition.
_MODIFIER: Final = r"[._-]?(?:(stable|beta|b|rc|alpha|a|patch|pl|p)((?:[.-]?[0-9]++)*+))?([.-]?dev)?"
_CLASSIC: Final = re.compile(rf"v?([0-9]{{1,5}}(?:\.[0-9]+){{0,3}}){_MODIFIER}", re.IGNORECASE)
_DATE: Final = re.compile(
    rf"v?([0-9]{{4}}(?:[.:-]?[0-9]{{2}}){{1,6}}(?:[.:-]?[0-9]{{1,3}})?){_MODIFIER}", re.IGNORECASE
)
_BUILD: Final = re.compile(r"\+\S+\Z")
_DIGITS: Final = re.compile(r"[0-9]+")
# What Composer writes for the `x` of a branch.
_BRANCH: Final = "9999999"
_DEV: Final = b"\x10"
_STABILITIES: Final = {
    **dict.fromkeys(("alpha", "a"), b"\x11"),
    **dict.fromkeys(("beta", "b"), b"\x12"),
    "rc": b"\x13",
    **dict.fromkeys(("patch", "pl", "p"), b"\x40"),
}
_END: Final = b"\x20"
_NUMBER: Final = b"\x30"


def key(text: str) -> bytes:
    """The key of the Composer version *text*. Raises VersionMalformedError."""
    version = _BUILD.sub("", checked_text(text))
    match = _CLASSIC.fullmatch(version)
    numbers = [*match[1].split("."), "0", "0", "0"][:4] if match is not None else []
    if match is None:
        match = _DATE.fullmatch(version)
        numbers = _DIGITS.findall(match[1]) if match is not None else []
    if match is None or not version.isascii():
        raise VersionMalformedError("not a Composer version")
    _, stability, counts, dev = match.groups()
    if dev and _BRANCH in numbers:
        raise VersionMalformedError("a branch, not a version")
    key = b"".join(_NUMBER + number(digits) for digits in numbers)
    word = (stability or "").lower()
    if word in _STABILITIES:
        key += _STABILITIES[word] + b"".join(_NUMBER + number(digits) for digits in _DIGITS.findall(counts))
    if dev and word != "stable":
        key += _DEV
    return checked_key(key + _END)
