"""Turns statements built from tables into text for the raw driver, once, at the start of a process."""

from typing import Any

from sqlalchemy import Select
from sqlalchemy.dialects import sqlite

from entrepot.runtime.hot import Statement


def compiled(statement: Select[Any]) -> Statement:
    """*statement* for HotReader: its `bindparam`s become the names to give."""
    text = statement.compile(dialect=sqlite.dialect(paramstyle="qmark"), compile_kwargs={"render_postcompile": True})
    constants = {name: value for name, value in text.params.items() if value is not None}
    return Statement(str(text), tuple(text.positiontup or ()), constants)
