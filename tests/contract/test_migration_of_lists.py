"""Revision 0008, on both databases: what lists are read by is given to rows that were there before."""

from collections.abc import Iterator
from importlib.resources import as_file, files
from pathlib import Path
from typing import Final

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import Engine, select, text

from entrepot.catalog.tables import repo_blob, tag
from entrepot.runtime.migrations.run import PACKAGE, migrate, migration_engine
from entrepot.runtime.natural import natural_key
from tests.real.postgres import Postgres

BEFORE: Final = "0007"
NAMES: Final = ("v1.10", "v1.9", "latest", "007")
ROWS: Final = (
    "INSERT INTO project (id, uid, name, created_at) VALUES (1, 'p', 'shop', 0)",
    "INSERT INTO repo (id, uid, project_id, name, created_at) VALUES (1, 'r', 1, 'shop/web', 0)",
    "INSERT INTO blob (digest, size) VALUES ('sha256:a', 70), ('sha256:b', 5000000000)",
    "INSERT INTO repo_blob (repo_id, digest, linked_at) VALUES (1, 'sha256:b', 0)",
    (
        "INSERT INTO manifest (repo_id, digest, media_type, artifact_type, kind, size, bytes, pushed_by, pushed_at) "
        "VALUES (1, 'sha256:a', '', '', 'image', 70, '{}', 'admin', 0)"
    ),
    "INSERT INTO ref_blob (repo_id, parent, position, digest, kind) VALUES (1, 'sha256:a', 0, 'sha256:b', 'layer')",
)


@pytest.fixture(params=["sqlite", "postgresql"])
def older(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[str, Engine]]:
    """Address and engine of a database of the revision before, with an image that has four tags."""
    url = f"sqlite:///{tmp_path / 'entrepot.db'}"
    if request.param == "postgresql":
        postgres: Postgres = request.getfixturevalue("postgres")
        url = postgres.fresh(migrated=False)
    engine = migration_engine(url)
    with as_file(files(PACKAGE)) as folder, engine.connect() as connection:
        config = Config()
        config.set_main_option("script_location", str(folder))
        config.attributes["connection"] = connection
        command.upgrade(config, BEFORE)
        for row in ROWS:
            connection.execute(text(row))
        insert = text("INSERT INTO tag (repo_id, name, digest, rev, moved_at) VALUES (1, :name, 'sha256:a', 1, 0)")
        connection.execute(insert, [{"name": name} for name in NAMES])
        connection.commit()
    yield url, engine
    engine.dispose()


def test_tags_get_their_natural_place_and_links_their_size(older: tuple[str, Engine]) -> None:
    url, engine = older

    migrate(url)

    with engine.connect() as connection:
        ordered = connection.execute(select(tag.c.name, tag.c.natural_key).order_by(tag.c.natural_key)).all()
        sizes = connection.execute(select(repo_blob.c.digest, repo_blob.c.size)).all()
    assert [tuple(row) for row in ordered] == [(name, natural_key(name)) for name in ("007", "latest", "v1.9", "v1.10")]
    assert [tuple(row) for row in sizes] == [("sha256:b", 5_000_000_000)]
