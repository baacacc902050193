"""Content: bytes by digest. A blob is one digest; a copy is one stored instance of it, under a key never reused.

Bytes first, rows after: bytes without a row are garbage for the collector, a row without bytes is a broken pull.
"""

from dataclasses import dataclass

from entrepot.oci.digest import Digest


@dataclass(frozen=True, slots=True)
class Stored:
    """Bytes that are durable under *key* but known to no row yet; *size* in bytes."""

    digest: Digest
    size: int
    key: str


@dataclass(frozen=True, slots=True)
class Upload:
    """An open upload: the bytes it holds durably (*offset*) and how often it moved on (*epoch*)."""

    id: str
    repo_id: int
    account_id: int
    offset: int
    epoch: int
