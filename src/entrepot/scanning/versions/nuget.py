"""NuGet versions as bytes in NuGet's order (learn.microsoft.com, "NuGet Package Versioning").

One to four numbers, then the pre-release labels of semantic versions, compared without regard to case; metadata
behind `+` is ignored. As in NuGet, a label counts as a number only up to 2147483647.
"""

import re
from typing import Final

from entrepot.scanning.errors import VersionMalformedError
from entrepot.scanning.versions.parts import checked_key, checked_text, number

_LABELS: Final = r"[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*"
_VERSION: Final = re.compile(rf"([0-9]+(?:\.[0-9]+){{0,3}})(?:-({_LABELS}))?(?:\+{_LABELS})?")
# NuGet reads the label `-5` as a number below zero; nobody means that.
_NEGATIVE: Final = re.compile(r"-[0-9]+")
_MAX_NUMBER: Final = 2**31 - 1
_END: Final = b"\x01"
_DIGITS: Final = b"\x10"
_TEXT: Final = b"\x20"
_NO_PRE_RELEASE: Final = b"\xff"


def key(text: str) -> bytes:
    """The key of the NuGet version *text*. Raises VersionMalformedError."""
    match = _VERSION.fullmatch(checked_text(text))
    if match is None:
        raise VersionMalformedError("not a NuGet version")
    numbers = [*match[1].split("."), "0", "0", "0"][:4]
    key = b"".join(number(digits) for digits in numbers)
    return checked_key(key + (_NO_PRE_RELEASE if match[2] is None else _labels(match[2])))


def _labels(text: str) -> bytes:
    key = bytearray()
    # Ordinal and without regard to case means upper case: `-` and digits come before letters either way.
    for label in text.upper().split("."):
        if _NEGATIVE.fullmatch(label):
            raise VersionMalformedError("a NuGet version has a negative label")
        if label.isdigit() and int(label) <= _MAX_NUMBER:
            key += _DIGITS + number(label)
        else:
            key += _TEXT + label.encode() + b"\x00"
    return bytes(key + _END)
