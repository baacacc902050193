"""Rows of accounts, secrets and grants."""

from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import delete, insert, select, update

from entrepot.access.model import Role, Standing
from entrepot.access.tables import account, ended_password, role_grant, secret, sign_in_link, web_session
from entrepot.ids import ulid, uuid7
from entrepot.runtime.unit_of_work import Unit
from entrepot.runtime.upsert import insert_or

TOKENS_GONE: Final = timedelta(days=1)


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


async def add_grant(
    unit: Unit, account_id: int, role: Role, project_id: int | None, granted_at: datetime | None
) -> None:
    """Gives *role* to the account, on one project or on the site; *granted_at* None: as if long ago."""
    values = {"account_id": account_id, "role": role.value, "project_id": project_id, "granted_at": granted_at}
    await unit.execute(insert(role_grant).values(values))


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


async def person(unit: Unit, account_id: int) -> str | None:
    """The name of the person whose account this is; None of a robot, and of who is disabled."""
    there = (account.c.id == account_id, account.c.kind == "person", account.c.disabled_at.is_(None))
    row = await unit.fetch_one(select(account.c.name).where(*there))
    return None if row is None else str(row.name)


async def lock_person(unit: Unit, name: str) -> tuple[int, str] | None:
    """The account of the person *name* and the hash of his password, for this unit alone; None if he is disabled."""
    there = (account.c.name == name, account.c.kind == "person", account.c.disabled_at.is_(None))
    question = select(account.c.id, account.c.password_hash).where(*there)
    row = await unit.fetch_one(question.with_for_update(key_share=True))
    return None if row is None else (int(row.id), row.password_hash or "")


async def standing(unit: Unit, account_id: int, project_id: int | None) -> Standing:
    """The roles of the account on one project, or on the site."""
    question = select(role_grant.c.role).where(
        role_grant.c.account_id == account_id, role_grant.c.project_id == project_id
    )
    given = {Role(row.role) for row in await unit.fetch_all(question)}
    return Standing(tuple(role for role in Role if role in given))


async def replace_grants(
    unit: Unit, account_id: int, before: Standing, after: Standing, project_id: int | None, now: datetime
) -> None:
    """The account has the roles *after* instead of *before*; those it keeps it has as long as it had them."""
    gone = [role.value for role in before.roles if role not in after.roles]
    there = (role_grant.c.account_id == account_id, role_grant.c.project_id == project_id)
    await unit.execute(delete(role_grant).where(*there, role_grant.c.role.in_(gone)))
    for role in after.roles:
        if role not in before.roles:
            await add_grant(unit, account_id, role, project_id, now)


async def has_other_admin(unit: Unit, account_id: int) -> bool:
    """Whether somebody else is an admin of the site."""
    admins = (role_grant.c.role == Role.ADMIN.value, role_grant.c.project_id.is_(None))
    question = (
        select(account.c.id)
        .join(role_grant, role_grant.c.account_id == account.c.id)
        .where(*admins, account.c.kind == "person", account.c.disabled_at.is_(None), account.c.id != account_id)
        .limit(1)
    )
    return await unit.fetch_one(question) is not None


async def disable(unit: Unit, account_id: int, now: datetime) -> None:
    """The account is nobody's any more, and its password is none."""
    await unit.execute(update(account).where(account.c.id == account_id).values(disabled_at=now, password_hash=None))


async def set_password(unit: Unit, account_id: int, password_hash: str) -> None:
    """The account's password is what has the hash *password_hash*."""
    await unit.execute(update(account).where(account.c.id == account_id).values(password_hash=password_hash))


async def end_password(unit: Unit, id_: str, now: datetime) -> None:
    """The password *id_* opens nothing any more. Of those that ended long before no token can be left."""
    await unit.execute(delete(ended_password).where(ended_password.c.ended_at < now - TOKENS_GONE))
    await unit.execute(insert_or(ended_password).values(id=id_, ended_at=now).on_conflict_do_nothing())


async def end_sessions(unit: Unit, account_id: int, but: str = "") -> None:
    """The account's sessions of browsers are over, and its links that sign in, *but* the one with that id."""
    await unit.execute(delete(web_session).where(web_session.c.account_id == account_id, web_session.c.id != but))
    await unit.execute(delete(sign_in_link).where(sign_in_link.c.account_id == account_id))
