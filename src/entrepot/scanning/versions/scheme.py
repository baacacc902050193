"""Which order of versions, and which form of names, holds in a namespace.

A namespace is a language's registry (`npm`, `go`) or a release of an operating system (`debian:12`, `rhel:9`), by the
id of its os-release(5) file. One without releases stands alone (`wolfi`).
"""

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Final

from packaging.utils import canonicalize_name

from entrepot.scanning.errors import VersionMalformedError
from entrepot.scanning.versions import (
    apk,
    composer,
    cran,
    deb,
    gem,
    golang,
    hackage,
    maven,
    nuget,
    pep440,
    pub,
    rpm,
    semver,
)

Key = Callable[[str], bytes]

_UNRELEASED: Final[Mapping[str, Key]] = {
    "chainguard": apk.key,
    "cran": cran.key,
    "crates.io": semver.key,
    "go": golang.key,
    "hackage": hackage.key,
    "hex": semver.key,
    "maven": maven.key,
    "npm": semver.key,
    "nuget": nuget.key,
    "opensuse-tumbleweed": rpm.key,
    "packagist": composer.key,
    "pub": pub.key,
    "pypi": pep440.key,
    "rubygems": gem.key,
    "swifturl": semver.key,
    "wolfi": apk.key,
}
_RELEASED: Final[Mapping[str, Key]] = {
    **dict.fromkeys(("debian", "ubuntu"), deb.key),
    "alpine": apk.key,
    **dict.fromkeys(("almalinux", "amzn", "azurelinux", "centos", "fedora", "mageia", "mariner", "ol"), rpm.key),
    **dict.fromkeys(("opensuse-leap", "photon", "rhel", "rocky", "sle-micro", "sles"), rpm.key),
}


def _swift_name(name: str) -> str:
    return name.lower().removeprefix("https://").removesuffix(".git")


# Names of the rest are compared as they are written.
_NAMES: Final[Mapping[str, Callable[[str], str]]] = {
    "nuget": str.lower,
    "packagist": str.lower,
    "pypi": canonicalize_name,
    "swifturl": _swift_name,
}


def is_ordered(namespace: str) -> bool:
    """Whether versions of *namespace* can be compared: `debian:<release>` and its like, `npm` and its like."""
    return _key(namespace) is not None


@lru_cache(maxsize=16_384)
def key_for(namespace: str, text: str) -> bytes:
    """The key of the version *text* in the order of *namespace*, at most 512 bytes; keys compare as bytes do.

    Raises VersionMalformedError for a text that is no version there, and for a namespace without a known order.
    """
    key = _key(namespace)
    if key is None:
        raise VersionMalformedError(f"versions of {namespace[:64]!r} have no known order")
    return key(text)


def last_key_for(namespace: str, text: str) -> bytes:
    """As `key_for`, for *text* as the last version of a range: what equals it is in.

    Only RPM's order has other versions that equal one, those with a release where it has none.
    """
    return rpm.last_key(text) if _key(namespace) is rpm.key else key_for(namespace, text)


def package_name(namespace: str, name: str) -> str:
    """*name* as it is compared in *namespace*: in normal form where other spellings are the same package."""
    normal = _NAMES.get(namespace)
    return name if normal is None else normal(name)


def _key(namespace: str) -> Key | None:
    family, colon, release = namespace.partition(":")
    if colon:
        return _RELEASED.get(family) if release else None
    return _UNRELEASED.get(family)
