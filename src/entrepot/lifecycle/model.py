"""Lifecycle: how things end. What is deleted lies in the trash, can be brought back, and is purged in the end.

Deleting is the registry's (registry/deletion.py); here are undoing, purging, the collector of what nothing holds, the
scrubber that reads every copy again, and the truth about how much is stored. Garbage is never searched for: whoever
lets go of something asks for a review (catalog/reviews.py), and the collector looks again under locks.
"""

from dataclasses import dataclass
from typing import ClassVar

from entrepot.runtime.events.model import Event


@dataclass(frozen=True, slots=True, kw_only=True)
class OperationUndone(Event):
    """What the operation took is there again: manifests, tags (those taken meanwhile stay as they are), links."""

    ACTION: ClassVar = "operation.undone"

    operation: str
    kind: str
    manifests: int
    tags: tuple[str, ...]
    taken: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class OperationPurged(Event):
    """The operation can't be undone any more; what it took is being removed."""

    ACTION: ClassVar = "operation.purged"

    operation: str
    kind: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PurgeRequested(Event):
    """Somebody wants the trash of an operation gone at once; request: what a second person is to confirm."""

    ACTION: ClassVar = "purge.requested"

    operation: str
    request: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PurgeConfirmed(Event):
    """A second person confirmed it; by: who asked for it."""

    ACTION: ClassVar = "purge.confirmed"

    operation: str
    request: str
    by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StorageChecked(Event):
    """The store's listing was compared with the rows. Nothing was changed.

    objects, bytes: what the store lists; rows, row_bytes: what is known; orphans: objects without a row that are old
    enough to have one; missing: rows without an object; resized: of another size. Each with its bytes.
    """

    ACTION: ClassVar = "storage.checked"

    objects: int
    bytes: int
    rows: int
    row_bytes: int
    orphans: int
    orphan_bytes: int
    missing: int
    missing_bytes: int
    resized: int
    examples: tuple[str, ...]
