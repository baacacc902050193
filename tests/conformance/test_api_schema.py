"""schemathesis against the OpenAPI document: what it says is what the server does, and nothing brings a 5xx.

A bounded run, with a fixed seed. The full one: `ENTREPOT_SCHEMATHESIS_EXAMPLES=300`, with as long as it takes.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.real.protocol import Registry
from tests.real.server import Server, new_server, running

EXAMPLES: Final = int(os.environ.get("ENTREPOT_SCHEMATHESIS_EXAMPLES", "6"))
SECONDS: Final = 20 * EXAMPLES
SEED: Final = 5
# These end the very login the run asks with; the matrix and the tests of access ask them.
OURSELVES: Final = "/accounts/|/auth/"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server of its own, with a bit of everything: the run deletes what it finds."""
    with running(new_server(tmp_path_factory.mktemp("schema"))) as server:
        server.create_project("shop")
        pushing = Registry(server.host).as_(server.create_robot("shop", "ci"))
        for tag in ("v1", "v2"):
            pushing.push_image("shop/web", tag, [tag.encode()])
        server.wait_for_scan("shop/web", "v1")
        yield server


def test_schemathesis_finds_nothing(site: Server, tmp_path: Path) -> None:
    token = site.api("POST", "/auth/tokens", {"name": "schemathesis"})["token"]
    command = [
        str(Path(sys.executable).parent / "schemathesis"),
        f"--config-file={Path(__file__).parent / 'schemathesis.toml'}",
        "run",
        f"{site.url}/api/v1/openapi.json",
        f"--header=Authorization: Bearer {token}",
        f"--max-examples={EXAMPLES}",
        f"--seed={SEED}",
        f"--exclude-path-regex={OURSELVES}",
        "--phases=coverage,fuzzing",
        "--generation-database=none",
        "--no-color",
    ]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=SECONDS, check=False)

    assert run.returncode == 0, run.stdout[-20_000:]
    assert site.api("GET", "/whoami")["account"] == "admin"
