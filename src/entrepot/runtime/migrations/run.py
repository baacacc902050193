"""Brings a database to this version's schema, after a backup if it holds an older one."""

import sqlite3
from importlib.resources import as_file, files
from pathlib import Path
from typing import Final

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, create_engine

from entrepot.clock import SystemClock
from entrepot.errors import UnavailableError
from entrepot.runtime.database import PRAGMAS, database_path

PACKAGE: Final = "entrepot.runtime.migrations"


class SchemaUnknownError(UnavailableError):
    """The database holds a schema this version does not know: it was used by a later one."""


def migrate(url: str) -> None:
    """The database at *url* has this version's schema when this returns; nothing is done if it has it already.

    Raises SchemaUnknownError. An older schema is first copied to `<file>.backup-<time>`.
    """
    path = database_path(url)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with as_file(files(PACKAGE)) as folder:
        config = Config()
        config.set_main_option("script_location", str(folder).replace("%", "%%"))
        script = ScriptDirectory.from_config(config)
        engine = create_engine(f"sqlite:///{path}")
        try:
            now, newest = current(engine), script.get_current_head()
            if now == newest:
                return
            if now is not None:
                if now not in {revision.revision for revision in script.walk_revisions()}:
                    raise SchemaUnknownError(f"the database has schema {now}, which this version does not know")
                _back_up(path)
            with engine.connect() as connection:
                for pragma in PRAGMAS:
                    connection.exec_driver_sql(pragma)
                config.attributes["connection"] = connection
                command.upgrade(config, "head")
                connection.commit()
        finally:
            engine.dispose()


def current(engine: Engine) -> str | None:
    """The revision the database has; None for an empty one."""
    with engine.connect() as connection:
        return MigrationContext.configure(connection).get_current_revision()


def _back_up(path: Path) -> None:
    target = path.with_name(f"{path.name}.backup-{SystemClock().now():%Y%m%dT%H%M%S}")
    with sqlite3.connect(path) as connection:
        connection.execute("VACUUM INTO ?", (str(target),))
