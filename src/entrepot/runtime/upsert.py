"""INSERT … ON CONFLICT under one name. PostgreSQL's builder is read by SQLite's compiler too; not the other way."""

from sqlalchemy import Table
from sqlalchemy.dialects import postgresql


def insert_or(table: Table) -> postgresql.Insert:
    """An INSERT into *table* with `on_conflict_do_nothing`, `on_conflict_do_update` and `excluded`."""
    return postgresql.insert(table)
