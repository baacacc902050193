"""Turns statements built from tables into text for the raw driver, once, at the start of a process."""

from typing import Any

from sqlalchemy import CompoundSelect, Dialect, Insert, Select
from sqlalchemy.dialects import postgresql, sqlite

from entrepot.runtime.database_url import Kind
from entrepot.runtime.hot import Statement


def compiled(statement: Select[Any] | CompoundSelect[Any] | Insert, kind: Kind) -> Statement:
    """*statement* for the driver of *kind*: its `bindparam`s become the names to give; of an INSERT the columns."""
    dialect: Dialect = sqlite.dialect(paramstyle="qmark")
    if kind is Kind.POSTGRESQL:
        dialect = postgresql.psycopg.dialect(paramstyle="format")  # type: ignore[no-untyped-call]
    text = statement.compile(dialect=dialect, compile_kwargs={"render_postcompile": True})
    constants = {name: value for name, value in text.params.items() if value is not None}
    return Statement(str(text), tuple(text.positiontup or ()), constants)
