"""Pieces that every version key is made of: numbers whose bytes order as they do, and the limit on a key."""

from typing import Final

from entrepot.scanning.errors import VersionMalformedError

MAX_TEXT_CHARS: Final = 512
MAX_KEY_BYTES: Final = 512
_MAX_DIGITS: Final = 250


def number(digits: str) -> bytes:
    r"""ASCII *digits* as bytes that order by value: their count without leading zeros, then the digits.

    No digits count as zero: `number("") == number("0") == b"\x00"`; `number("10") == b"\x0210"`.
    Raises VersionMalformedError over 250 digits.
    """
    digits = digits.lstrip("0")
    if len(digits) > _MAX_DIGITS:
        raise VersionMalformedError(f"a version has a number of {len(digits)} digits")
    return bytes((len(digits),)) + digits.encode("ascii")


def checked_text(text: str) -> str:
    """*text*, if it is worth parsing. Raises VersionMalformedError if it is empty or over 512 characters."""
    if not text or len(text) > MAX_TEXT_CHARS:
        raise VersionMalformedError(f"a version has {len(text)} characters; 1 to {MAX_TEXT_CHARS} are allowed")
    return text


def checked_key(key: bytes) -> bytes:
    """*key*, if it fits a column. Raises VersionMalformedError over 512 bytes."""
    if len(key) > MAX_KEY_BYTES:
        raise VersionMalformedError(f"a version's key has {len(key)} bytes; {MAX_KEY_BYTES} are allowed")
    return key
