"""Digests: the names of bytes. Spec: OCI image-spec, descriptor.md, "Digests"."""

import hashlib
import re
from dataclasses import dataclass
from typing import Final

from entrepot.oci.errors import DigestInvalidError

LENGTHS: Final = {"sha256": 64, "sha512": 128}
HEX: Final = re.compile(r"[0-9a-f]+\Z")


@dataclass(frozen=True, slots=True, order=True)
class Digest:
    """An algorithm and the hexadecimal value it gave: `sha256:<64 hex>` or `sha512:<128 hex>`."""

    algorithm: str
    hex: str

    @classmethod
    def parse(cls, text: str) -> "Digest":
        """The digest written as *text*. Raises DigestInvalidError for any other text."""
        algorithm, _, value = text.partition(":")
        if len(value) != LENGTHS.get(algorithm) or not HEX.match(value):
            raise DigestInvalidError("not a digest: write sha256:<64 hex> or sha512:<128 hex>", "digest")
        return cls(algorithm, value)

    @classmethod
    def of(cls, data: bytes, algorithm: str = "sha256") -> "Digest":
        """The digest of *data* by *algorithm* (a key of LENGTHS)."""
        return cls(algorithm, hashlib.new(algorithm, data).hexdigest())

    def short(self) -> str:
        """The digest for people: `sha256:` and twelve digits."""
        return f"{self.algorithm}:{self.hex[:12]}"

    def __str__(self) -> str:
        return f"{self.algorithm}:{self.hex}"
