"""Endpoints: who am I, personal tokens, robots."""

from fastapi import APIRouter

from entrepot.access.model import Permission, Role
from entrepot.web.api.context import After, AfterId, Asked, Limit
from entrepot.web.api.schemas import (
    NewRobotBody,
    NewTokenBody,
    Page,
    RobotItem,
    RobotMade,
    TokenItem,
    TokenMade,
    WhoAmI,
)

router = APIRouter(tags=["access"])


@router.get("/whoami", operation_id="whoAmI")
async def who_am_i(asked: Asked) -> WhoAmI:
    """Who asks."""
    actor, grants = asked.principal.actor, asked.principal.grants
    return WhoAmI(account=actor.name, kind=actor.kind, role=", ".join(sorted({grant.role.value for grant in grants})))


@router.post("/auth/tokens", operation_id="createToken", status_code=201)
async def create_token(asked: Asked, body: NewTokenBody) -> TokenMade:
    """Makes a personal token for whoever asks, with his own rights."""
    made = await asked.services.create_token(asked.principal, body.name, body.days)
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


@router.delete("/auth/tokens/{token}", operation_id="revokeToken", status_code=204)
async def revoke_token(asked: Asked, token: str) -> None:
    """Revokes one of the caller's own secrets, by its id; registry tokens made with it end within 5 s."""
    await asked.services.revoke_token(asked.principal, token)


@router.get("/projects/{project}/robots", operation_id="listRobots")
async def list_robots(asked: Asked, project: str, after: After = None, limit: Limit = 100) -> Page[RobotItem]:
    """The robots of a project, by name."""
    scoped = await asked.project(Permission.ROBOT_WRITE, project)
    rows = await asked.services.accounts.robots(scoped, after, limit)
    items = [
        RobotItem(
            id=row.id,
            name=row.login.partition("+")[2],
            login=row.login,
            role=row.role,
            created_at=row.created_at,
            expires_at=row.expires_at,
        )
        for row in rows
    ]
    return Page(items=items, next=items[-1].login if len(items) == limit else None)


@router.post("/projects/{project}/robots", operation_id="createRobot", status_code=201)
async def create_robot(asked: Asked, project: str, body: NewRobotBody) -> RobotMade:
    """Makes a robot: an account for machines, with a role on this project."""
    scoped = await asked.project(Permission.ROBOT_WRITE, project)
    made = await asked.services.create_robot(scoped, body.name, Role(body.role), body.days)
    return RobotMade(
        id=made.secret.id,
        name=body.name,
        login=made.login,
        role=made.role.value,
        created_at=made.created_at,
        expires_at=made.expires_at,
        secret=made.secret.text,
    )


@router.delete("/projects/{project}/robots/{robot}", operation_id="deleteRobot", status_code=204)
async def delete_robot(asked: Asked, project: str, robot: str) -> None:
    """Deletes a robot, by its name in the project; registry tokens made with its secret end within 5 s."""
    await asked.services.delete_robot(await asked.project(Permission.ROBOT_WRITE, project), robot)
