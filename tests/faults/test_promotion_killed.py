"""kill -9 at each statement of a promotion, and at its commit: all of it is there, or nothing is."""

import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Final

from tests.conformance.conftest import personal_token
from tests.real.protocol import Registry
from tests.real.server import Server
from tests.real.small_image import push_image, tar

EACH: Final = os.environ.get("ENTREPOT_TEST_KILL_EACH") == "1"
FEW: Final = 10
TABLES: Final = (
    "promotion",
    "promotion_item",
    "repo",
    "repo_blob",
    "manifest",
    "ref_blob",
    "tag",
    "tag_history",
    "verdict",
    "gate",
    "gc_review",
    "audit_event",
    "job",
)


def promote(file: Path, at: int) -> subprocess.CompletedProcess[str]:
    program = (sys.executable, "-m", "tests.faults.promoting", str(file), "shop/web", "1.0", str(at))
    return subprocess.run(program, capture_output=True, text=True, timeout=60, check=False)


def rows(file: Path) -> dict[str, int]:
    connection = sqlite3.connect(file)
    try:
        return {table: connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in TABLES}  # noqa: S608  of ours
    finally:
        connection.close()


def test_a_promotion_killed_at_any_statement_left_nothing_and_the_next_one_all(server: Server) -> None:
    pipeline = {
        "stages": [{"name": "development"}, {"name": "production", "target": "prod/{repository}"}],
        "moves": [{"from": "development", "to": "production", "approvals": 0}],
    }
    server.create_project("shop")
    server.api("PUT", "/projects/shop/pipeline", pipeline)
    digest = push_image(Registry(server.host).as_(personal_token(server)), "shop/web", "1.0", tar("promoted"))
    server.wait_for_scan("shop/web", "1.0")
    assert server.stop() == 0
    (file,) = server.data.glob("*.db")
    before = rows(file)

    killed, statement = 0, 1
    while (ended := promote(file, statement)).returncode == -signal.SIGKILL:
        assert rows(file) == before, statement
        killed += 1
        statement += 1 if EACH else 7
    after = rows(file)
    statements = int(ended.stdout)
    print(f"{killed} kills at statements of a promotion of {statements}")

    assert ended.returncode == 0, ended.stderr
    assert killed >= min(FEW, statements // 7)
    assert {
        table: after[table] - before[table] for table in ("promotion", "manifest", "tag", "tag_history", "gate")
    } == {
        "promotion": 1,
        "manifest": 1,
        "tag": 1,
        "tag_history": 1,
        "gate": 1,
    }
    server.start()
    seen = Registry(server.host).as_(personal_token(server)).ask("HEAD", "/v2/shop/prod/web/manifests/1.0")
    assert seen.header("Docker-Content-Digest") == digest
