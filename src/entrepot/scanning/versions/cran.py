"""R package versions as bytes in the order of R's `package_version` (Writing R Extensions, "The DESCRIPTION file").

Numbers parted by `.` or `-`, which are the same; a version that goes on is above its beginning: `1.0` < `1.0.0`.
"""

import re
from typing import Final

from entrepot.scanning.errors import VersionMalformedError
from entrepot.scanning.versions.parts import checked_key, checked_text, number

_VERSION: Final = re.compile(r"[0-9]+(?:[.-][0-9]+)*")
_SEPARATOR: Final = re.compile(r"[.-]")
_NUMBER: Final = b"\x01"


def key(text: str) -> bytes:
    """The key of the R package version *text*. Raises VersionMalformedError."""
    if _VERSION.fullmatch(checked_text(text)) is None:
        raise VersionMalformedError("not an R package version")
    return checked_key(b"".join(_NUMBER + number(digits) for digits in _SEPARATOR.split(text)))
