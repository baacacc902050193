"""Which order of versions, and which form of names, holds in a namespace."""

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Final

from packaging.utils import canonicalize_name

from entrepot.scanning.errors import VersionMalformedError
from entrepot.scanning.versions import apk, deb, pep440

_KEYS: Final[Mapping[str, Callable[[str], bytes]]] = {"debian": deb.key, "alpine": apk.key, "pypi": pep440.key}


def is_ordered(namespace: str) -> bool:
    """Whether versions of *namespace* can be compared: `debian:<release>`, `alpine:<branch>` and `pypi`."""
    family, colon, release = namespace.partition(":")
    return family in _KEYS and (bool(release) if family != "pypi" else not colon)


@lru_cache(maxsize=16_384)
def key_for(namespace: str, text: str) -> bytes:
    """The key of the version *text* in the order of *namespace*, at most 512 bytes; keys compare as bytes do.

    Raises VersionMalformedError for a text that is no version there, and for a namespace without a known order.
    """
    if not is_ordered(namespace):
        raise VersionMalformedError(f"versions of {namespace[:64]!r} have no known order")
    return _KEYS[namespace.partition(":")[0]](text)


def package_name(namespace: str, name: str) -> str:
    """*name* as it is compared in *namespace*: in normalized form for `pypi`, as written elsewhere."""
    return canonicalize_name(name) if namespace == "pypi" else name
