"""Rows of accounts, secrets and grants."""

from datetime import datetime

from sqlalchemy import delete, insert, select, update

from entrepot.access.model import Role
from entrepot.access.tables import account, role_grant, secret
from entrepot.ids import ulid, uuid7
from entrepot.runtime.unit_of_work import Unit
from entrepot.runtime.upsert import insert_or


async def add_account(
    unit: Unit, kind: str, name: str, project_id: int | None, password_hash: str | None, now: datetime
) -> int | None:
    """The id of a new account; None if the name is taken."""
    values = {
        "uid": uuid7(),
        "kind": kind,
        "name": name,
        "project_id": project_id,
        "password_hash": password_hash,
        "created_at": now,
    }
    statement = insert_or(account).values(values).on_conflict_do_nothing().returning(account.c.id)
    row = await unit.fetch_one(statement)
    return None if row is None else int(row.id)


async def add_grant(unit: Unit, account_id: int, role: Role, project_id: int | None) -> None:
    """Gives *role* to the account, on one project or on the site."""
    await unit.execute(insert(role_grant).values(account_id=account_id, role=role.value, project_id=project_id))


async def add_secret(unit: Unit, account_id: int, name: str, hmac: str, now: datetime, expires_at: datetime) -> str:
    """The id of a new secret of the account."""
    new = ulid()
    values = {"id": new, "account_id": account_id, "name": name, "hmac": hmac, "created_at": now}
    await unit.execute(insert(secret).values(**values, expires_at=expires_at))
    return new


async def live_secrets(unit: Unit, account_id: int) -> list[str]:
    """The ids of the account's secrets that are not revoked, expired or not."""
    question = select(secret.c.id).where(secret.c.account_id == account_id, secret.c.revoked_at.is_(None))
    return [row.id for row in await unit.fetch_all(question.order_by(secret.c.id))]


async def revoke(unit: Unit, account_id: int, ids: list[str], now: datetime) -> list[str]:
    """The secrets *ids* of the account open nothing any more; those of them that did until now."""
    change = (
        update(secret)
        .where(secret.c.account_id == account_id, secret.c.id.in_(ids), secret.c.revoked_at.is_(None))
        .values(revoked_at=now)
        .returning(secret.c.id)
    )
    return sorted(row.id for row in await unit.fetch_all(change))


async def robot_of(unit: Unit, login: str, project_id: int) -> int | None:
    """The account of the project's robot *login*."""
    question = select(account.c.id).where(
        account.c.name == login, account.c.kind == "robot", account.c.project_id == project_id
    )
    row = await unit.fetch_one(question)
    return None if row is None else int(row.id)


async def drop_grants(unit: Unit, account_id: int) -> None:
    """The account has no role any more."""
    await unit.execute(delete(role_grant).where(role_grant.c.account_id == account_id))


async def has_account(unit: Unit, name: str) -> bool:
    """Whether an account is called *name*."""
    return await unit.fetch_one(select(account.c.id).where(account.c.name == name)) is not None
