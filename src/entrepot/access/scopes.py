"""The scopes of a token request: `repository:shop/web:pull,push`. Pure. Spec: distribution docs, token scope."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from entrepot.access.errors import ScopeInvalidError
from entrepot.oci.errors import NameInvalidError
from entrepot.oci.reference import check_name

MAX_SCOPES: Final = 50
MAX_LENGTH: Final = 512
KNOWN: Final = ("pull", "push", "delete")


CATALOG: Final = "registry:catalog:*"


@dataclass(frozen=True, slots=True)
class Scope:
    """Actions asked for on one repository, in the order of KNOWN; `*` asks for all."""

    name: str
    actions: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Scopes:
    """What a token is asked for: repositories, each once, and whether the list of repositories too."""

    repositories: tuple[Scope, ...] = ()
    catalog: bool = False


def parse_scopes(values: Iterable[str]) -> Scopes:
    """The scopes in *values*, each of which may hold several, joined by spaces; those of unknown kinds are ignored.

    Raises ScopeInvalidError: more than 50, or one that can't be read.
    """
    texts = [text for value in values for text in value.split(" ") if text]
    if len(texts) > MAX_SCOPES:
        raise ScopeInvalidError(f"more than {MAX_SCOPES} scopes", "scope")
    merged: dict[str, set[str]] = {}
    for text in texts:
        kind, _, rest = text.partition(":")
        name, colon, actions = rest.rpartition(":")
        if len(text) > MAX_LENGTH or not colon:
            raise ScopeInvalidError("a scope is written repository:<name>:<actions>", "scope")
        if kind.partition("(")[0] != "repository":
            continue
        try:
            check_name(name)
        except NameInvalidError:
            raise ScopeInvalidError("a scope names no valid repository", "scope") from None
        wanted = KNOWN if "*" in actions.split(",") else actions.split(",")
        merged.setdefault(name, set()).update(wanted)
    scopes = tuple(Scope(name, tuple(a for a in KNOWN if a in wanted)) for name, wanted in merged.items())
    return Scopes(scopes, CATALOG in texts)
