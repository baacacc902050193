"""The rows of promotions, read and written inside a unit."""

import json
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Select, delete, insert, select, update

from entrepot.lifecycle.model import Approval, Promotion, PromotionItem, PromotionState
from entrepot.lifecycle.tables import promotion, promotion_approval, promotion_item
from entrepot.runtime.ports import Connection
from entrepot.runtime.unit_of_work import Unit
from entrepot.runtime.upsert import insert_or

PATIENCE: Final = timedelta(days=14)
"""How long a promotion waits for its approvals."""


async def add(unit: Unit, project_id: int, account_id: int, wanted: Promotion) -> None:
    """The promotion *wanted*, of that account."""
    values = {
        "id": wanted.id,
        "project_id": project_id,
        "source": wanted.source,
        "target": wanted.target,
        "stage": wanted.stage,
        "approvals": wanted.needed,
        "state": wanted.state.value,
        "reason": wanted.reason,
        "account_id": account_id,
        "actor": wanted.actor,
        "at": wanted.at,
    }
    await unit.execute(insert(promotion).values(values))
    rows = [
        {
            "promotion_id": wanted.id,
            "position": place,
            "reference": item.reference,
            "digest": item.digest,
            "tags": json.dumps(item.tags),
        }
        for place, item in enumerate(wanted.items)
    ]
    await unit.execute(insert(promotion_item), rows)


async def one(unit: Unit, id_: str, *, lock: bool) -> tuple[Promotion, int, int] | None:
    """The promotion *id_*, its project's row and its account's; None: there is none.

    lock: nobody decides it until *unit* ends.
    """
    question = select(promotion).where(promotion.c.id == id_)
    row = await unit.fetch_one(question.with_for_update() if lock else question)
    if row is None:
        return None
    (found,) = await read(unit.connection, [row])
    return found, int(row.project_id), int(row.account_id)


async def end(unit: Unit, id_: str, state: PromotionState, reason: str, now: datetime) -> None:
    """The promotion *id_* is over."""
    values = {"state": state.value, "reason": reason, "ended_at": now}
    await unit.execute(update(promotion).where(promotion.c.id == id_).values(values))


async def supersede(unit: Unit, target: str, tags: Iterable[str], by: str, now: datetime) -> list[Promotion]:
    """Promotions that wait to move one of *tags* of *target* are over: *by* is newer. Those that were."""
    question = select(promotion).where(promotion.c.target == target, promotion.c.state == PromotionState.WAITING.value)
    rows = await unit.fetch_all(question.where(promotion.c.id != by).order_by(promotion.c.id).with_for_update())
    wanted = set(tags)
    over = [
        each
        for each in await read(unit.connection, rows)
        if wanted.intersection(tag for item in each.items for tag in item.tags)
    ]
    for each in over:
        await end(unit, each.id, PromotionState.SUPERSEDED, f"{by} is newer", now)
    return over


async def approve(unit: Unit, id_: str, account_id: int, now: datetime) -> dict[int, str]:
    """The account approves *id_*, if it has not yet; the accounts that did, with their names."""
    values = {"promotion_id": id_, "account_id": account_id, "actor": unit.by.name, "at": now}
    await unit.execute(insert_or(promotion_approval).values(values).on_conflict_do_nothing())
    question = select(promotion_approval.c.account_id, promotion_approval.c.actor)
    rows = await unit.fetch_all(question.where(promotion_approval.c.promotion_id == id_))
    return {row.account_id: row.actor for row in rows}


async def unapprove(unit: Unit, id_: str, account_ids: Iterable[int] | None = None) -> None:
    """Approvals of *id_* are void: those of the accounts, or all."""
    own = delete(promotion_approval).where(promotion_approval.c.promotion_id == id_)
    if account_ids is not None:
        own = own.where(promotion_approval.c.account_id.in_(list(account_ids)))
    await unit.execute(own)


async def read(connection: Connection | Any, rows: Sequence[Any], now: datetime | None = None) -> list[Promotion]:
    """The promotions of *rows*, with their items and approvals; *now*: to tell which waited too long."""
    ids = [row.id for row in rows]
    items: dict[str, list[PromotionItem]] = {id_: [] for id_ in ids}
    approvals: dict[str, list[Approval]] = {id_: [] for id_ in ids}
    question: Select[Any] = select(promotion_item).where(promotion_item.c.promotion_id.in_(ids))
    for row in await connection.execute(question.order_by(promotion_item.c.promotion_id, promotion_item.c.position)):
        items[row.promotion_id].append(PromotionItem(row.reference, row.digest, tuple(json.loads(row.tags))))
    question = select(promotion_approval).where(promotion_approval.c.promotion_id.in_(ids))
    for row in await connection.execute(question.order_by(promotion_approval.c.at)):
        approvals[row.promotion_id].append(Approval(row.actor, row.at))
    return [
        Promotion(
            row.id,
            row.source,
            row.target,
            row.stage,
            row.approvals,
            _state(row, now),
            row.reason,
            row.actor,
            row.at,
            row.ended_at,
            tuple(items[row.id]),
            tuple(approvals[row.id]),
        )
        for row in rows
    ]


def expired(at: datetime, now: datetime) -> bool:
    """Whether a promotion of *at* has waited too long."""
    return at + PATIENCE <= now


def _state(row: Any, now: datetime | None) -> PromotionState:
    state = PromotionState(row.state)
    late = state is PromotionState.WAITING and now is not None and expired(row.at, now)
    return PromotionState.EXPIRED if late else state
