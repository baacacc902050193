"""kill -9 at each statement of a promotion, and at its commit, on both databases: all is there, or nothing is."""

import os
import signal
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest
from sqlalchemy import Select, create_engine, inspect, literal_column, select, table
from sqlalchemy.engine import make_url
from sqlalchemy.pool import NullPool

from entrepot.runtime.database_url import Kind
from tests.conformance.conftest import personal_token
from tests.real.postgres import Postgres
from tests.real.protocol import Registry
from tests.real.server import new_server, running
from tests.real.small_image import push_image, tar

EACH: Final = os.environ.get("ENTREPOT_TEST_KILL_EACH") == "1"
STEP: Final = 1 if EACH else 20
"""Counted back from the commit: whatever was committed too early is to be seen there at the latest."""

FEW: Final = 3
BEHIND: Final = {Kind.SQLITE: 0, Kind.POSTGRESQL: 2}
"""How many statements follow the commit: where workers have to be woken, that is a transaction of its own."""

JOBS: Final = {Kind.SQLITE: "job", Kind.POSTGRESQL: "procrastinate_jobs"}
PROMOTED: Final = ("promotion", "promotion_item", "repo", "manifest", "tag", "tag_history", "verdict", "gate")
Rows = dict[str, Counter[str]]


@dataclass(frozen=True, slots=True)
class Place:
    """A database of *kind* at *url*, which a server makes or finds. copy: the address of a new copy of it."""

    kind: Kind
    url: str
    copy: Callable[[], str]


def promote(url: str, at: int) -> subprocess.CompletedProcess[str]:
    program = (sys.executable, "-m", "tests.faults.promoting", url, "shop/web", "1.0", str(at))
    return subprocess.run(program, capture_output=True, text=True, timeout=60, check=False)


def rows(url: str) -> Rows:
    """Every row of every table, those of the job queue too."""
    address = make_url(url)
    address = address if address.drivername == Kind.SQLITE else address.set(drivername="postgresql+psycopg")
    with create_engine(address, poolclass=NullPool).connect() as connection:
        found: Rows = {}
        for name in inspect(connection).get_table_names():
            question: Select[tuple[object, ...]] = select(literal_column("*")).select_from(table(name))
            found[name] = Counter(map(repr, connection.execute(question)))
        return found


def changes(before: Rows, after: Rows) -> dict[str, tuple[int, int]]:
    """Of each table that is not what it was, how many rows came and how many went; a changed one did both."""
    counted = {name: ((after[name] - before[name]).total(), (before[name] - after[name]).total()) for name in before}
    return {name: count for name, count in counted.items() if count != (0, 0)}


@pytest.fixture(params=Kind, ids=[kind.value for kind in Kind])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    if request.param is Kind.POSTGRESQL:
        postgres: Postgres = request.getfixturevalue("postgres")
        url = postgres.url
        copies = Postgres(postgres.admin, postgres.names[0])
        yield Place(Kind.POSTGRESQL, url, copies.fresh)
        copies.drop()
        return
    file = tmp_path / "promoted.db"

    def copy() -> str:
        copied = tmp_path / "copy.db"
        with closing(sqlite3.connect(file)) as source, closing(sqlite3.connect(copied)) as target:
            source.backup(target)
        return f"sqlite:///{copied}"

    yield Place(Kind.SQLITE, f"sqlite:///{file}", copy)


def test_a_promotion_killed_at_any_statement_left_nothing_and_the_next_one_all(place: Place, tmp_path: Path) -> None:
    pipeline = {
        "stages": [{"name": "development"}, {"name": "production", "target": "prod/{repository}"}],
        "moves": [{"from": "development", "to": "production", "approvals": 0}],
    }
    fewest = {"ENTREPOT_SERVER__WEB_WORKERS": "1"}
    with running(new_server(tmp_path / "server", ENTREPOT_DATABASE__URL=place.url, **fewest)) as server:
        server.create_project("shop")
        server.api("PUT", "/projects/shop/pipeline", pipeline)
        digest = push_image(Registry(server.host).as_(personal_token(server)), "shop/web", "1.0", tar("promoted"))
        server.wait_for_scan("shop/web", "1.0")
        assert server.stop() == 0
        before, undisturbed = rows(place.url), place.copy()
        ended = promote(undisturbed, 0)
        assert ended.returncode == 0, ended.stderr
        whole, statements = changes(before, rows(undisturbed)), int(ended.stdout)
        commit = statements - BEHIND[place.kind]
        until, behind = range(commit, 0, -STEP), range(commit + 1, statements + 1, STEP)

        assert len(until) >= FEW
        for at in sorted(until):
            assert promote(place.url, at).returncode == -signal.SIGKILL, at
            assert changes(before, rows(place.url)) == {}, at
        for at in behind:
            committed = place.copy()
            assert promote(committed, at).returncode == -signal.SIGKILL, at
            assert changes(before, rows(committed)) == whole, at
        print(f"{place.kind}: {len(until)} kills at a promotion's {commit} statements left nothing", end=", ")
        print(f"{len(behind)} at the {BEHIND[place.kind]} behind its commit all of {whole}")
        assert {name: whole.get(name) for name in PROMOTED} == dict.fromkeys(PROMOTED, (1, 0))
        assert whole.keys() >= {"audit_event", JOBS[place.kind]}
        assert promote(place.url, 0).returncode == 0
        assert changes(before, rows(place.url)) == whole
        server.start()
        seen = Registry(server.host).as_(personal_token(server)).ask("HEAD", "/v2/shop/prod/web/manifests/1.0")
        assert (seen.status, seen.header("Docker-Content-Digest")) == (200, digest)
