"""Lists of tags, in the order of their bytes."""

from dataclasses import dataclass

from entrepot.access.model import Permission, Principal
from entrepot.catalog.errors import RepositoryUnknownError
from entrepot.registry.model import MAX_TAGS_PAGE
from entrepot.registry.pull import Pull


@dataclass(frozen=True, slots=True)
class ListTags:
    """Lists the tags of a repository."""

    pull: Pull

    def __call__(self, principal: Principal, name: str, last: str, limit: int | None) -> tuple[list[str], bool]:
        """Tags of *name* behind *last*, at most *limit*, and whether there are more.

        Raises RepositoryUnknownError, PermissionDeniedError.
        """
        repository = self.pull.repository(principal, Permission.REPO_PULL, name)
        if not repository.resource.id:
            raise RepositoryUnknownError
        if limit == 0:
            return [], False
        page = min(limit or MAX_TAGS_PAGE, MAX_TAGS_PAGE)
        names = self.pull.reads.tags(repository.resource.id, last, page + 1)
        return names[:page], len(names) > page
