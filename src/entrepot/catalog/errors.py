"""What can go wrong with what exists."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from entrepot.errors import ConflictError, DeniedError, InvalidError, NotFoundError

MAX_TEXT: Final = 400
"""Longest message of a refusal: it goes into a header too."""


class ProjectExistsError(ConflictError):
    """A project of that name is there already."""


class ProjectNameInvalidError(InvalidError):
    """A name no project can have."""


class ProjectUnknownError(NotFoundError):
    """No such project. On /v2: NAME_UNKNOWN."""


class RepositoryUnknownError(NotFoundError):
    """No such repository. On /v2: NAME_UNKNOWN."""

    def __init__(self) -> None:
        super().__init__("no such repository, or not visible to you")


class ManifestUnknownError(NotFoundError):
    """No such tag or digest in the repository. Code: MANIFEST_UNKNOWN."""


class BlobUnknownError(NotFoundError):
    """The repository has no such blob. Code: BLOB_UNKNOWN."""


class ManifestBlobUnknownError(NotFoundError):
    """A manifest that names what the repository does not have. *missing*: digests, each once.

    Code: MANIFEST_BLOB_UNKNOWN. Clients print the first entry alone, so the message names the count.
    """

    def __init__(self, repository: str, missing: Sequence[str]) -> None:
        more = f" (and {len(missing) - 1} more)" if len(missing) > 1 else ""
        super().__init__(f"{missing[0]} is not in {repository}{more}; push it again")
        self.missing = tuple(missing)


@dataclass(frozen=True, slots=True)
class Parent:
    """A manifest that needs something, and the tags that name it."""

    digest: str
    tags: tuple[str, ...] = ()


class StillReferencedError(ConflictError):
    """What others need can't be deleted. *parents*: who needs it."""

    def __init__(self, message: str, parents: Sequence[Parent]) -> None:
        super().__init__(message)
        self.parents = tuple(parents)


class TagMoveUnknownError(NotFoundError):
    """A move that is not in the history of a tag, or one that took the tag away."""

    def __init__(self, repository: str, tag: str, rev: int) -> None:
        place = f"{repository}:{tag}"
        super().__init__(f"move {rev} of {place} named nothing; see: entrepot tag history {repository} {tag}")


class TagLockedError(DeniedError):
    """A tag that is locked: it can't be moved or deleted, nor what it names. by: who locked it."""

    def __init__(self, repository: str, tag: str, by: str) -> None:
        super().__init__(
            f'tag "{tag}" of {repository} is locked by {by}: use another tag, '
            f"or ask who may unlock it (entrepot tag unlock {repository} {tag})"
        )


class PipelineInvalidError(InvalidError):
    """Stages or moves that can't be. *wrong*: each thing that is."""

    def __init__(self, wrong: Sequence[str]) -> None:
        super().__init__("; ".join(wrong))
        self.wrong = tuple(wrong)


class ClosureTooLargeError(InvalidError):
    """More than 1,000 manifests belong to what is to be promoted."""

    def __init__(self, digest: str, most: int) -> None:
        super().__init__(f"more than {most} manifests belong to {digest}: that is more than one promotion takes")


class OperationUnknownError(NotFoundError):
    """No such operation, or nothing the caller may see."""

    def __init__(self) -> None:
        super().__init__("no such operation, or not visible to you; see: entrepot trash list")


class OperationOverError(ConflictError):
    """An operation that can't be undone, purged or confirmed any more, or not by this person."""


class UndoImpossibleError(ConflictError):
    """What an operation took can't come back as a whole, so none of it does. *missing*: what is in the way."""

    def __init__(self, message: str, missing: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.missing = tuple(missing)


class QuotaExceededError(DeniedError):
    """A project that may not keep so much; the detail has what it uses, its limit and its largest repositories.

    used, limit: bytes; largest: repositories with their bytes.
    """

    def __init__(self, project: str, size: int, used: int, limit: int, largest: Sequence[tuple[str, int]]) -> None:
        names = ", ".join(f"{name} ({_megabytes(bytes_)})" for name, bytes_ in largest)
        super().__init__(
            (
                f"project {project} keeps {_megabytes(used)} of {_megabytes(limit)}, and {_megabytes(size)} more do not"
                f" fit; delete some, or ask an admin of this registry for more: entrepot quota show {project}"
                + (f"; largest: {names}" if names else "")
            )[:MAX_TEXT]
        )
        self.used = used
        self.limit = limit
        self.largest = tuple(largest)


def _megabytes(size: int) -> str:
    return f"{size / 1_000_000:.1f} MB"
