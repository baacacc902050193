"""Haskell package versions as bytes in the order of `Data.Version` (Haskell Package Versioning Policy).

Numbers parted by `.`; a version that goes on is above its beginning: `1.0` < `1.0.0`.
"""

import re
from typing import Final

from entrepot.scanning.errors import VersionMalformedError
from entrepot.scanning.versions.parts import checked_key, checked_text, number

_VERSION: Final = re.compile(r"(?:0|[1-9][0-9]*)(?:\.(?:0|[1-9][0-9]*))*")
_NUMBER: Final = b"\x01"


def key(text: str) -> bytes:
    """The key of the Haskell package version *text*; Cabal takes no leading zeros. Raises VersionMalformedError."""
    if _VERSION.fullmatch(checked_text(text)) is None:
        raise VersionMalformedError("not a Haskell package version")
    return checked_key(b"".join(_NUMBER + number(digits) for digits in text.split(".")))
