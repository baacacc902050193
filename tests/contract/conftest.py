"""The databases that contracts hold on."""

from pathlib import Path

import pytest
from sqlalchemy import create_engine

from entrepot.schema import SCHEMA
from tests.real.postgres import Postgres


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database of each kind, with every table."""
    if request.param == "postgresql":
        postgres: Postgres = request.getfixturevalue("postgres")
        return postgres.url
    address = f"sqlite:///{tmp_path / 'contract.db'}"
    engine = create_engine(address)
    SCHEMA.create_all(engine)
    engine.dispose()
    return address
