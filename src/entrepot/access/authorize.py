"""The one door: every access, by whichever road, goes through `authorize`.

Invariant: rights only add up; there is no deny. A registry token can narrow what roles allow, never widen it,
because its actions were cut to the roles when it was issued. Pure: no I/O, no clock.
"""

from typing import Final, TypeVar

from entrepot.access.errors import (
    InsufficientScopeError,
    PermissionDeniedError,
    ProjectHiddenError,
    StageProtectedError,
)
from entrepot.access.model import ACTIONS, ANONYMOUS, PUBLIC, ROLES, Permission, Principal, Project, Repository, Site
from entrepot.access.scoped import Scoped
from entrepot.access.scopes import CATALOG

T = TypeVar("T", Site, Project, Repository)

HIDDEN: Final = "no such repository, or not visible to you"
NO_PROJECT: Final = "project"
LOG_IN: Final = "not public, or not there: log in first (docker login, or entrepot login)"


def authorize(principal: Principal, permission: Permission, resource: T) -> Scoped[T]:
    """A handle on *resource* for *principal*.

    Raises PermissionDeniedError with who lacks what, or with one text for absent and private; ProjectHiddenError
    for a project he has no role on; InsufficientScopeError for a registry token that did not ask for the action;
    StageProtectedError for a push where tags change by promotion only, whatever road it comes by.
    """
    if principal.access is not None:
        _check_token(principal, permission, resource)
        _check_stage(permission, resource)
        return Scoped(resource, principal, permission)
    if may(principal, permission, resource):
        _check_stage(permission, resource)
        return Scoped(resource, principal, permission)
    if isinstance(resource, Project) and not _roles(principal, resource):
        raise ProjectHiddenError
    raise PermissionDeniedError(refusal(principal, permission, resource, refusal_code(principal, resource)), permission)


def made(repository: Scoped[Repository], id_: int) -> Scoped[Repository]:
    """The handle *repository* once its row *id_* is there: the same name, project and right."""
    resource = Repository(id_, repository.resource.name, repository.resource.project)
    return Scoped(resource, repository.principal, repository.permission)


def may(principal: Principal, permission: Permission, resource: Site | Project | Repository) -> bool:
    """Whether the roles of *principal* allow *permission* on *resource*, or it is public and everybody's."""
    return by_role(principal, permission, resource) or (permission in PUBLIC and _is_public(resource))


def by_role(principal: Principal, permission: Permission, resource: Site | Project | Repository) -> bool:
    """Whether the roles of *principal* allow *permission* on *resource*."""
    project_id = _project_id(resource)
    return any(
        permission in ROLES[grant.role] and (grant.project_id is None or grant.project_id == project_id)
        for grant in principal.grants
    )


def reads_by_role(principal: Principal, repository: Repository) -> bool:
    """Whether *principal*, who may pull from *repository*, may by a role: not only because everybody may."""
    if principal.access is not None:
        return repository.name not in principal.public
    return by_role(principal, Permission.REPO_READ, repository)


def sees_site(principal: Principal) -> bool:
    """Whether *principal* has a role on the whole site."""
    return any(grant.project_id is None for grant in principal.grants)


def visible_projects(principal: Principal) -> frozenset[int] | None:
    """The ids of projects *principal* has a role on; None = all."""
    if sees_site(principal):
        return None
    return frozenset(grant.project_id for grant in principal.grants if grant.project_id is not None)


def check_catalog(principal: Principal) -> None:
    """Refuses who may not list repositories at all: everybody who is logged in may see his own.

    Raises InsufficientScopeError for a registry token that never asked, PermissionDeniedError.
    """
    if principal.actor.kind == ANONYMOUS:
        raise PermissionDeniedError(LOG_IN, Permission.REPO_READ)
    if principal.access is not None and not principal.catalog:
        raise InsufficientScopeError(CATALOG)


def refusal_code(principal: Principal, resource: Site | Project | Repository) -> str:
    """Why *principal* may not do something on *resource*, short enough for a token: `refusal` has the words.

    `anonymous`; `hidden`: he has no role there, and it is not public; `roles:<those he has, joined by commas>`.
    """
    if principal.actor.kind == ANONYMOUS:
        return ANONYMOUS
    roles = _roles(principal, resource)
    if not roles and isinstance(resource, Repository) and not _is_public(resource):
        return "hidden"
    return f"roles:{','.join(roles)}"


def refusal(principal: Principal, permission: Permission, resource: Site | Project | Repository, code: str) -> str:
    """One line for *code*: who lacks what, where, what he has, and who can give it. Absent and private read alike."""
    if code == ANONYMOUS:
        return LOG_IN
    if code == "hidden":
        return HIDDEN
    where = "this site" if isinstance(resource, Site) else resource.name
    if code == NO_PROJECT:
        project = where.partition("/")[0]
        return f"no project {project}: entrepot project create {project}"
    roles = code.removeprefix("roles:").replace(",", ", ")
    has = f"has {roles}" if roles else "has no role here"
    who = f'{principal.actor.kind} "{principal.actor.name}"'
    return f"{who} lacks {permission} on {where} ({has}); granted by an admin of this registry"


def _roles(principal: Principal, resource: Site | Project | Repository) -> list[str]:
    project_id = _project_id(resource)
    return sorted({g.role.value for g in principal.grants if g.project_id is None or g.project_id == project_id})


def _project_id(resource: Site | Project | Repository) -> int | None:
    if isinstance(resource, Repository):
        return resource.project.id
    return resource.id if isinstance(resource, Project) else None


def _is_public(resource: Site | Project | Repository) -> bool:
    project = resource.project if isinstance(resource, Repository) else resource
    return isinstance(project, Project) and project.public


def _check_stage(permission: Permission, resource: Site | Project | Repository) -> None:
    if permission is not Permission.REPO_PUSH or not isinstance(resource, Repository):
        return
    protection = resource.protection
    if protection is not None:
        place, stage = protection
        project = resource.project.name
        base = resource.name[len(project) + len(place) + 2 :]
        raise StageProtectedError(resource.name, f"{project}/{base}", stage)


def _check_token(principal: Principal, permission: Permission, resource: Site | Project | Repository) -> None:
    action = ACTIONS.get(permission)
    if action is None or not isinstance(resource, Repository):
        raise PermissionDeniedError("a registry token opens /v2 only", permission)
    allowed = (principal.access or {}).get(resource.name, ())
    # A project may have ceased to be public since the token was made.
    stands = resource.name not in principal.public or resource.project.public
    if action in allowed and stands:
        return
    code = principal.denied.get((resource.name, action))
    if code is None and not stands:
        code = refusal_code(principal, resource)
    if code is not None:
        raise PermissionDeniedError(refusal(principal, permission, resource, code), permission)
    asked = sorted({action, *allowed}, key=["pull", "push", "delete"].index)
    raise InsufficientScopeError(f"repository:{resource.name}:{','.join(asked)}")
