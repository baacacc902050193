"""Which schema this version wants, and which a database has: asked at each start, so without Alembic's 0.3 s."""

import sqlite3
from pathlib import Path
from typing import Final

NEWEST: Final = "0001"


def revision_of(path: Path) -> str | None:
    """The revision of the SQLite database *path*; None if it has none, or is not there."""
    if not path.exists():
        return None
    connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    try:
        row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    except sqlite3.OperationalError:
        return None
    finally:
        connection.close()
    return None if row is None else str(row[0])
