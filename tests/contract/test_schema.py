"""The schema: what the tables say and what the migrations make are the same, on the database that is used."""

import sqlite3
from collections.abc import Iterator
from importlib.resources import as_file, files
from pathlib import Path
from typing import Final

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, Table, create_engine

from entrepot.runtime.migrations.newest import NEWEST, revision_of
from entrepot.runtime.migrations.run import PACKAGE, SchemaUnknownError, current, migrate
from entrepot.schema import SCHEMA
from tests.real.sqlite import new_database, new_migrated_database

BOOKKEEPING: Final = "alembic_version"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A database that the migrations made."""
    file = tmp_path / "data" / "entrepot.db"
    file.parent.mkdir()
    new_migrated_database(file)
    return file


@pytest.fixture
def migrated(path: Path) -> Iterator[Engine]:
    engine = create_engine(f"sqlite:///{path}")
    yield engine
    engine.dispose()


@pytest.fixture
def declared(tmp_path: Path) -> Iterator[Engine]:
    """A database made from the tables alone."""
    engine = create_engine(new_database(tmp_path / "declared.db"))
    yield engine
    engine.dispose()


def shape(engine: Engine) -> dict[str, list[str]]:
    """Of each table and index its definition, as sorted lines: the order of columns and constraints has no meaning."""
    with engine.connect() as connection:
        rows = connection.exec_driver_sql("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL").all()
    plain = {name: sql.replace('"', "").replace("('')", "''") for name, sql in rows}  # two ways to write the same
    lines = {name: [line.strip(" ,\t") for line in sql.splitlines()] for name, sql in plain.items()}
    return {name: sorted(each) for name, each in lines.items() if name != BOOKKEEPING}


def leading_columns(table: Table) -> list[tuple[str, ...]]:
    """The columns of each index that *table* has, its primary key and unique constraints among them."""
    keys = [tuple(column.name for column in table.primary_key)]
    keys += [tuple(column.name for column in index.columns) for index in table.indexes]
    keys += [(column.name,) for column in table.columns if column.unique]
    return keys


def test_alembic_sees_no_difference_between_tables_and_migrations(migrated: Engine) -> None:
    with migrated.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})

        assert compare_metadata(context, SCHEMA) == []


def test_the_migrated_schema_is_the_declared_one_to_the_last_check(migrated: Engine, declared: Engine) -> None:
    """Alembic does not compare CHECK constraints, nor what a foreign key does on deletion."""
    assert shape(migrated) == shape(declared)


def test_the_newest_revision_is_the_head_of_the_script() -> None:
    config = Config()
    with as_file(files(PACKAGE)) as folder:
        config.set_main_option("script_location", str(folder))
        heads = ScriptDirectory.from_config(config).get_heads()

    assert heads == [NEWEST]


def test_a_fresh_database_gets_the_newest_revision(path: Path, migrated: Engine) -> None:
    assert (current(migrated), revision_of(f"sqlite:///{path}")) == (NEWEST, NEWEST)


def test_a_second_migration_changes_nothing_and_needs_no_backup(path: Path) -> None:
    before = path.read_bytes()

    migrate(f"sqlite:///{path}")

    assert path.read_bytes() == before
    assert [each.name for each in path.parent.iterdir() if "backup" in each.name] == []


def test_the_schema_of_a_later_version_is_refused_and_left_alone(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.commit()
    connection.close()
    before = path.read_bytes()

    with pytest.raises(SchemaUnknownError, match="9999"):
        migrate(f"sqlite:///{path}")

    assert path.read_bytes() == before


def test_a_file_that_is_not_there_or_empty_has_no_revision(tmp_path: Path) -> None:
    empty = tmp_path / "empty.db"
    sqlite3.connect(empty).close()

    assert (revision_of(f"sqlite:///{tmp_path}/none.db"), revision_of(f"sqlite:///{empty}")) == (None, None)


@pytest.mark.parametrize("name", sorted(SCHEMA.tables))
def test_every_foreign_key_has_an_index(name: str) -> None:
    """Without one, each deletion in the table referred to reads this one from end to end."""
    table = SCHEMA.tables[name]
    keys = leading_columns(table)

    assert [
        wanted
        for wanted in (tuple(each.column_keys) for each in table.foreign_key_constraints)
        if not any(set(key[: len(wanted)]) == set(wanted) for key in keys)
    ] == []
