"""Endpoints: the tags of a repository, what each named before, moving one back, and locking one."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Response
from pydantic import BaseModel, Field

from entrepot.access.model import Permission, Repository
from entrepot.access.scoped import Scoped
from entrepot.catalog.lists import TAGS
from entrepot.catalog.queries import TagRow
from entrepot.catalog.tags import TagState
from entrepot.oci.reference import check_tag
from entrepot.runtime.lists import Wanted
from entrepot.web.api.conditions import IfMatch, entity_tag, expected
from entrepot.web.api.context import CURSOR, Asked, Limit
from entrepot.web.api.keyed import KeyedRoute
from entrepot.web.api.listed import asked_for
from entrepot.web.api.schemas import Body, Page
from entrepot.web.context import Context

router = APIRouter(tags=["tags"], route_class=KeyedRoute)
Rev = Annotated[int, Field(ge=1, le=2**31 - 1)]
AfterRev = Annotated[int | None, Query(ge=1, le=2**31 - 1, description=CURSOR)]


class TagItem(BaseModel):
    """A tag and what it names; rev: how often it was moved; locked_by: null where it is not locked."""

    name: str
    digest: str
    rev: int
    moved_at: datetime
    locked_by: str | None


class TagMoveItem(BaseModel):
    """One move of a tag. digest: null where it was deleted, by *operation*."""

    rev: int
    digest: str | None
    actor: str
    at: datetime
    operation: str | None


class RestoreBody(Body):
    """Which move of the tag's history to go back to."""

    rev: Rev


class RestoredTag(BaseModel):
    """What the tag names now."""

    name: str
    digest: str
    rev: int


@router.get("/repositories/{name:path}/-/tags", operation_id="listTags")
async def list_tags(asked: Asked, name: str, wanted: Annotated[Wanted, Depends(asked_for(TAGS))]) -> Page[TagItem]:
    """The tags of a repository; by `natural`, v1.9 stands before v1.10."""
    repository = await asked.repository(Permission.REPO_READ, name)
    part = await asked.services.lists.tags(repository, wanted)
    items = [TagItem.model_validate(row, from_attributes=True) for row in part.items]
    return Page(items=items, next=part.next, total=part.total)


@router.get("/repositories/{name:path}/-/tags/{tag}", operation_id="getTag")
async def get_tag(asked: Asked, name: str, tag: str, response: Response) -> TagItem:
    """A tag. Its `ETag` is that of what it names and of its lock."""
    repository = await asked.repository(Permission.REPO_READ, name)
    row = await asked.services.catalog.tag(repository, check_tag(tag))
    response.headers["ETag"] = entity_tag(_state(row))
    return TagItem.model_validate(row, from_attributes=True)


@router.get("/repositories/{name:path}/-/tags/{tag}/history", operation_id="listTagHistory")
async def list_tag_history(
    asked: Asked, name: str, tag: str, after: AfterRev = None, limit: Limit = 100
) -> Page[TagMoveItem]:
    """Every move of a tag, the last first, its deletions too; none of a tag that never was."""
    repository = await asked.repository(Permission.REPO_READ, name)
    rows = await asked.services.catalog.tag_history(repository, check_tag(tag), after, limit + 1)
    items = [TagMoveItem.model_validate(row, from_attributes=True) for row in rows[:limit]]
    return Page(items=items, next=str(items[-1].rev) if len(rows) > limit else None)


@router.post("/repositories/{name:path}/-/tags/{tag}/restore", operation_id="restoreTag")
async def restore_tag(asked: Asked, name: str, tag: str, body: RestoreBody) -> RestoredTag:
    """Moves a tag back to what one of its moves made it name, as a new move."""
    repository = await asked.repository(Permission.REPO_PUSH, name)
    restored = await asked.services.restore_tag(repository, check_tag(tag), body.rev)
    return RestoredTag(name=tag, digest=restored.digest, rev=restored.rev)


@router.put("/repositories/{name:path}/-/tags/{tag}/lock", operation_id="lockTag", status_code=204)
async def lock_tag(asked: Asked, name: str, tag: str, if_match: IfMatch = None) -> None:
    """Locks a tag: nobody moves or deletes it, or what it names. `If-Match` is of the tag."""
    repository = await asked.repository(Permission.TAG_LOCK, name)
    before = await _seen(asked, repository, tag, if_match)
    await asked.services.lock_tag(repository, tag, locked=True, expected=before)


@router.delete("/repositories/{name:path}/-/tags/{tag}/lock", operation_id="unlockTag", status_code=204)
async def unlock_tag(asked: Asked, name: str, tag: str, if_match: IfMatch = None) -> None:
    """Unlocks a tag. `If-Match` is of the tag."""
    repository = await asked.repository(Permission.TAG_LOCK, name)
    before = await _seen(asked, repository, tag, if_match)
    await asked.services.lock_tag(repository, tag, locked=False, expected=before)


async def _seen(asked: Context, repository: Scoped[Repository], tag: str, if_match: str | None) -> TagState | None:
    return expected(if_match, _state(await asked.services.catalog.tag(repository, check_tag(tag))))


def _state(row: TagRow) -> TagState:
    return TagState(row.digest, row.rev, row.locked_by)
