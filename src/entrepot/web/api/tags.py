"""Endpoints: the tags of a repository, what each named before, moving one back, and locking one."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from entrepot.access.model import Permission
from entrepot.oci.reference import check_tag
from entrepot.web.api.context import CURSOR, After, Asked, Limit
from entrepot.web.api.schemas import Body, Page

router = APIRouter(tags=["tags"])
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
async def list_tags(asked: Asked, name: str, after: After = None, limit: Limit = 100) -> Page[TagItem]:
    """The tags of a repository, in the order of their names' bytes."""
    repository = await asked.repository(Permission.REPO_READ, name)
    rows = await asked.services.catalog.tags(repository, after or "", limit + 1)
    items = [TagItem.model_validate(row, from_attributes=True) for row in rows[:limit]]
    return Page(items=items, next=items[-1].name if len(rows) > limit else None)


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
async def lock_tag(asked: Asked, name: str, tag: str) -> None:
    """Locks a tag: nobody moves or deletes it, or what it names."""
    await asked.services.lock_tag(await asked.repository(Permission.TAG_LOCK, name), check_tag(tag), locked=True)


@router.delete("/repositories/{name:path}/-/tags/{tag}/lock", operation_id="unlockTag", status_code=204)
async def unlock_tag(asked: Asked, name: str, tag: str) -> None:
    """Unlocks a tag."""
    await asked.services.lock_tag(await asked.repository(Permission.TAG_LOCK, name), check_tag(tag), locked=False)
