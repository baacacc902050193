"""Endpoint: the repositories of the projects one may see."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel

from entrepot.access.authorize import visible_projects
from entrepot.lifecycle.lists import REPOSITORIES
from entrepot.runtime.lists import Wanted
from entrepot.web.api.context import Asked
from entrepot.web.api.keyed import KeyedRoute
from entrepot.web.api.listed import asked_for
from entrepot.web.api.schemas import Page

router = APIRouter(tags=["repositories"], route_class=KeyedRoute)
Sizes = Annotated[bool, Query(description="Whether to say what each holds, which takes longer.")]


class RepositoryItem(BaseModel):
    """A repository. size: of what it holds, in bytes, trash included; null without `sizes=true`."""

    name: str
    project: str
    created_at: datetime
    tags: int
    pushed_at: datetime | None
    pulled_at: datetime | None
    size: int | None


@router.get("/repositories", operation_id="listRepositories")
async def list_repositories(
    asked: Asked, wanted: Annotated[Wanted, Depends(asked_for(REPOSITORIES))], *, sizes: Sizes = False
) -> Page[RepositoryItem]:
    """The repositories of the projects the caller has a role on; those of one: `filter=project=shop`."""
    part = await asked.services.repositories(visible_projects(asked.principal), wanted, sizes=sizes)
    items = [RepositoryItem.model_validate(row, from_attributes=True) for row in part.items]
    return Page(items=items, next=part.next, total=part.total)
