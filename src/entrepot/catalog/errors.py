"""What can go wrong with what exists."""

from collections.abc import Sequence

from entrepot.errors import ConflictError, InvalidError, NotFoundError


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


class StillReferencedError(ConflictError):
    """What others need can't be deleted. *parents*: who needs it."""

    def __init__(self, message: str, parents: Sequence[str]) -> None:
        super().__init__(message)
        self.parents = tuple(parents)
