"""Endpoints: who am I, personal tokens, robots."""

from dataclasses import replace
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Response
from fastapi.responses import JSONResponse

from entrepot.access.errors import CredentialUnknownError
from entrepot.access.model import Permission, Role
from entrepot.access.queries import ROBOTS
from entrepot.lifecycle.plan import Plan
from entrepot.runtime.filters import Comparison, Op
from entrepot.runtime.lists import Wanted
from entrepot.web.api.context import AfterId, Asked, Limit
from entrepot.web.api.keyed import KeyedRoute
from entrepot.web.api.listed import asked_for
from entrepot.web.api.plans import DryRun, PlanDetail, shown
from entrepot.web.api.schemas import (
    NewRobotBody,
    NewTokenBody,
    Page,
    RobotItem,
    RobotMade,
    SignInLinkMade,
    TokenItem,
    TokenMade,
    WhoAmI,
)

NO_STORE: Final = "no-store"
"""Of answers with a secret: nobody keeps them, not even for who sends his request twice."""

router = APIRouter(tags=["access"], route_class=KeyedRoute)


@router.get("/whoami", operation_id="whoAmI")
async def who_am_i(asked: Asked) -> WhoAmI:
    """Who asks."""
    actor, grants = asked.principal.actor, asked.principal.grants
    return WhoAmI(account=actor.name, kind=actor.kind, role=", ".join(sorted({grant.role.value for grant in grants})))


@router.post("/auth/tokens", operation_id="createToken", status_code=201)
async def create_token(asked: Asked, body: NewTokenBody, response: Response) -> TokenMade:
    """Makes a personal token for whoever asks, with his own rights."""
    made = await asked.services.create_token(asked.principal, body.name, body.days)
    response.headers["Cache-Control"] = NO_STORE
    return TokenMade(
        id=made.secret.id,
        name=made.name,
        token=made.secret.text,
        account=made.account,
        expires_at=made.expires_at,
    )


@router.get("/auth/tokens", operation_id="listTokens")
async def list_tokens(asked: Asked, after: AfterId = None, limit: Limit = 100) -> Page[TokenItem]:
    """The caller's personal tokens, oldest first."""
    rows = await asked.services.accounts.tokens(asked.principal, after, limit)
    items = [TokenItem(id=row.id, name=row.name, created_at=row.created_at, expires_at=row.expires_at) for row in rows]
    return Page(items=items, next=items[-1].id if len(items) == limit else None)


@router.post("/sign-in-links", operation_id="createSignInLink", status_code=201)
async def create_sign_in_link(asked: Asked, response: Response) -> SignInLinkMade:
    """Makes an address that signs the caller's browser in, once, within ten minutes. He proves himself by password."""
    made = await asked.services.sign_in_links.make(asked.principal)
    response.headers["Cache-Control"] = NO_STORE
    # In the query: paths are in the log of requests.
    url = f"{asked.services.external}/sign-in/link?code={made.code}"
    return SignInLinkMade(url=url, account=made.account, ends_at=made.ends_at)


@router.delete("/auth/tokens/{token}", operation_id="revokeToken", status_code=204)
async def revoke_token(asked: Asked, token: str) -> None:
    """Revokes one of the caller's own secrets, by its id; registry tokens made with it end within 5 s."""
    await asked.services.revoke_token(asked.principal, token)


@router.get("/projects/{project}/robots", operation_id="listRobots")
async def list_robots(
    asked: Asked, project: str, wanted: Annotated[Wanted, Depends(asked_for(ROBOTS))]
) -> Page[RobotItem]:
    """The robots of a project."""
    scoped = await asked.project(Permission.ROBOT_WRITE, project)
    part = await asked.services.accounts.robot_page(scoped, wanted)
    items = [
        RobotItem(
            id=row.id,
            name=row.login.partition("+")[2],
            login=row.login,
            role=row.role,
            created_at=row.created_at,
            expires_at=row.expires_at,
        )
        for row in part.items
    ]
    return Page(items=items, next=part.next, total=part.total)


@router.post("/projects/{project}/robots", operation_id="createRobot", status_code=201)
async def create_robot(asked: Asked, project: str, body: NewRobotBody, response: Response) -> RobotMade:
    """Makes a robot: an account for machines, with a role on this project."""
    scoped = await asked.project(Permission.ROBOT_WRITE, project)
    made = await asked.services.create_robot(scoped, body.name, Role(body.role), body.days)
    response.headers["Cache-Control"] = NO_STORE
    return RobotMade(
        id=made.secret.id,
        name=body.name,
        login=made.login,
        role=made.role.value,
        created_at=made.created_at,
        expires_at=made.expires_at,
        secret=made.secret.text,
    )


@router.delete(
    "/projects/{project}/robots/{robot}",
    operation_id="deleteRobot",
    status_code=204,
    responses={200: {"model": PlanDetail, "description": "With `dry_run=true`: what would go."}},
)
async def delete_robot(asked: Asked, project: str, robot: str, *, dry_run: DryRun = False) -> Response:
    """Deletes a robot, by its name in the project; registry tokens made with its secret end within 5 s."""
    scoped = await asked.project(Permission.ROBOT_WRITE, project)
    if dry_run:
        named = replace(ROBOTS.wanted(asked.now), where=Comparison("name", Op.EQUAL, robot))
        found = (await asked.services.accounts.robot_page(scoped, named)).items
        if not found:
            raise CredentialUnknownError(f"{project} has no such robot")
        return JSONResponse(shown(Plan((("robot", found[0].login),), 1, 0, 0)).model_dump())
    await asked.services.delete_robot(scoped, robot)
    return Response(status_code=204)
