"""Dart versions as bytes in pub's order (pub.dev, "Package versioning"; the order is that of package `pub_semver`).

They are semantic versions, save that build metadata counts: after the version without it, by the rule of pre-releases.
"""

from entrepot.scanning.versions import semver
from entrepot.scanning.versions.parts import checked_key


def key(text: str) -> bytes:
    """The key of the Dart version *text*. Raises VersionMalformedError."""
    version, build = semver.parsed(text)
    return checked_key(version + semver.identifiers(build) if build else version)
