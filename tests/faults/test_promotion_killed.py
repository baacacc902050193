"""kill -9 at each statement of a promotion, and at its commit, on both databases: all is there, or nothing is."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest
from sqlalchemy import Engine, create_engine, func, select, table
from sqlalchemy.engine import make_url
from sqlalchemy.pool import NullPool

from entrepot.catalog.tables import repo, tag
from entrepot.runtime.database_url import Kind
from entrepot.schema import SCHEMA
from tests.conformance.conftest import personal_token
from tests.real.postgres import Postgres
from tests.real.protocol import Registry
from tests.real.server import new_server, running
from tests.real.small_image import push_image, tar

EACH: Final = os.environ.get("ENTREPOT_TEST_KILL_EACH") == "1"
STEP: Final = 10
"""Every statement of so many is died at, unless it is each."""

FEW: Final = 4
PROMOTED: Final = ("promotion", "manifest", "tag", "tag_history", "gate")
TABLES: Final = (*PROMOTED, "promotion_item", "repo", "repo_blob", "ref_blob", "verdict", "gc_review", "audit_event")


def promote(url: str, at: int) -> subprocess.CompletedProcess[str]:
    program = (sys.executable, "-m", "tests.faults.promoting", url, "shop/web", "1.0", str(at))
    return subprocess.run(program, capture_output=True, text=True, timeout=60, check=False)


def rows(engine: Engine) -> dict[str, int]:
    jobs = "job" if engine.dialect.name == Kind.SQLITE else "procrastinate_jobs"
    with engine.connect() as connection:
        counted = {name: select(func.count()).select_from(SCHEMA.tables[name]) for name in TABLES}
        counted["jobs"] = select(func.count()).select_from(table(jobs))
        return {name: int(connection.execute(question).scalar_one()) for name, question in counted.items()}


def named(engine: Engine) -> str:
    """What the promoted tag names."""
    question = select(tag.c.digest).join(repo, repo.c.id == tag.c.repo_id).where(repo.c.name == "shop/prod/web")
    with engine.connect() as connection:
        return str(connection.execute(question).scalar_one())


@pytest.fixture(params=Kind, ids=[kind.value for kind in Kind])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of a database of each kind, which a server makes or finds."""
    if request.param is Kind.POSTGRESQL:
        postgres: Postgres = request.getfixturevalue("postgres")
        return postgres.url
    return f"sqlite:///{tmp_path / 'promoted.db'}"


def test_a_promotion_killed_at_any_statement_left_nothing_and_the_next_one_all(url: str, tmp_path: Path) -> None:
    pipeline = {
        "stages": [{"name": "development"}, {"name": "production", "target": "prod/{repository}"}],
        "moves": [{"from": "development", "to": "production", "approvals": 0}],
    }
    address = make_url(url)
    address = address if address.drivername == Kind.SQLITE else address.set(drivername="postgresql+psycopg")
    engine = create_engine(address, poolclass=NullPool)
    with running(new_server(tmp_path / "server", ENTREPOT_DATABASE__URL=url)) as server:
        server.create_project("shop")
        server.api("PUT", "/projects/shop/pipeline", pipeline)
        digest = push_image(Registry(server.host).as_(personal_token(server)), "shop/web", "1.0", tar("promoted"))
        server.wait_for_scan("shop/web", "1.0")
        assert server.stop() == 0
        before = rows(engine)

        killed, statement = 0, 1
        while (ended := promote(url, statement)).returncode == -signal.SIGKILL:
            if rows(engine) != before:
                break  # it died behind its commit
            killed += 1
            statement += 1 if EACH else STEP
        after = rows(engine)
        print(f"{engine.dialect.name}: {killed} kills at statements of a promotion left nothing")

        assert ended.returncode in {0, -signal.SIGKILL}, ended.stderr
        assert killed >= FEW
        assert {name: after[name] - before[name] for name in PROMOTED} == dict.fromkeys(PROMOTED, 1)
        assert named(engine) == digest
