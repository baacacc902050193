"""Lists of tags and of repositories, in the order of their bytes."""

from dataclasses import dataclass, replace

from entrepot.access.authorize import check_catalog, sees_site
from entrepot.access.model import Permission, Principal
from entrepot.catalog.errors import RepositoryUnknownError
from entrepot.registry.model import MAX_REPOSITORIES_PAGE, MAX_TAGS_PAGE
from entrepot.registry.ports import Grants
from entrepot.registry.pull import Pull


@dataclass(frozen=True, slots=True)
class ListTags:
    """Lists the tags of a repository."""

    pull: Pull

    async def __call__(self, principal: Principal, name: str, last: str, limit: int | None) -> tuple[list[str], bool]:
        """Tags of *name* behind *last*, at most *limit*, and whether there are more.

        Raises RepositoryUnknownError, PermissionDeniedError.
        """
        repository = await self.pull.repository(principal, Permission.REPO_PULL, name)
        if not repository.resource.id:
            raise RepositoryUnknownError
        if limit == 0:
            return [], False
        page = min(limit or MAX_TAGS_PAGE, MAX_TAGS_PAGE)
        names = await self.pull.reads.tags(repository.resource.id, last, page + 1)
        return names[:page], len(names) > page


@dataclass(frozen=True, slots=True)
class ListRepositories:
    """Lists repositories: those of the projects the caller has a role on, and of public ones."""

    pull: Pull
    roles: Grants

    async def __call__(self, principal: Principal, last: str, limit: int | None) -> tuple[list[str], bool]:
        """Names behind *last* that the caller may see, at most *limit*, and whether there are more.

        By the account's roles at this moment, whatever a token says. Raises PermissionDeniedError,
        InsufficientScopeError.
        """
        check_catalog(principal)
        if limit == 0:
            return [], False
        account = principal.actor.account_id or 0
        own = replace(principal, grants=await self.roles.grants(account), access=None)
        page = min(limit or MAX_REPOSITORIES_PAGE, MAX_REPOSITORIES_PAGE)
        names = await self.pull.reads.repositories(None if sees_site(own) else account, last, page + 1)
        return names[:page], len(names) > page
