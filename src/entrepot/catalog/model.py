"""The catalog: what exists. Projects own repositories; a repository holds manifests and tags and links blobs.

Every object is looked up inside its repository, and a repository inside what `authorize()` handed out. Changes go
through the topic modules, which emit these events, so that nothing changes without a record.
"""

from dataclasses import dataclass
from typing import ClassVar, Final

from entrepot.runtime.events.model import Event

ASIDE: Final = "#"
"""How names of what is deleted and can come back begin: no name of a repository or project does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectCreated(Event):
    """A project came to be."""

    ACTION: ClassVar = "project.created"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectEdited(Event):
    """A project's switches stand otherwise; each as it stands now."""

    ACTION: ClassVar = "project.edited"

    visibility: str
    strict_sizes: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class RepositoryCreated(Event):
    """A repository came to be, with its first push."""

    ACTION: ClassVar = "repository.created"


@dataclass(frozen=True, slots=True, kw_only=True)
class RepositoryDeleted(Event):
    """A repository is gone, with all it has. operation: by which it can be undone."""

    ACTION: ClassVar = "repository.deleted"

    operation: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectDeleted(Event):
    """A project is gone, with its repositories. operation: by which it can be undone."""

    ACTION: ClassVar = "project.deleted"

    operation: str
    repositories: int


@dataclass(frozen=True, slots=True, kw_only=True)
class QuotaChanged(Event):
    """A project may keep *limit* bytes, null for any number; before: as against then."""

    ACTION: ClassVar = "quota.changed"

    limit: int | None
    before: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class QuotaNearlyUsed(Event):
    """A project has passed nine tenths of what it may keep. used, limit: bytes."""

    ACTION: ClassVar = "quota.nearly_used"

    used: int
    limit: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BlobCommitted(Event):
    """A blob is durable and linked. size: its bytes."""

    ACTION: ClassVar = "blob.pushed"

    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BlobMounted(Event):
    """A blob of the repository *source* is linked here too, without its bytes being sent."""

    ACTION: ClassVar = "blob.mounted"

    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BlobDeleted(Event):
    """A blob is hidden from the repository. operation: by which it can be undone."""

    ACTION: ClassVar = "blob.deleted"

    operation: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ManifestPushed(Event):
    """A manifest is in the repository. kind: image, index or artifact; repo_id: the repository's row."""

    ACTION: ClassVar = "manifest.pushed"

    repo_id: int
    kind: str
    media_type: str
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ManifestDeleted(Event):
    """A manifest and its tags are gone from the repository. operation: by which it can be undone."""

    ACTION: ClassVar = "manifest.deleted"

    tags: tuple[str, ...]
    operation: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TagMoved(Event):
    """A tag (the event's reference) names another digest. before: the one it named, empty if it is new; rev: its
    count of moves.
    """

    ACTION: ClassVar = "tag.moved"

    before: str
    rev: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TagDeleted(Event):
    """A tag (the event's reference) is gone. operation: by which it can be undone."""

    ACTION: ClassVar = "tag.deleted"

    operation: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TagLocked(Event):
    """A tag (the event's reference) can't be moved or deleted any more."""

    ACTION: ClassVar = "tag.locked"


@dataclass(frozen=True, slots=True, kw_only=True)
class TagUnlocked(Event):
    """A tag (the event's reference) can be moved and deleted again."""

    ACTION: ClassVar = "tag.unlocked"


@dataclass(frozen=True, slots=True, kw_only=True)
class CopySuspected(Event):
    """A stored copy of a digest turned out missing or short. key: which one."""

    ACTION: ClassVar = "copy.suspected"

    key: str
