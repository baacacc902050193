"""RPM versions, `[epoch:]version[-release]`, as bytes in the order of rpm's `rpmvercmp` (rpm-version(7)).

A version or release is a run of segments, digits or letters; what else stands between them only separates. By rank:
`~` < the end < `^` < letters < digits, so `1.0~rc1` < `1.0` < `1.0^git1` < `1.0a` < `1.0.1`.
"""

import re
from typing import Final

from entrepot.scanning.errors import VersionMalformedError
from entrepot.scanning.versions.parts import checked_key, checked_text, number

_VERSION: Final = re.compile(r"(?:([0-9]{1,10}):)?([0-9A-Za-z._+~^]+)(?:-([0-9A-Za-z._+~^]+))?")
_SEGMENT: Final = re.compile(r"([0-9]+)|([A-Za-z]+)|([~^])")
_MAX_EPOCH: Final = 2**32 - 1
_END: Final = b"\x20"
_MARKS: Final = {"~": b"\x10", "^": b"\x30"}
_LETTERS: Final = b"\x40"
_DIGITS: Final = b"\x50"
_AFTER_EVERY_RELEASE: Final = b"\xff"


def key(text: str) -> bytes:
    """The key of the RPM version *text*; no epoch is epoch 0. Raises VersionMalformedError.

    Without a release it comes before all that have one, which is what `<` and `>=` of such a bound mean.
    """
    epoch, version, release = _split(text)
    key = epoch + _run(version)
    return checked_key(key + _run(release) if release else key)


def last_key(text: str) -> bytes:
    """The highest key that equals *text*: rpm compares no release where one of the two has none.

    Raises VersionMalformedError.
    """
    own = key(text)
    return own if _split(text)[2] else checked_key(own + _AFTER_EVERY_RELEASE)


def source_of(file: str) -> tuple[str, str]:
    """Name and `version-release` of the source package *file* (`curl-7.79-1.src.rpm`); empty if it is none."""
    stem = file.removesuffix(".rpm").removesuffix(".src").removesuffix(".nosrc")
    parts = stem.rsplit("-", 2)
    return (parts[0], f"{parts[1]}-{parts[2]}") if len(parts) == 3 and all(parts) else ("", "")


def _split(text: str) -> tuple[bytes, str, str]:
    match = _VERSION.fullmatch(checked_text(text))
    if match is None or not any(c.isalnum() for c in match[2]):
        raise VersionMalformedError("not an RPM version")
    epoch = int(match[1] or 0)
    if epoch > _MAX_EPOCH:
        raise VersionMalformedError("an RPM version's epoch is too large")
    return epoch.to_bytes(4, "big"), match[2], match[3] or ""


def _run(text: str) -> bytes:
    key = bytearray()
    for digits, letters, mark in _SEGMENT.findall(text):
        if digits:
            key += _DIGITS + number(digits)
        else:
            key += _LETTERS + letters.encode() + b"\x00" if letters else _MARKS[mark]
    return bytes(key + _END)
