"""The benchmark is one command: it starts the three servers, measures, and writes what it saw."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.real.programs import missing

ROOT = Path(__file__).parents[2]
ROWS = ("manifest-get-tag", "blob-put-1MiB", "pull-1", "tags-1000")
SECONDS = 90


@pytest.mark.xdist_group("benchmarks")
def test_one_command_compares_the_servers_and_keeps_every_figure(tmp_path: Path) -> None:
    for program in ("docker-registry", "nginx"):
        if shutil.which(program, path="/usr/sbin:/usr/bin:/sbin:/bin") is None:
            missing(f"the program {program} (.ci/run names the Debian packages)")
    figures, page = tmp_path / "figures.json", tmp_path / "page.md"
    options = ["--quick", "--rounds", "1", "--folder", str(tmp_path), "--only", ",".join(ROWS)]
    command = [sys.executable, "-m", "benchmarks.registry", *options, "--json", str(figures), "--markdown", str(page)]

    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=SECONDS, check=False)

    assert done.returncode == 0, done.stderr
    found = json.loads(figures.read_text())
    rows = {row["key"]: row for row in found["rows"]}
    assert list(rows) == list(ROWS)
    assert [row["void"] for row in rows.values()] == [[]] * len(ROWS), done.stderr
    for key, row in rows.items():
        takes_part = {"entrepot", "docker-registry"} | ({"nginx"} if key.startswith("manifest") else set())
        assert set(row["servers"]) == takes_part
        assert all(len(rounds) == 1 and rounds[0]["value"] > 0 for rounds in row["servers"].values())
        assert set(row["times_as_good"]) == takes_part - {"entrepot"}
        ours = row["servers"]["entrepot"][0]
        assert {"web", "worker"} <= set(ours["peak_bytes"])
        assert ours["client_cpu_seconds"] > 0
    assert rows["manifest-get-tag"]["servers"]["entrepot"][0]["cpu_seconds"]["web"] > 0
    assert {"cpu", "kernel", "file system", "fsync of 4 KiB"} <= set(found["facts"])
    assert "manifest GET by tag" in done.stdout
    assert "| Workload | Unit | `entrepot` |" in page.read_text()
    print(done.stdout)


def test_a_row_that_does_not_exist_is_refused() -> None:
    command = [sys.executable, "-m", "benchmarks.registry", "--only", "manifest-get-tag,nonsense"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=SECONDS, check=False)

    assert done.returncode == 2
    assert "no such row: nonsense" in done.stderr
