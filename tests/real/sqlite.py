"""SQLite databases with every table: copies of one made once per test process, for each table syncs the disk."""

import functools
import tempfile
from pathlib import Path

from sqlalchemy import create_engine

from entrepot.runtime.migrations.run import migrate
from entrepot.schema import SCHEMA


def new_database(path: Path) -> str:
    """The address of a new database in the file *path*, with the tables as the code declares them."""
    path.write_bytes(_declared())
    return f"sqlite:///{path}"


def new_migrated_database(path: Path) -> str:
    """The address of a new database in the file *path*, as the migrations make it."""
    path.write_bytes(_migrated())
    return f"sqlite:///{path}"


@functools.cache
def _declared() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "declared.db"
        engine = create_engine(f"sqlite:///{path}")
        SCHEMA.create_all(engine)
        engine.dispose()
        return path.read_bytes()


@functools.cache
def _migrated() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "migrated.db"
        migrate(f"sqlite:///{path}")
        return path.read_bytes()
