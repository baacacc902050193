"""The console blocks of README.md, the tutorial and the how-to pages, run as they stand, against a real server."""

import re
import shutil
import sys
from collections.abc import Iterable
from dataclasses import dataclass, replace
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
GUIDES: Final = ("quickstart", "robots", "modes", "feeds", "partial", "people", "stages", "trash")
"""In this order: each page goes on where one before it ends."""

NOT_RUN: Final = {
    "monitoring": "has no commands but questions; tests/architecture/test_monitoring.py runs its rules",
    "scale-out": "wants a cluster and a bucket; tests/integration/test_replicas.py starts such servers",
}
"""How-to pages without console blocks, and why."""

ADDRESS: Final = "127.0.0.1:5000"
SERVE: Final = "entrepot serve --data data &"
INSTALL: Final = "$ python3 -m venv"  # .ci/run runs these two, in fresh clones
BLOCK: Final = re.compile(r"^```(console|text)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
END: Final = re.compile(r"^@@ (\d+) (\d+)\n", re.MULTILINE)
EXPECTED: Final = re.compile(r"# exit code (\d+)$")


@dataclass(frozen=True, slots=True)
class Passage:
    """A console block: its commands, and lines that the block of text below it says they print, in this order."""

    commands: tuple[str, ...]
    shown: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Step:
    """A command of a page, what it printed, and its exit status, -1 if it did not come to that."""

    command: str
    printed: str
    status: int

    @property
    def as_written(self) -> bool:
        """Whether it ended as the page says: with 0 where it says nothing."""
        said = EXPECTED.search(self.command)
        return self.status == int(said[1] if said else 0)


def passages(page: Path) -> list[Passage]:
    """The console blocks of *page*, but for the commands of README.md that install."""
    found: list[Passage] = []
    for kind, block in BLOCK.findall(page.read_text()):
        if kind == "text":
            found[-1] = replace(found[-1], shown=tuple(block.splitlines()))
            continue
        lines = [line for line in block.splitlines() if not line.startswith(INSTALL)]
        assert [line for line in lines if not line.startswith("$ ")] == []
        found.append(Passage(tuple(line.removeprefix("$ ") for line in lines)))
    return found


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


def run(shell: Client, page: list[Passage], port: int) -> tuple[list[str], str]:
    """What is otherwise than *page* says if a shell runs its commands, and all that was printed."""
    address = f"127.0.0.1:{port}"
    lines = [line for passage in page for line in passage.commands]
    marked = [f"{line}\necho '@@' {number} $?" for number, line in enumerate(lines)]
    script = "\n".join(["exec 2>&1", "export ENTREPOT_SERVER__DRAIN=0s", "trap 'kill %1; wait' EXIT", *marked])
    script = script.replace(SERVE, f"entrepot serve --data data --listen {address} 2> server.log &")
    (shell.home / "script").write_text(script.replace(ADDRESS, address))
    printed = shell.run("script", check=False).stdout.replace(address, ADDRESS)
    texts, statuses = END.split(printed)[::3], {int(number): int(status) for number, status in END.findall(printed)}
    steps = [Step(line, texts[n] if n in statuses else "", statuses.get(n, -1)) for n, line in enumerate(lines)]
    wrong = [f"{step.status}: {step.command}" for step in steps if not step.as_written]
    for passage in page:
        of_passage, steps = steps[: len(passage.commands)], steps[len(passage.commands) :]
        wrong += not_shown(passage.shown, "".join(step.printed for step in of_passage))
    return wrong, printed


def not_shown(lines: Iterable[str], printed: str) -> list[str]:
    """Those of *lines* that are not in *printed*, in order: `…` stands for anything, blanks for blanks."""
    rest = iter([" ".join(line.split()) for line in printed.splitlines()])
    patterns = {line: ".*".join(re.escape(" ".join(part.split())) for part in line.split("…")) for line in lines}
    return [line for line, pattern in patterns.items() if not any(re.fullmatch(pattern, each) for each in rest)]


def test_a_line_that_is_not_printed_is_told() -> None:
    printed = "NAME   SIZE\nweb    1 MiB\n"

    assert not_shown(["NAME … SIZE", "web … MiB"], printed) == []
    assert not_shown(["web … MiB", "NAME … SIZE"], printed) == ["NAME … SIZE"]
    assert not_shown(["web"], printed) == ["web"]


def test_every_how_to_page_is_run_or_says_why_not() -> None:
    pages = {page.stem: passages(page) for page in (ROOT / "docs/how-to").glob("*.md")}

    assert set(pages) == {*GUIDES, *NOT_RUN}
    assert [name for name, found in pages.items() if bool(found) != (name in GUIDES)] == []


def test_the_quick_start_of_the_readme_runs_as_written(shell: Client, tmp_path: Path) -> None:
    wrong, printed = run(shell, passages(ROOT / "README.md"), new_server(tmp_path / "port").port)

    assert wrong == [], printed
    assert "CVE-2023-28531" in printed


def test_the_tutorial_runs_as_written(shell: Client, tmp_path: Path) -> None:
    wrong, printed = run(shell, passages(ROOT / "docs/tutorial/first-release.md"), new_server(tmp_path / "port").port)

    assert wrong == [], printed
    assert sorted(path.name for path in shell.home.glob("*.secret")) == []


def test_the_guides_run_as_written_one_after_the_other(shell: Client, tmp_path: Path) -> None:
    every = [passage for name in GUIDES for passage in passages(ROOT / f"docs/how-to/{name}.md")]
    wrong, printed = run(shell, every, new_server(tmp_path / "port").port)

    assert wrong == [], printed
    assert re.search(r'denied: blocked by policy \\?"baseline\\?" \(rule critical\): CVE-2023-28531', printed), printed
