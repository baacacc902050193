"""Names: repositories, tags, references. Spec: OCI distribution-spec, "Pulling manifests"."""

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from entrepot.oci.digest import Digest
from entrepot.oci.errors import NameInvalidError, TagInvalidError

MAX_NAME: Final = 255
COMPONENT: Final = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
NAME: Final = re.compile(rf"{COMPONENT}(?:/{COMPONENT})*\Z")
TAG: Final = re.compile(r"[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}\Z")


@lru_cache(maxsize=1024)
def check_name(text: str) -> str:
    """*text*, if it names a repository. Raises NameInvalidError otherwise."""
    if len(text) > MAX_NAME or not NAME.match(text):
        raise NameInvalidError(
            "not a repository name: lower-case letters, digits and . _ - between them, parts joined by /", "name"
        )
    return text


@lru_cache(maxsize=1024)
def check_tag(text: str) -> str:
    """*text*, if it is a tag: up to 128 letters, digits and . _ - not starting with . or -. Raises TagInvalidError."""
    if not TAG.match(text):
        raise TagInvalidError("not a tag: up to 128 letters, digits and . _ - not starting with . or -", "reference")
    return text


@dataclass(frozen=True, slots=True)
class Reference:
    """A repository and a tag or digest in it, written as docker writes it: `shop/web:1.0`, `shop/web@sha256:…`."""

    name: str
    tag: str | None
    digest: Digest | None

    @classmethod
    def parse(cls, text: str) -> "Reference":
        """The reference *text*; without tag and digest the tag is `latest`.

        Raises NameInvalidError, TagInvalidError, DigestInvalidError.
        """
        rest, at, digest = text.partition("@")
        name, colon, tag = rest.rpartition(":") if ":" in rest.rpartition("/")[2] else (rest, "", "")
        check_name(name)
        if colon:
            check_tag(tag)
        if at:
            return cls(name, tag or None, Digest.parse(digest))
        return cls(name, tag or "latest", None)

    def wanted(self) -> str:
        """What to ask the registry for: the digest if there is one, else the tag."""
        return str(self.digest) if self.digest is not None else self.tag or "latest"

    def __str__(self) -> str:
        tag = f":{self.tag}" if self.tag else ""
        return f"{self.name}{tag}" + (f"@{self.digest}" if self.digest else "")
