"""The one door."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from entrepot.access.authorize import (
    HIDDEN,
    LOG_IN,
    authorize,
    by_role,
    check_catalog,
    may,
    refusal,
    refusal_code,
    visible_projects,
)
from entrepot.access.errors import InsufficientScopeError, PermissionDeniedError, ProjectHiddenError
from entrepot.access.model import ACTIONS, ROLES, Grant, Permission, Principal, Project, Repository, Role, Site
from entrepot.errors import EntrepotError
from entrepot.runtime.events.model import Actor

SHOP, OTHER = Project(1, "shop"), Project(2, "other")
WEB = Repository(10, "shop/web", SHOP)
NEW = Repository(0, "shop/new", SHOP)
FOREIGN = Repository(20, "other/web", OTHER)
OPEN = Repository(30, "open/web", Project(3, "open", public=True))
ROBOT = Actor("shop+ci", "robot", 7)
NOBODY = Actor("", "anonymous")


def robot(role: Role, project_id: int | None = 1) -> Principal:
    return Principal(ROBOT, (Grant(role, project_id),))


def holder(*actions: str, denied: dict[str, str] | None = None) -> Principal:
    codes = {("shop/web", action): code for action, code in (denied or {}).items()}
    return Principal(ROBOT, (), {"shop/web": frozenset(actions)}, denied=codes)


def opened(principal: Principal, permission: Permission, resource: Site | Project | Repository) -> object:
    """What `authorize` gives for a resource of any of the three kinds."""
    match resource:
        case Site():
            return authorize(principal, permission, resource)
        case Project():
            return authorize(principal, permission, resource)
        case Repository():
            return authorize(principal, permission, resource)


MATRIX = {
    Permission.REPO_READ: {Role.ADMIN, Role.DEVELOPER, Role.VIEWER},
    Permission.REPO_PULL: {Role.ADMIN, Role.DEVELOPER, Role.VIEWER},
    Permission.REPO_PUSH: {Role.ADMIN, Role.DEVELOPER},
    Permission.REPO_DELETE: {Role.ADMIN},
    Permission.SCAN_READ: {Role.ADMIN, Role.DEVELOPER, Role.VIEWER},
    Permission.SCAN_CONFIGURE: {Role.ADMIN},
    Permission.POLICY_ACTIVATE: {Role.ADMIN},
    Permission.PROJECT_CREATE: {Role.ADMIN},
    Permission.PROJECT_EDIT: {Role.ADMIN},
    Permission.TRASH_PURGE: {Role.ADMIN},
    Permission.TAG_LOCK: {Role.ADMIN},
    Permission.ACCOUNT_MANAGE: {Role.ADMIN},
    Permission.MEMBER_MANAGE: {Role.ADMIN},
    Permission.PROMOTION_REQUEST: {Role.ADMIN, Role.DEVELOPER},
    Permission.PROMOTION_APPROVE: {Role.ADMIN},
    Permission.ROBOT_WRITE: {Role.ADMIN},
    Permission.AUDIT_READ: {Role.ADMIN},
    Permission.SYSTEM_READ: {Role.ADMIN},
}


def test_every_permission_stands_in_the_table() -> None:
    assert set(MATRIX) == set(Permission)


@pytest.mark.parametrize("permission", Permission)
@pytest.mark.parametrize("role", Role)
def test_a_role_has_what_the_table_says(role: Role, permission: Permission) -> None:
    assert may(robot(role), permission, WEB) == (role in MATRIX[permission])
    assert not may(robot(role), permission, FOREIGN)
    assert not may(robot(role), permission, Site())
    assert may(robot(role, None), permission, Site()) == (role in MATRIX[permission])


def test_a_handle_carries_its_proof() -> None:
    scoped = authorize(robot(Role.DEVELOPER), Permission.REPO_PUSH, NEW)

    assert (scoped.resource, scoped.permission) == (NEW, Permission.REPO_PUSH)


def test_a_missing_right_is_said_with_who_what_where_and_who_gives_it() -> None:
    with pytest.raises(PermissionDeniedError) as caught:
        authorize(robot(Role.VIEWER), Permission.REPO_PUSH, WEB)

    assert caught.value.message == (
        'robot "shop+ci" lacks repo.push on shop/web (has viewer); granted by an admin of this registry'
    )


def test_a_foreign_repository_reads_like_an_absent_one() -> None:
    for repository in (FOREIGN, Repository(0, "none/x", Project(0, "none"))):
        with pytest.raises(PermissionDeniedError) as caught:
            authorize(robot(Role.DEVELOPER), Permission.REPO_PULL, repository)
        assert caught.value.message == HIDDEN
    with pytest.raises(ProjectHiddenError):
        authorize(robot(Role.DEVELOPER), Permission.REPO_READ, OTHER)


def test_a_token_allows_what_stands_in_it() -> None:
    assert authorize(holder("pull"), Permission.REPO_PULL, WEB).resource is WEB
    with pytest.raises(InsufficientScopeError) as caught:
        authorize(holder("pull"), Permission.REPO_PUSH, WEB)
    assert caught.value.scope == "repository:shop/web:pull,push"
    with pytest.raises(InsufficientScopeError):
        authorize(holder("pull"), Permission.REPO_PULL, FOREIGN)


def test_what_a_token_was_denied_is_said_at_once() -> None:
    principal = holder("pull", denied={"push": "roles:viewer"})

    with pytest.raises(PermissionDeniedError) as caught:
        authorize(principal, Permission.REPO_PUSH, WEB)

    assert caught.value.message == (
        'robot "shop+ci" lacks repo.push on shop/web (has viewer); granted by an admin of this registry'
    )


@pytest.mark.parametrize("permission", Permission)
def test_everybody_may_pull_what_is_public_and_nothing_more(permission: Permission) -> None:
    for principal in (Principal(ROBOT), Principal(NOBODY)):
        assert may(principal, permission, OPEN) == (permission is Permission.REPO_PULL)
        assert not by_role(principal, permission, OPEN)
        assert not may(principal, permission, WEB)
        assert not may(principal, permission, Site())


def test_a_right_that_came_from_being_public_ends_with_it() -> None:
    token = Principal(ROBOT, (), {"open/web": frozenset({"pull"})}, frozenset({"open/web"}))
    shut = Repository(30, "open/web", Project(3, "open"))

    assert authorize(token, Permission.REPO_PULL, OPEN).resource is OPEN
    with pytest.raises(PermissionDeniedError) as caught:
        authorize(token, Permission.REPO_PULL, shut)
    assert caught.value.message == HIDDEN
    own = Principal(ROBOT, (), {"open/web": frozenset({"pull"})})
    assert authorize(own, Permission.REPO_PULL, shut).resource is shut


def test_who_is_not_logged_in_hears_the_same_of_all_he_may_not() -> None:
    for repository in (WEB, OPEN, Repository(0, "none/x", Project(0, "none"))):
        code = refusal_code(Principal(NOBODY), repository)
        assert refusal(Principal(NOBODY), Permission.REPO_PUSH, repository, code) == LOG_IN


def test_the_list_of_repositories_is_for_who_is_logged_in_and_asked_for_it() -> None:
    check_catalog(Principal(ROBOT))
    check_catalog(Principal(ROBOT, access={}, catalog=True))
    with pytest.raises(InsufficientScopeError) as caught:
        check_catalog(Principal(ROBOT, access={}))
    assert caught.value.scope == "registry:catalog:*"
    with pytest.raises(PermissionDeniedError):
        check_catalog(Principal(NOBODY, access={}, catalog=True))


@pytest.mark.parametrize("permission", [each for each in Permission if each not in ACTIONS])
def test_a_token_opens_nothing_but_v2(permission: Permission) -> None:
    everything = Principal(ROBOT, (Grant(Role.ADMIN, None),), {"shop/web": frozenset({"pull", "push", "delete"})})

    for resource in (Site(), SHOP, WEB):
        with pytest.raises(PermissionDeniedError):
            opened(everything, permission, resource)


def test_who_has_a_role_on_the_site_sees_all_projects() -> None:
    assert visible_projects(robot(Role.VIEWER, None)) is None
    assert visible_projects(robot(Role.VIEWER)) == frozenset({1})
    assert visible_projects(Principal(ROBOT)) == frozenset()


grants = st.builds(Grant, st.sampled_from(Role), st.sampled_from([None, 1, 2]))
resources = st.sampled_from([Site(), SHOP, OTHER, WEB, NEW, FOREIGN, OPEN])
permissions = st.sampled_from(Permission)


@given(st.lists(grants, max_size=4), grants, permissions, resources)
def test_a_role_more_never_takes_anything_away(
    have: list[Grant], more: Grant, permission: Permission, resource: Site | Project | Repository
) -> None:
    before, after = Principal(ROBOT, tuple(have)), Principal(ROBOT, (*have, more))

    assert may(after, permission, resource) or not may(before, permission, resource)


@given(st.lists(grants, max_size=3), permissions, resources)
def test_the_door_opens_exactly_to_who_may(
    have: list[Grant], permission: Permission, resource: Site | Project | Repository
) -> None:
    principal = Principal(ROBOT, tuple(have))
    try:
        opened(principal, permission, resource)
    except EntrepotError:
        assert not may(principal, permission, resource)
    else:
        assert may(principal, permission, resource)


def test_no_robot_role_reaches_beyond_its_project() -> None:
    site = {Permission.PROJECT_CREATE, Permission.SYSTEM_READ, Permission.AUDIT_READ, Permission.SCAN_CONFIGURE}

    assert not site & (ROLES[Role.DEVELOPER] | ROLES[Role.VIEWER])
