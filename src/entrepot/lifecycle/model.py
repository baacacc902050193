"""Lifecycle: how things move on, and end. What is deleted lies in the trash, can be brought back, or is purged.

Images also move on: through the stages of a pipeline, by promotion (promote.py, approve.py).

Deleting is the registry's (registry/deletion.py); here are undoing, purging, the collector of what nothing holds, the
scrubber that reads every copy again, and the truth about how much is stored. Garbage is never searched for: whoever
lets go of something asks for a review (catalog/reviews.py), and the collector looks again under locks.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
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
    """A second person confirmed that the trash of an operation be gone at once; by: who asked for it."""

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


class PromotionState(StrEnum):
    """How far a promotion is. WAITING: for approvals; all others are its end."""

    WAITING = "waiting"
    EXECUTED = "executed"
    REJECTED = "rejected"
    WITHDRAWN = "withdrawn"
    SUPERSEDED = "superseded"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True)
class PromotionItem:
    """One digest of a promotion. reference: as it was asked for; tags: those that name it in the target."""

    reference: str
    digest: str
    tags: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Approval:
    """Who approved a promotion, and when."""

    actor: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Promotion:
    """Digests on their way to a stage. source, target: repositories; needed: how many approvals it takes.

    reason: why it ended, where somebody said so.
    """

    id: str
    source: str
    target: str
    stage: str
    needed: int
    state: PromotionState
    reason: str
    actor: str
    at: datetime
    ended_at: datetime | None
    items: tuple[PromotionItem, ...]
    approvals: tuple[Approval, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PromotionRequested(Event):
    """Somebody wants a digest in a stage, and others have to approve it. needed: how many."""

    ACTION: ClassVar = "promotion.requested"

    promotion: str
    target: str
    stage: str
    tags: tuple[str, ...]
    needed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PromotionApproved(Event):
    """Another person approved a promotion of exactly these digests."""

    ACTION: ClassVar = "promotion.approved"

    promotion: str
    stage: str
    digests: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PromotionHeld(Event):
    """At the moment of the move the verdict did not allow it: its approvals are void, and it waits on."""

    ACTION: ClassVar = "promotion.held"

    promotion: str
    stage: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PromotionEnded(Event):
    """A promotion ended without a move. state: rejected, withdrawn or superseded."""

    ACTION: ClassVar = "promotion.ended"

    promotion: str
    stage: str
    state: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PromotionExecuted(Event):
    """The repository has the digest, which is that of *source*; approvers: who approved it; members: manifests in all.

    Nothing was copied: rows alone say that the target has it too.
    """

    ACTION: ClassVar = "promotion.executed"

    promotion: str
    source: str
    stage: str
    tags: tuple[str, ...]
    approvers: tuple[str, ...]
    members: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PipelineChanged(Event):
    """A project has other stages or moves. stages: their names; moves: `from>to:approvals`."""

    ACTION: ClassVar = "pipeline.changed"

    stages: tuple[str, ...]
    moves: tuple[str, ...]
