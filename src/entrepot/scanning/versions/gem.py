"""Ruby gem versions as bytes in the order of RubyGems' `Gem::Version` (guides.rubygems.org, "Patterns").

A version is a run of segments, numbers or letters; `-` stands for `.pre.`. Letters make a pre-release, so they rank
below everything, and missing segments count as zeros: `1.a` < `1` = `1.0` < `1.0.1`.
"""

import re
from typing import Final

from entrepot.scanning.errors import VersionMalformedError
from entrepot.scanning.versions.parts import checked_key, checked_text, number

_VERSION: Final = re.compile(r"[0-9]+(?:\.[0-9A-Za-z]+)*(?:-[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*)?")
_SEGMENT: Final = re.compile(r"([0-9]+)|([A-Za-z]+)")
_LETTERS: Final = b"\x10"
_ZERO_BEFORE_LETTERS: Final = b"\x18"
_END: Final = b"\x20"
_DIGITS: Final = b"\x30"


def key(text: str) -> bytes:
    """The key of the gem version *text*. Raises VersionMalformedError."""
    if _VERSION.fullmatch(checked_text(text)) is None:
        raise VersionMalformedError("not a gem version")
    segments = _canonical(_SEGMENT.findall(text.replace("-", ".pre.")))
    pieces: list[bytes] = []
    is_low = False
    # From the end, for a zero is above or below the end by what follows it.
    for digits, letters in reversed(segments):
        is_low = bool(letters) or (is_low and not digits.strip("0"))
        if letters:
            pieces.append(_LETTERS + letters.encode() + b"\x00")
        else:
            pieces.append(_ZERO_BEFORE_LETTERS if is_low else _DIGITS + number(digits))
    return checked_key(b"".join(reversed(pieces)) + _END)


def _canonical(segments: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """*segments* without the zeros that end the part before the first letters, and those that end the whole."""
    first = next((i for i, (_, letters) in enumerate(segments) if letters), len(segments))
    return _less_zeros(segments[:first]) + _less_zeros(segments[first:])


def _less_zeros(segments: list[tuple[str, str]]) -> list[tuple[str, str]]:
    while segments and not segments[-1][1] and not segments[-1][0].strip("0"):
        segments = segments[:-1]
    return segments
