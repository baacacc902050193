"""Which operating system an image is, and so whose advisories speak of its packages.

Formats: os-release(5); apk's repositories file. Design: scanning.md, sections 5 and 7.
"""

import re
import shlex
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from entrepot.scanning.model import OsRelease, Package

OS_RELEASE_PATHS: Final = ("etc/os-release", "usr/lib/os-release")  # the first that exists counts
APK_REPOSITORIES: Final = "etc/apk/repositories"
UNKNOWN: Final = "unknown"
FIELDS: Final = frozenset(("ID", "VERSION_ID", "VERSION_CODENAME", "PRETTY_NAME"))
BRANCH: Final = re.compile(r"/(?:v(?P<number>\d+\.\d+)|(?P<edge>edge))(?:/|\Z)")
ALPINE_VERSION: Final = re.compile(r"(\d+\.\d+)(?:\.\d+)*\Z")
DEBIAN_VERSION: Final = re.compile(r"(\d+)(?:\.\d+)*\Z")
WORD: Final = re.compile(r"[a-z0-9][a-z0-9._-]*\Z")
# One stream of advisories for each major release, whose minor releases replace one another.
BY_MAJOR: Final = frozenset(("almalinux", "amzn", "centos", "eurolinux", "fedora", "ol", "rhel", "rocky"))
BY_BINARY: Final = frozenset(("almalinux", "amzn", "centos", "ol", "rhel"))
ROLLING_RPM: Final = frozenset(("opensuse-tumbleweed",))
NO_RPM: Final = frozenset(("alpine", "debian", "ubuntu", "wolfi", "chainguard"))
ROLLING_APK: Final = frozenset(("wolfi", "chainguard"))
LONGEST_FIELD: Final = 256


def parse_os_release(path: str, data: bytes) -> OsRelease:
    """The fields of the os-release file *data* at *path*; lines that are no assignment are passed over."""
    fields: dict[str, str] = {}
    for line in data.decode("utf-8", "replace").splitlines():
        key, equals, quoted = line.strip().partition("=")
        if equals and key in FIELDS:
            fields[key] = _unquoted(quoted)
    return OsRelease(
        path=path,
        id=fields.get("ID", ""),
        version_id=fields.get("VERSION_ID", ""),
        codename=fields.get("VERSION_CODENAME", ""),
        pretty_name=fields.get("PRETTY_NAME", ""),
    )


def parse_apk_repositories(data: bytes) -> tuple[str, ...]:
    """The release branches that an apk repositories file names, sorted: `3.20`, `edge`.

    Pinned repositories (`@testing …`) don't count: nothing is installed from them unless asked for by that name.
    """
    branches = set()
    for line in data.decode("utf-8", "replace").splitlines():
        text = line.strip()
        if not text.startswith(("#", "@")) and (match := BRANCH.search(text)):
            branches.add(match["number"] or match["edge"])
    return tuple(sorted(branches))


def namespace(ecosystem: str, release: OsRelease | None, apk_branches: Sequence[str]) -> str:
    """Where advisories for a package of *ecosystem* are found: `debian:12`, `alpine:3.20`, `almalinux:9`, `pypi`.

    release: the image's os-release, None if it has none. apk_branches: from the repositories file, which beats
    os-release. An operating system that does not name its release, or does not use such packages, is `unknown`.
    """
    match ecosystem:
        case "deb":
            return _deb(release)
        case "apk":
            return _apk(release, apk_branches)
        case "rpm":
            return _rpm(release)
        case _:
            return ecosystem


def as_advised(package: Package, namespace: str) -> Package:
    """*package* with the name and version that advisories of *namespace* speak of as its source's.

    Where they name binary packages, all of them, the source package may well be missing or have another version.
    """
    if namespace.partition(":")[0] not in BY_BINARY or package.ecosystem != "rpm":
        return package
    return replace(package, source_name=package.name, source_version=package.version)


def os_name(release: OsRelease | None, apk_branches: Sequence[str]) -> str:
    """The operating system in the form of a namespace; `unknown` if none was identified."""
    system = _apk(release, apk_branches)
    if system == UNKNOWN and release is not None and release.id in BY_MAJOR | ROLLING_RPM:
        return _rpm(release)
    return system if system != UNKNOWN else _deb(release)


def _deb(release: OsRelease | None) -> str:
    if release is None or not WORD.match(release.id) or release.id in ROLLING_APK | {"alpine"}:
        return UNKNOWN
    if release.id == "debian":
        match = DEBIAN_VERSION.match(release.version_id)
        return f"debian:{match[1]}" if match else UNKNOWN
    return f"{release.id}:{release.version_id}" if WORD.match(release.version_id) else UNKNOWN


def _rpm(release: OsRelease | None) -> str:
    if release is None or not WORD.match(release.id) or release.id in NO_RPM:
        return UNKNOWN
    if release.id in ROLLING_RPM:
        return release.id
    version = release.version_id.lower()
    if release.id in BY_MAJOR:
        version = version.partition(".")[0]
    return f"{release.id}:{version}" if WORD.match(version) else UNKNOWN


def _apk(release: OsRelease | None, branches: Sequence[str]) -> str:
    if release is not None and release.id in ROLLING_APK:
        return release.id
    if release is not None and release.id != "alpine":
        return UNKNOWN
    own = _alpine_branch(release.version_id) if release is not None else ""
    # Two branches at once: the installed system's own, or there is no telling.
    branch = branches[0] if len(branches) == 1 else own if not branches or own in branches else ""
    return f"alpine:{branch}" if branch else UNKNOWN


def _alpine_branch(version_id: str) -> str:
    if "_alpha" in version_id:
        return "edge"
    match = ALPINE_VERSION.match(version_id)
    return match[1] if match else ""


def _unquoted(quoted: str) -> str:
    try:
        words = shlex.split(quoted)
    except ValueError:
        words = [quoted.strip("\"'")]
    text = words[0][:LONGEST_FIELD] if words else ""
    return text if text.isprintable() else ""
