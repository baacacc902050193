"""The console blocks of README.md and of the how-to pages, run as they stand, against a real server."""

import re
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from entrepot.cli.demo.build import write_layout
from entrepot.cli.demo.images import shop_web
from tests.real.clients import Client, Skopeo
from tests.real.programs import require_program
from tests.real.server import new_server

ROOT: Final = Path(__file__).parents[2]
FEEDS: Final = ("debian-12-minbase.jsonl.zst", "pypi-ghsa-wheels.jsonl.zst", "pypi-pysec-wheels.jsonl.zst")
GUIDES: Final = ("quickstart", "robots", "modes", "feeds", "partial")
"""In this order: each page goes on where the quick start ends."""

ADDRESS: Final = "127.0.0.1:5000"
SERVE: Final = "entrepot serve --data data &"
INSTALL: Final = "$ python3 -m venv"  # .ci/run runs these two, in fresh clones
END: Final = re.compile(r"^@@ (\d+) (\d+)$", re.MULTILINE)
EXPECTED: Final = re.compile(r"# exit code (\d+)$")


@dataclass(frozen=True, slots=True)
class Step:
    """A command of a page and its exit status, -1 if it did not come to that."""

    command: str
    status: int

    @property
    def as_written(self) -> bool:
        """Whether it ended as the page says: with 0 where it says nothing."""
        said = EXPECTED.search(self.command)
        return self.status == int(said[1] if said else 0)


def commands(page: Path) -> list[str]:
    """The commands of the console blocks of *page*."""
    blocks = re.findall(r"^```console\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines() if not line.startswith(INSTALL)]
    assert [line for line in lines if not line.startswith("$ ")] == []
    return [line.removeprefix("$ ") for line in lines]


@pytest.fixture
def shell(skopeo: Skopeo) -> Client:
    """A shell in a folder that looks like a checkout, with an image and feeds beside; skopeo has state of its own."""
    require_program("curl")
    folder = skopeo.home
    (folder / ".venv").symlink_to(sys.prefix)
    (folder / "src").symlink_to(ROOT / "src")
    (folder / "feeds").mkdir()
    for name in FEEDS:
        shutil.copy(ROOT / "tests/data/feeds" / name, folder / "feeds")
    vulnerable, _ = shop_web()
    write_layout(folder / "layout", {"1.0": vulnerable})
    skopeo.copy("oci:layout:1.0", "docker-archive:web.tar")
    return Client((require_program("bash"),), folder, skopeo.auth)


def run(shell: Client, lines: list[str], port: int) -> tuple[list[Step], str]:
    """What became of *lines*, run one after the other by *shell*; and all that was printed."""
    address = f"127.0.0.1:{port}"
    marked = [f"{line}\necho '@@' {number} $?" for number, line in enumerate(lines)]
    script = "\n".join(["exec 2>&1", "export ENTREPOT_SERVER__DRAIN=0s", "trap 'kill %1; wait' EXIT", *marked])
    script = script.replace(SERVE, f"entrepot serve --data data --listen {address} 2> server.log &")
    (shell.home / "script").write_text(script.replace(ADDRESS, address))
    printed = shell.run("script", check=False).stdout
    done = {int(number): int(status) for number, status in END.findall(printed)}
    return [Step(line, done.get(number, -1)) for number, line in enumerate(lines)], printed


def test_the_quick_start_of_the_readme_runs_as_written(shell: Client, tmp_path: Path) -> None:
    steps, printed = run(shell, commands(ROOT / "README.md"), new_server(tmp_path / "port").port)

    assert [step for step in steps if not step.as_written] == [], printed
    assert "CVE-2023-28531" in printed


def test_the_guides_run_as_written_one_after_the_other(shell: Client, tmp_path: Path) -> None:
    lines = [line for name in GUIDES for line in commands(ROOT / f"docs/how-to/{name}.md")]
    steps, printed = run(shell, lines, new_server(tmp_path / "port").port)

    assert [step for step in steps if not step.as_written] == [], printed
    assert re.search(r'denied: blocked by policy \\?"baseline\\?" \(rule critical\): CVE-2023-28531', printed), printed
