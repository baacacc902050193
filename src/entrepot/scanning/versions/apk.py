"""Alpine versions as bytes in apk's order (apk-package(5), `pkgver`; the order is apk-tools 3's).

`number{.number}[letter]{_suffix[number]}[~hash][-rN]`. Every piece begins with a byte that ranks its kind; where
two versions differ in kind, apk calls the later kind the lower one, save that `_alpha` to `_rc` rank below the end.
"""

import re
from typing import Final

from entrepot.scanning.errors import VersionMalformedError
from entrepot.scanning.versions.parts import checked_key, checked_text, number

_VERSION: Final = re.compile(
    r"([0-9]+)((?:\.[0-9]+)*)([a-z]?)((?:_(?:alpha|beta|pre|rc|cvs|svn|git|hg|p)[0-9]*)*)(?:~([0-9a-f]+))?(?:-r([0-9]+))?"
)
_SUFFIX: Final = re.compile(r"_([a-z]+)([0-9]*)")
_SUFFIXES: Final = {
    **{name: bytes((0x01 + i,)) for i, name in enumerate(("alpha", "beta", "pre", "rc"))},
    **{name: bytes((0x40 + i,)) for i, name in enumerate(("cvs", "svn", "git", "hg", "p"))},
}
_END: Final = b"\x10"
_REVISION: Final = b"\x20"
_HASH: Final = b"\x28"
_SUFFIX_NUMBER: Final = b"\x30"
_LETTER: Final = b"\x50"
_ZERO_NUMBER: Final = b"\x68"
_NUMBER: Final = b"\x70"


def key(text: str) -> bytes:
    """The key of the Alpine version *text*; `memcmp` of keys is apk's order. Raises VersionMalformedError."""
    match = _VERSION.fullmatch(checked_text(text))
    if match is None:
        raise VersionMalformedError("not an Alpine version")
    first, numbers, letter, suffixes, commit, revision = match.groups()
    key = bytearray(_NUMBER + number(first))
    for digits in numbers.split(".")[1:]:
        # A later number with a leading zero is compared as text, as a fraction would be.
        key += _ZERO_NUMBER + digits.encode() + b"\x00" if digits.startswith("0") else _NUMBER + number(digits)
    if letter:
        key += _LETTER + letter.encode()
    for name, digits in _SUFFIX.findall(suffixes):
        key += _SUFFIXES[name]
        if digits:
            key += _SUFFIX_NUMBER + number(digits)
    if commit is not None:
        key += _HASH + commit.encode() + b"\x00"
    if revision is not None:
        key += _REVISION + number(revision)
    return checked_key(bytes(key + _END))
