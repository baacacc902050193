"""procrastinate's tables and functions, from the SQL files of the installed package.

The package itself is not imported: a web process migrates too, and must load no worker code. Its migrations are files
that sort in the order they apply in; a comment on its main table holds the newest one the database has.
"""

from importlib.util import find_spec
from pathlib import Path
from typing import Final

from sqlalchemy import Connection

PACKAGE: Final = "procrastinate"
TABLE: Final = "procrastinate_jobs"
# It notifies inside the transaction that enqueues, and commits that do so wait for each other, database-wide and each
# for the other's sync to disk. So it is off; `queue.announce` wakes the workers after the commit.
TRIGGER: Final = "procrastinate_jobs_notify_queue_job_inserted_v1"


def apply_schema(connection: Connection) -> None:
    """The database has the schema of the installed procrastinate when this returns; nothing if it has it already.

    Commits after each file: a later one may use a value that an earlier one added to an enumeration, and one that was
    interrupted goes on where it was. Callers at once must be kept apart (a migration holds a lock).
    """
    folder = _sql_folder()
    migrations = sorted((folder / "migrations").glob("*.sql"))
    exists = connection.exec_driver_sql(f"SELECT to_regclass('{TABLE}')").scalar_one() is not None
    if exists:
        question = f"SELECT obj_description('{TABLE}'::regclass, 'pg_class')"
        newest = connection.exec_driver_sql(question).scalar_one() or ""
        for file in migrations:
            if file.stem > newest:
                _apply(connection, file, file.stem)
    else:
        _apply(connection, folder / "schema.sql", migrations[-1].stem)


def _apply(connection: Connection, file: Path, name: str) -> None:
    """Runs a whole file in one call, without parameters, so the driver looks for none in it; *name* is the newest."""
    cursor = connection.connection.cursor()
    try:
        cursor.execute(file.read_text(encoding="utf-8"))
        cursor.execute(f"COMMENT ON TABLE {TABLE} IS '{name}'")
        cursor.execute("SELECT 1 FROM pg_trigger WHERE tgname = %s", (TRIGGER,))
        if cursor.fetchone():
            cursor.execute(f"ALTER TABLE {TABLE} DISABLE TRIGGER {TRIGGER}")
    finally:
        cursor.close()
    connection.commit()


def _sql_folder() -> Path:
    spec = find_spec(PACKAGE)  # of a package at the top level: found, not loaded
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(PACKAGE)
    return Path(spec.origin).parent / "sql"
