"""Endpoints: accounts of people, their roles on the site and on projects, their passwords."""

from fastapi import APIRouter, Response

from entrepot.access.model import Permission, Role
from entrepot.access.queries import MemberRow, PersonRow
from entrepot.web.api.accounts import NO_STORE
from entrepot.web.api.conditions import IfMatch, entity_tag, expected
from entrepot.web.api.context import After, Asked, Limit
from entrepot.web.api.keyed import KeyedRoute
from entrepot.web.api.schemas import (
    AccountItem,
    AccountMade,
    MemberBody,
    MemberItem,
    NewAccountBody,
    Page,
    PasswordBody,
    RolesBody,
)

router = APIRouter(tags=["access"], route_class=KeyedRoute)


@router.get("/accounts", operation_id="listAccounts")
async def list_accounts(asked: Asked, after: After = None, limit: Limit = 100) -> Page[AccountItem]:
    """The accounts of people, by name; the disabled ones too."""
    asked.site(Permission.ACCOUNT_MANAGE)
    items = [_account(row) for row in await asked.services.accounts.people(after, limit)]
    return Page(items=items, next=items[-1].name if len(items) == limit else None)


@router.post("/accounts", operation_id="createAccount", status_code=201)
async def create_account(asked: Asked, body: NewAccountBody, response: Response) -> AccountMade:
    """Makes an account of a person, without any role. Its first password is random, and shown this once."""
    made = await asked.services.create_person(asked.site(Permission.ACCOUNT_MANAGE), body.name)
    response.headers["Cache-Control"] = NO_STORE
    return AccountMade(name=made.name, password=made.password, created_at=made.created_at)


@router.get("/accounts/{account}", operation_id="getAccount")
async def get_account(asked: Asked, account: str, response: Response) -> AccountItem:
    """A person's account. Its `ETag` is that of the roles on the site."""
    asked.site(Permission.ACCOUNT_MANAGE)
    row = await asked.services.accounts.person(account)
    response.headers["ETag"] = entity_tag(row.standing)
    return _account(row)


@router.delete("/accounts/{account}", operation_id="deleteAccount", status_code=204)
async def delete_account(asked: Asked, account: str) -> None:
    """Disables a person's account for good: nothing of his opens anything; registry tokens end within 5 s."""
    await asked.services.disable_person(asked.site(Permission.ACCOUNT_MANAGE), account)


@router.put("/accounts/{account}/roles", operation_id="setAccountRoles")
async def set_account_roles(
    asked: Asked, account: str, body: RolesBody, response: Response, if_match: IfMatch = None
) -> AccountItem:
    """Sets a person's roles on the whole site. Nobody changes his own, and one admin stays."""
    site = asked.site(Permission.ACCOUNT_MANAGE)
    before = expected(if_match, (await asked.services.accounts.person(account)).standing)
    wanted = frozenset(Role(role) for role in body.roles)
    now = await asked.services.set_site_roles(site, account, wanted, before)
    response.headers["ETag"] = entity_tag(now)
    return _account(await asked.services.accounts.person(account))


@router.post("/accounts/{account}/password", operation_id="resetPassword")
async def reset_password(asked: Asked, account: str, response: Response) -> AccountMade:
    """Gives a person who forgot his password a random one, shown this once. His sessions end."""
    made = await asked.services.reset_password(asked.site(Permission.ACCOUNT_MANAGE), account)
    response.headers["Cache-Control"] = NO_STORE
    return AccountMade(name=made.name, password=made.password, created_at=made.created_at)


@router.put("/auth/password", operation_id="changePassword", status_code=204)
async def change_password(asked: Asked, body: PasswordBody) -> None:
    """Changes the caller's own password. His other sessions end with it; his personal tokens stay."""
    await asked.services.change_password(asked.principal, body.old, body.new)


@router.get("/projects/{project}/members", operation_id="listMembers")
async def list_members(asked: Asked, project: str, after: After = None, limit: Limit = 100) -> Page[MemberItem]:
    """The people with a role on a project, by name; not those who have one on the whole site only."""
    scoped = await asked.project(Permission.MEMBER_MANAGE, project)
    items = [_member(row) for row in await asked.services.accounts.members(scoped, after, limit)]
    return Page(items=items, next=items[-1].account if len(items) == limit else None)


@router.get("/projects/{project}/members/{account}", operation_id="getMember")
async def get_member(asked: Asked, project: str, account: str, response: Response) -> MemberItem:
    """A person as a member of a project, role null where he is none. Its `ETag` is that of the role."""
    row = await asked.services.accounts.member(await asked.project(Permission.MEMBER_MANAGE, project), account)
    response.headers["ETag"] = entity_tag(row.standing)
    return _member(row)


@router.put("/projects/{project}/members/{account}", operation_id="setMember")
async def set_member(
    asked: Asked, project: str, account: str, body: MemberBody, response: Response, if_match: IfMatch = None
) -> MemberItem:
    """Gives a person a role on a project, instead of the one he has there. Nobody changes his own."""
    scoped = await asked.project(Permission.MEMBER_MANAGE, project)
    before = expected(if_match, (await asked.services.accounts.member(scoped, account)).standing)
    now = await asked.services.set_member(scoped, account, Role(body.role), before)
    response.headers["ETag"] = entity_tag(now)
    return _member(await asked.services.accounts.member(scoped, account))


@router.delete("/projects/{project}/members/{account}", operation_id="removeMember", status_code=204)
async def remove_member(asked: Asked, project: str, account: str) -> None:
    """Takes a person's role on a project away. Nobody removes himself."""
    await asked.services.remove_member(await asked.project(Permission.MEMBER_MANAGE, project), account)


def _account(row: PersonRow) -> AccountItem:
    return AccountItem(
        id=row.id,
        name=row.name,
        roles=list(row.standing.roles),
        created_at=row.created_at,
        disabled_at=row.disabled_at,
    )


def _member(row: MemberRow) -> MemberItem:
    return MemberItem(account=row.account, role=row.role, granted_at=row.granted_at)
