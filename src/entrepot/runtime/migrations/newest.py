"""Which schema this version wants, and which a database has: asked at each start, so without Alembic's 0.3 s."""

import sqlite3
from typing import Final

from entrepot.runtime.database_url import Kind, database_path, kind_of, libpq_url
from entrepot.runtime.errors import DatabaseUnavailableError

NEWEST: Final = "0008"
QUESTION: Final = "SELECT version_num FROM alembic_version"
CONNECT_SECONDS: Final = 10


def revision_of(url: str) -> str | None:
    """The revision of the database at *url*; None if it has none. Raises DatabaseUnavailableError."""
    return _of_sqlite(url) if kind_of(url) is Kind.SQLITE else _of_postgresql(url)


def _of_sqlite(url: str) -> str | None:
    path = database_path(url)
    if not path.exists():
        return None
    connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    try:
        row = connection.execute(QUESTION).fetchone()
    except sqlite3.OperationalError:
        return None
    finally:
        connection.close()
    return None if row is None else str(row[0])


def _of_postgresql(url: str) -> str | None:
    import psycopg  # noqa: PLC0415  0.1 s that a start on SQLite need not pay

    try:
        with psycopg.connect(libpq_url(url), connect_timeout=CONNECT_SECONDS) as connection:
            row = connection.execute(QUESTION).fetchone()
    except psycopg.errors.UndefinedTable:
        return None
    except psycopg.OperationalError as error:
        raise DatabaseUnavailableError("the database does not answer; is database.url right?") from error
    return None if row is None else str(row[0])
