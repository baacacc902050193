"""Each import contract, broken on purpose in a copy of the tree: a contract that lets its fault pass checks nothing."""

import os
import shutil
import subprocess
import sys
from configparser import ConfigParser
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parents[2]
CONTRACTS: Final = ".importlinter"
PREFIX: Final = "importlinter:contract:"

# contract, module that gets the fault (made if it is not there), the fault
FAULTS: Final = (
    ("layers", "content/reader.py", "import entrepot.registry.pull"),
    ("layers", "catalog/tags.py", "import entrepot.content.reader"),
    ("layers", "helpers.py", ""),  # no new name at the top
    ("no-cycles", "scanning/layers/walk.py", "import entrepot.scanning.index.match"),
    ("inside-a-noun", "access/model.py", "import entrepot.access.store"),
    ("inside-runtime", "runtime/errors.py", "import entrepot.runtime.unit_of_work"),
    ("web-faces", "web/api/__init__.py", "import entrepot.web.v2"),
    ("ecosystems", "scanning/ecosystems/apk/extract.py", "import entrepot.scanning.ecosystems.dpkg.extract"),
    ("frameworks", "audit/recorder.py", "import starlette.requests"),
    ("plain-asgi", "web/v2/__init__.py", "import fastapi"),
    ("pull-path", "access/model.py", "import sqlalchemy"),  # reached by way of the model
    ("web-without-workers", "web/app.py", "import entrepot.scanning.layers.walk"),
    ("web-without-sql", "web/app.py", "import entrepot.catalog.tables"),
    ("tables", "registry/pull.py", "import entrepot.catalog.tables"),
    ("settings", "registry/pull.py", "import entrepot.content.settings"),
    ("store-of-access", "registry/pull.py", "import entrepot.access.store"),
    ("store-of-audit", "registry/pull.py", "import entrepot.audit.store"),
    ("store-of-content", "registry/pull.py", "import entrepot.content.store"),
    ("pure-oci", "oci/digest.py", "import asyncio"),
)


def contracts() -> set[str]:
    """The names of the contracts in the file."""
    parser = ConfigParser()
    parser.read(ROOT / CONTRACTS)
    return {name.removeprefix(PREFIX) for name in parser.sections() if name.startswith(PREFIX)}


def lint(tree: Path, contract: str | None = None) -> subprocess.CompletedProcess[str]:
    """What import-linter says of the copy in *tree*, of one contract or of all."""
    options = ["--no-logo", "--no-cache", *(["--contract", contract] if contract else [])]
    return subprocess.run(
        [Path(sys.executable).parent / "lint-imports", *options],
        cwd=tree,
        env={**os.environ, "PYTHONPATH": str(tree / "src")},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    shutil.copytree(ROOT / "src", tmp_path / "src", ignore=shutil.ignore_patterns("__pycache__", "*.zst"))
    shutil.copy(ROOT / CONTRACTS, tmp_path)
    return tmp_path


def test_the_tree_keeps_every_contract(tree: Path) -> None:
    answer = lint(tree)

    assert answer.returncode == 0, answer.stdout + answer.stderr


@pytest.mark.parametrize(("contract", "module", "fault"), FAULTS)
def test_a_planted_fault_breaks_its_contract(tree: Path, contract: str, module: str, fault: str) -> None:
    with (tree / "src/entrepot" / module).open("a") as file:
        file.write(f"\n{fault}\n")

    answer = lint(tree, contract)

    assert answer.returncode == 1
    assert "BROKEN" in answer.stdout, answer.stdout + answer.stderr


def test_every_contract_has_its_planted_fault() -> None:
    assert contracts() == {contract for contract, _, _ in FAULTS}
