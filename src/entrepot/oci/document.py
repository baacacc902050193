"""Reading JSON documents that strangers wrote: one meaning only, and bounded depth.

Two readers that disagree about a document are an attack (GHSA-qq97-vm5h-rrhg): so a doubled key, a NaN, or a
number beyond 64 bits is refused, whichever reader would have taken it.
"""

import json
import re
from typing import Any, Final, NoReturn

from entrepot.oci.errors import ManifestInvalidError

MAX_DEPTH: Final = 32
CONTAINERS: Final = frozenset({dict, list})
# Escapes, in JSON text. Raw, neither can be there: JSON forbids the one, UTF-8 the other.
NUL: Final = re.compile(r"(?<!\\)(?:\\\\)*+\\u0000")
SURROGATE: Final = re.compile(r"\\u[dD][89a-fA-F]")


def parse(body: bytes) -> dict[str, Any]:
    """The JSON object *body*.

    Raises ManifestInvalidError: not UTF-8, not JSON, not an object, doubled keys, depth, texts that are none.
    """
    try:
        text = body.decode("utf-8")
        value = json.loads(text, object_pairs_hook=_unique, parse_constant=_refuse_constant, parse_float=_float)
    except UnicodeDecodeError:
        raise ManifestInvalidError("manifest is not UTF-8") from None
    except (ValueError, RecursionError):
        raise ManifestInvalidError("manifest is not JSON") from None
    if not isinstance(value, dict):
        raise ManifestInvalidError("manifest is not a JSON object")
    _check_depth(value)
    _check_texts(text, value)
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise ManifestInvalidError("manifest has a key twice in one object")
    return value


def _refuse_constant(text: str) -> NoReturn:
    raise ManifestInvalidError(f"manifest holds {text.lstrip('-')}, which is not JSON")


def _float(text: str) -> float:
    value = float(text)
    if value in (float("inf"), float("-inf")):
        raise ManifestInvalidError("manifest holds a number beyond all bounds")
    return value


def _check_depth(document: dict[str, Any]) -> None:
    """Level by level, without recursion of our own; the parser's own recursion ends in RecursionError."""
    level: list[Any] = [document]
    for _ in range(MAX_DEPTH):
        level = [
            value
            for each in level
            for value in (each.values() if type(each) is dict else each)
            if type(value) in CONTAINERS
        ]
        if not level:
            return
    raise ManifestInvalidError(f"manifest is nested deeper than {MAX_DEPTH}")


def _check_texts(text: str, document: dict[str, Any]) -> None:
    """One reader keeps half a pair of surrogates, another puts U+FFFD for it; and no database keeps it, or NUL."""
    if NUL.search(text):
        raise ManifestInvalidError("manifest holds a text with a NUL")
    if SURROGATE.search(text):
        try:
            json.dumps(document, ensure_ascii=False).encode("utf-8")
        except UnicodeEncodeError:
            raise ManifestInvalidError("manifest holds half a pair of surrogates") from None
