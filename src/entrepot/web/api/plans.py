"""`dry_run=true`: what a deletion would take, and nothing changes. Design: product.md, section 4."""

from typing import Annotated, Literal

from fastapi import Query
from pydantic import BaseModel

from entrepot.lifecycle.plan import Plan

DryRun = Annotated[bool, Query(description="Whether only to say what would go: nothing changes.")]


class PlannedItem(BaseModel):
    """Something that would go. kind: project, repository, manifest, tag or robot."""

    kind: str
    name: str


class PlanDetail(BaseModel):
    """What would go; items: the first 1,000, total: how many. bytes: freed when the trash ends; shared_bytes: others
    need them, and they stay.
    """

    dry_run: Literal[True] = True
    items: list[PlannedItem]
    total: int
    bytes: int
    shared_bytes: int


def shown(plan: Plan) -> PlanDetail:
    """*plan* as an answer."""
    items = [PlannedItem(kind=kind, name=name) for kind, name in plan.items]
    return PlanDetail(items=items, total=plan.total, bytes=plan.size, shared_bytes=plan.shared)
