"""The catalog: what exists. Projects own repositories; a repository holds manifests and tags and links blobs.

Every object is looked up inside its repository, and a repository inside what `authorize()` handed out. Changes go
through the topic modules, which emit these events, so that nothing changes without a record.
"""

from dataclasses import dataclass
from typing import ClassVar

from entrepot.runtime.events.model import Event


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectCreated(Event):
    """A project came to be."""

    ACTION: ClassVar = "project.created"


@dataclass(frozen=True, slots=True, kw_only=True)
class RepositoryCreated(Event):
    """A repository came to be, with its first push."""

    ACTION: ClassVar = "repository.created"


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
    """A blob is hidden from the repository."""

    ACTION: ClassVar = "blob.deleted"


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
    """A manifest and its tags are gone from the repository."""

    ACTION: ClassVar = "manifest.deleted"

    tags: tuple[str, ...]


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
    """A tag (the event's reference) is gone."""

    ACTION: ClassVar = "tag.deleted"


@dataclass(frozen=True, slots=True, kw_only=True)
class CopySuspected(Event):
    """A stored copy of a digest turned out missing or short. key: which one."""

    ACTION: ClassVar = "copy.suspected"

    key: str
