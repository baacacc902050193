"""INSERT … ON CONFLICT: the one statement whose builder differs by database, under one name."""

from sqlalchemy import Table
from sqlalchemy.dialects import sqlite


def insert_or(table: Table) -> sqlite.Insert:
    """An INSERT into *table* with `on_conflict_do_nothing`, `on_conflict_do_update` and `excluded`."""
    return sqlite.insert(table)
