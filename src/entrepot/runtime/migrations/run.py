"""Brings a database to this version's schema, after a backup if it holds an older one and is a file."""

import sqlite3
from importlib.resources import as_file, files
from pathlib import Path
from typing import Final

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, create_engine
from sqlalchemy.engine import make_url

from entrepot.clock import SystemClock
from entrepot.errors import UnavailableError
from entrepot.runtime.database import PRAGMAS
from entrepot.runtime.database_url import Kind, database_path, kind_of
from entrepot.runtime.jobs.procrastinate_schema import apply_schema

PACKAGE: Final = "entrepot.runtime.migrations"
LOCK: Final = 6_003_361_118
"""The advisory lock of migrations: any number that nobody else takes."""


class SchemaUnknownError(UnavailableError):
    """The database holds a schema this version does not know: it was used by a later one."""


def migrate(url: str) -> None:
    """The database at *url* has this version's schema when this returns; nothing is done if it has it already.

    Several may call this at once: on PostgreSQL they wait for each other. An older SQLite schema is first copied to
    `<file>.backup-<time>`. Raises SchemaUnknownError.
    """
    with as_file(files(PACKAGE)) as folder:
        config = Config()
        config.set_main_option("script_location", str(folder).replace("%", "%%"))
        engine = migration_engine(url)
        try:
            if kind_of(url) is Kind.SQLITE:
                _upgrade_sqlite(engine, config, database_path(url))
            else:
                _upgrade_postgresql(engine, config)
        finally:
            engine.dispose()


def migration_engine(url: str) -> Engine:
    """A plain engine for *url*, whose folder is made if it is a file."""
    if kind_of(url) is Kind.POSTGRESQL:
        return create_engine(make_url(url).set(drivername="postgresql+psycopg"))
    path = database_path(url)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    return create_engine(f"sqlite:///{path}")


def current(engine: Engine) -> str | None:
    """The revision the database has; None for an empty one."""
    with engine.connect() as connection:
        return MigrationContext.configure(connection).get_current_revision()


def _upgrade_sqlite(engine: Engine, config: Config, path: Path) -> None:
    now = current(engine)
    if not _is_behind(now, config):
        return
    if now is not None:
        _back_up(path)
    with engine.connect() as connection:
        for pragma in PRAGMAS:
            connection.exec_driver_sql(pragma)
        # A table that is made anew is dropped meanwhile; what refers to it must not mind. Checked below instead.
        connection.exec_driver_sql("PRAGMA foreign_keys = OFF")
        connection.commit()
        _apply(connection, config)
        broken = connection.exec_driver_sql("PRAGMA foreign_key_check").all()
        if broken:
            raise SchemaUnknownError(f"{len(broken)} rows refer to nothing after the migration; restore the backup")
        connection.commit()


def _upgrade_postgresql(engine: Engine, config: Config) -> None:
    with engine.connect() as connection:
        connection.exec_driver_sql(f"SELECT pg_advisory_lock({LOCK})")
        connection.commit()
        try:
            if _is_behind(MigrationContext.configure(connection).get_current_revision(), config):
                _apply(connection, config)
            apply_schema(connection)
            connection.commit()
        finally:
            connection.rollback()
            connection.exec_driver_sql(f"SELECT pg_advisory_unlock({LOCK})")
            connection.commit()


def _is_behind(now: str | None, config: Config) -> bool:
    script = ScriptDirectory.from_config(config)
    if now is not None and now not in {revision.revision for revision in script.walk_revisions()}:
        raise SchemaUnknownError(f"the database has schema {now}, which this version does not know")
    return now != script.get_current_head()


def _apply(connection: Connection, config: Config) -> None:
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
    connection.commit()


def _back_up(path: Path) -> None:
    target = path.with_name(f"{path.name}.backup-{SystemClock().now():%Y%m%dT%H%M%S}")
    with sqlite3.connect(path) as connection:
        connection.execute("VACUUM INTO ?", (str(target),))
