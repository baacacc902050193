"""The one door: every access, by whichever road, goes through `authorize`.

Invariant: rights only add up; there is no deny. A registry token can narrow what roles allow, never widen it,
because its actions were cut to the roles when it was issued. Pure: no I/O, no clock.
"""

from typing import TypeVar

from entrepot.access.errors import InsufficientScopeError, PermissionDeniedError, ProjectHiddenError
from entrepot.access.model import ACTIONS, ROLES, Permission, Principal, Project, Repository, Site
from entrepot.access.scoped import Scoped

T = TypeVar("T", Site, Project, Repository)

HIDDEN = "no such repository, or not visible to you"


def authorize(principal: Principal, permission: Permission, resource: T) -> Scoped[T]:
    """A handle on *resource* for *principal*.

    Raises PermissionDeniedError with who lacks what, or with one text for absent and private; ProjectHiddenError
    for a project he has no role on; InsufficientScopeError for a registry token that did not ask for the action.
    """
    if principal.access is not None:
        _check_token(principal, permission, resource)
        return Scoped(resource, principal, permission)
    if may(principal, permission, resource):
        return Scoped(resource, principal, permission)
    roles = _roles(principal, resource)
    if not roles:
        if isinstance(resource, Project):
            raise ProjectHiddenError
        if isinstance(resource, Repository):
            raise PermissionDeniedError(HIDDEN, permission)
    raise PermissionDeniedError(lacks(principal, permission, resource), permission)


def made(repository: Scoped[Repository], id_: int) -> Scoped[Repository]:
    """The handle *repository* once its row *id_* is there: the same name, project and right."""
    resource = Repository(id_, repository.resource.name, repository.resource.project)
    return Scoped(resource, repository.principal, repository.permission)


def may(principal: Principal, permission: Permission, resource: Site | Project | Repository) -> bool:
    """Whether the roles of *principal* allow *permission* on *resource*."""
    project_id = _project_id(resource)
    return any(
        permission in ROLES[grant.role] and (grant.project_id is None or grant.project_id == project_id)
        for grant in principal.grants
    )


def sees_site(principal: Principal) -> bool:
    """Whether *principal* has a role on the whole site."""
    return any(grant.project_id is None for grant in principal.grants)


def visible_projects(principal: Principal) -> frozenset[int] | None:
    """The ids of projects *principal* has a role on; None = all."""
    if sees_site(principal):
        return None
    return frozenset(grant.project_id for grant in principal.grants if grant.project_id is not None)


def lacks(principal: Principal, permission: Permission, resource: Site | Project | Repository) -> str:
    """One line: who lacks what, where, what he has, and who can give it."""
    roles = _roles(principal, resource)
    who = f'{principal.actor.kind} "{principal.actor.name}"'
    has = f"has {', '.join(roles)}" if roles else "has no role here"
    where = "this site" if isinstance(resource, Site) else resource.name
    return f"{who} lacks {permission} on {where} ({has}); granted by an admin of this registry"


def _roles(principal: Principal, resource: Site | Project | Repository) -> list[str]:
    project_id = _project_id(resource)
    return sorted({g.role.value for g in principal.grants if g.project_id is None or g.project_id == project_id})


def _project_id(resource: Site | Project | Repository) -> int | None:
    if isinstance(resource, Repository):
        return resource.project.id
    return resource.id if isinstance(resource, Project) else None


def _check_token(principal: Principal, permission: Permission, resource: Site | Project | Repository) -> None:
    action = ACTIONS.get(permission)
    name = resource.name if isinstance(resource, Repository) else ""
    if action is None or not name:
        raise PermissionDeniedError("a registry token opens /v2 only", permission)
    if action in (principal.access or {}).get(name, ()):
        return
    reason = principal.denied.get(f"{name}:{action}")
    if reason is not None:
        raise PermissionDeniedError(reason, permission)
    asked = sorted({action, *(principal.access or {}).get(name, ())}, key=["pull", "push", "delete"].index)
    raise InsufficientScopeError(f"repository:{name}:{','.join(asked)}")
