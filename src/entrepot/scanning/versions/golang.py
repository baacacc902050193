"""Go versions as bytes: module versions (Go Modules Reference, "Versions") and releases of Go itself.

Module versions are semantic ones behind a `v`; pseudo-versions are pre-releases, and `+incompatible` says nothing
about order. Releases of Go (`go1.21rc2`, `1.20`) stand for `stdlib` and `toolchain`; the vulnerability database
writes them as semantic versions (`1.21.0-rc.2`), and so they are read.
"""

import re
from typing import Final

from entrepot.scanning.versions import semver

_RELEASE: Final = re.compile(r"(?:go)?([0-9]+\.[0-9]+)(\.[0-9]+)?(?:(beta|rc)([0-9]+))?")


def key(text: str) -> bytes:
    """The key of the Go module version or Go release *text*. Raises VersionMalformedError, also for `(devel)`."""
    match = _RELEASE.fullmatch(text)
    if match is None:
        return semver.key(text)
    release, patch, word, count = match.groups()
    return semver.key(f"{release}{patch or '.0'}{f'-{word}.{count}' if word else ''}")
