"""The ecosystems of OSV records as namespaces (OSV schema 1.7, "Defined ecosystems").

Left out are those whose versions have no known order, other registries than a language's own
(`Maven:https://maven.google.com`), and other streams than a release's own: fixes of Ubuntu Pro or of Red Hat's
extended support are not what an image of that release gets.
"""

import re
from collections.abc import Mapping
from typing import Final

_UNRELEASED: Final = frozenset(
    (
        *("Chainguard", "CRAN", "crates.io", "Go", "Hackage", "Hex", "Maven", "npm", "NuGet"),
        *("Packagist", "Pub", "PyPI", "RubyGems", "SwiftURL", "Wolfi"),
    )
)
# What comes behind the colon, and how the namespace is made of it.
_RELEASES: Final[Mapping[str, tuple[re.Pattern[str], str]]] = {
    "AlmaLinux": (re.compile(r"([0-9]+)"), r"almalinux:\1"),
    "Alpine": (re.compile(r"v?([0-9]+\.[0-9]+|edge)"), r"alpine:\1"),
    "Debian": (re.compile(r"([0-9]+|[a-z]+)"), r"debian:\1"),
    "Mageia": (re.compile(r"([0-9]+)"), r"mageia:\1"),
    "Photon OS": (re.compile(r"([0-9]+\.[0-9]+)"), r"photon:\1"),
    "Red Hat": (re.compile(r"enterprise_linux:([0-9]+)(?:\.[0-9]+)?(?:::[a-z]+)?"), r"rhel:\1"),
    "Rocky Linux": (re.compile(r"([0-9]+)"), r"rocky:\1"),
    "Ubuntu": (re.compile(r"([0-9]{2}\.[0-9]{2})(?::LTS)?"), r"ubuntu:\1"),
}
_OPENSUSE_LEAP: Final = re.compile(r"Leap ([0-9]+\.[0-9]+)")
# Images of the server get their packages from the modules, which are products of their own.
_SLES: Final = re.compile(r"Linux Enterprise (?:Server|Module for [A-Za-z0-9 ]+) ([0-9]+)(?: SP([0-9]+))?")
_SLE_MICRO: Final = re.compile(r"Linux Enterprise Micro ([0-9]+\.[0-9]+)")


def namespace_of(ecosystem: str) -> str | None:
    """Our namespace for an OSV *ecosystem*; None without a known order.

    `Debian:12` is `debian:12`, `Alpine:v3.20` is `alpine:3.20`, `Red Hat:enterprise_linux:9::baseos` is `rhel:9`.
    Since RHEL 10 a minor release is named too, `enterprise_linux:10.1`; its fixes are those of the major release.
    """
    family, colon, release = ecosystem.partition(":")
    if not colon:
        return family.lower() if family in _UNRELEASED else None
    if family in _RELEASES:
        pattern, namespace = _RELEASES[family]
        match = pattern.fullmatch(release)
        return match.expand(namespace) if match is not None else None
    return _suse(release) if family in ("SUSE", "openSUSE") else None


def _suse(release: str) -> str | None:
    """By the marketing name: `Leap 15.5` is `opensuse-leap:15.5`, `Linux Enterprise Server 15 SP5` is `sles:15.5`."""
    if release == "Tumbleweed":
        return "opensuse-tumbleweed"
    if leap := _OPENSUSE_LEAP.fullmatch(release):
        return f"opensuse-leap:{leap[1]}"
    if micro := _SLE_MICRO.fullmatch(release):
        return f"sle-micro:{micro[1]}"
    server = _SLES.fullmatch(release)
    if server is None:
        return None
    return f"sles:{server[1]}.{server[2]}" if server[2] else f"sles:{server[1]}"
