"""The databases that contracts hold on."""

from pathlib import Path

import pytest

from tests.real.postgres import Postgres
from tests.real.sqlite import new_database


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database of each kind, with every table."""
    if request.param == "postgresql":
        postgres: Postgres = request.getfixturevalue("postgres")
        return postgres.url
    return new_database(tmp_path / "contract.db")
