"""Semantic versions as bytes in their precedence (Semantic Versioning 2.0.0, sections 2, 9, 10 and 11).

Used by npm, cargo, Hex and SwiftURL, and with additions by Go and pub. A leading `v` is passed over, as npm does.
"""

import re
from typing import Final

from entrepot.scanning.errors import VersionMalformedError
from entrepot.scanning.versions.parts import checked_key, checked_text, number

_NUMBER: Final = r"(0|[1-9][0-9]*)"
_IDENTIFIERS: Final = r"[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*"
_VERSION: Final = re.compile(rf"v?{_NUMBER}\.{_NUMBER}\.{_NUMBER}(?:-({_IDENTIFIERS}))?(?:\+({_IDENTIFIERS}))?")
# No release is called so, but bounds of advisories are.
_SHORT: Final = re.compile(rf"v?{_NUMBER}(?:\.{_NUMBER})?")
_END: Final = b"\x01"
_DIGITS: Final = b"\x10"
_TEXT: Final = b"\x20"
_NO_PRE_RELEASE: Final = b"\xff"


def key(text: str) -> bytes:
    """The key of the semantic version *text*, without its build metadata. Raises VersionMalformedError."""
    return checked_key(parsed(text)[0])


def parsed(text: str) -> tuple[bytes, str]:
    """The bytes of *text* by precedence, not yet checked for their length, and its build metadata, often empty.

    One or two numbers alone (`1.2`) are read as `1.2.0`. Raises VersionMalformedError.
    """
    if short := _SHORT.fullmatch(checked_text(text)):
        return number(short[1]) + number(short[2] or "") + number("") + _NO_PRE_RELEASE, ""
    match = _VERSION.fullmatch(text)
    if match is None:
        raise VersionMalformedError("not a semantic version")
    major, minor, patch, pre_release, build = match.groups()
    key = number(major) + number(minor) + number(patch)
    if pre_release is None:
        return key + _NO_PRE_RELEASE, build or ""
    if any(is_padded(identifier) for identifier in pre_release.split(".")):
        raise VersionMalformedError("a semantic version has a pre-release number with a leading zero")
    return key + identifiers(pre_release), build or ""


def identifiers(text: str) -> bytes:
    """The dotted identifiers *text* as bytes: numbers by value before texts, a beginning before what goes on."""
    key = bytearray()
    for identifier in text.split("."):
        key += _DIGITS + number(identifier) if identifier.isdigit() else _TEXT + identifier.encode() + b"\x00"
    return bytes(key + _END)


def is_padded(identifier: str) -> bool:
    """Whether *identifier* is a number written with leading zeros."""
    return identifier.isdigit() and identifier != "0" and identifier.startswith("0")
