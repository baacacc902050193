"""The look-ups of every request, compiled once from the tables."""

from sqlalchemy import bindparam, select, union_all

from entrepot.access.hot import AccessStatements
from entrepot.access.tables import account, ended_password, role_grant, secret
from entrepot.runtime.compiled import compiled
from entrepot.runtime.database_url import Kind


def access_statements(kind: Kind) -> AccessStatements:
    """The statements of `access/hot.py`, for the database of *kind*."""
    return AccessStatements(
        secret=compiled(
            select(account.c.id, account.c.name, account.c.kind, secret.c.id, secret.c.expires_at)
            .select_from(secret.join(account, account.c.id == secret.c.account_id))
            .where(secret.c.hmac == bindparam("hmac"), secret.c.revoked_at.is_(None), account.c.disabled_at.is_(None)),
            kind,
        ),
        password=compiled(
            select(account.c.id, account.c.name, account.c.kind, account.c.password_hash).where(
                account.c.name == bindparam("name"), account.c.disabled_at.is_(None)
            ),
            kind,
        ),
        grants=compiled(
            select(role_grant.c.role, role_grant.c.project_id, role_grant.c.granted_at).where(
                role_grant.c.account_id == bindparam("account")
            ),
            kind,
        ),
        revoked=compiled(
            union_all(
                select(secret.c.id).where(secret.c.revoked_at > bindparam("since")),
                select(ended_password.c.id).where(ended_password.c.ended_at > bindparam("since")),
            ),
            kind,
        ),
    )
