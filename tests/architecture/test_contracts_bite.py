"""Each import contract, broken on purpose in a copy of the tree: a contract that lets its fault pass checks nothing."""

import os
import shutil
import subprocess
import sys
from configparser import ConfigParser
from fnmatch import fnmatch
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parents[2]
CONTRACTS: Final = ".importlinter"
PREFIX: Final = "importlinter:contract:"

# contract, module that gets the fault (made if it is not there), the fault
FAULTS: Final = (
    ("layers", "content/reader.py", "import entrepot.registry.pull"),
    ("layers", "content/copies.py", "import entrepot.catalog.blobs"),
    ("layers", "oci/digest.py", "import entrepot.runtime.hot"),
    ("layers", "web/services.py", "import entrepot.settings"),
    ("layers", "helpers.py", ""),  # no new name at the top
    ("no-cycles", "scanning/feeds/lines.py", "import entrepot.scanning.feeds.read"),
    ("inside-a-noun", "access/model.py", "import entrepot.access.store"),
    ("inside-a-noun", "catalog/queries.py", "import entrepot.catalog.tags"),
    ("inside-a-noun", "policy/extras.py", ""),  # no new name in a noun that nobody put in its place
    ("inside-runtime", "runtime/errors.py", "import entrepot.runtime.unit_of_work"),
    ("inside-runtime", "runtime/lifeline.py", "import entrepot.runtime.supervisor"),
    ("inside-runtime", "runtime/extras.py", ""),
    ("web-faces", "web/api/context.py", "import entrepot.web.v2.errors"),
    ("ecosystems", "scanning/ecosystems/apk/extract.py", "import entrepot.scanning.ecosystems.dpkg.extract"),
    ("frameworks", "audit/recorder.py", "import starlette.requests"),
    ("plain-asgi", "web/v2/blobs.py", "import fastapi"),
    ("plain-asgi", "web/request.py", "import pydantic"),
    ("pull-path", "access/model.py", "import sqlalchemy"),  # reached by way of the model
    ("web-without-workers", "web/app.py", "import entrepot.scanning.layers.walk"),
    ("web-without-workers", "scanning/codec.py", "import entrepot.scanning.index.match"),
    ("web-without-sql", "web/app.py", "import entrepot.catalog.tables"),
    ("tasks", "policy/verdicts.py", "import entrepot.policy.tasks"),
    ("settings", "registry/pull.py", "import entrepot.content.settings"),
    ("pure-oci", "oci/digest.py", "import asyncio"),
    ("tables-of-runtime", "registry/pull.py", "import entrepot.runtime.tables"),
    ("tables-of-access", "catalog/projects.py", "import entrepot.access.tables"),
    ("tables-of-content", "registry/uploads.py", "import entrepot.content.tables"),
    ("tables-of-catalog", "registry/pull.py", "import entrepot.catalog.tables"),
    ("tables-of-scanning", "policy/verdicts.py", "import entrepot.scanning.tables"),
    ("tables-of-policy", "registry/visibility.py", "import entrepot.policy.tables"),
    ("tables-of-lifecycle", "web/ops.py", "import entrepot.lifecycle.tables"),
    ("tables-of-audit", "web/ops.py", "import entrepot.audit.tables"),
    ("hot-sql", "web/app.py", "import entrepot.registry.hot_sql"),
    ("store-of-access", "registry/pull.py", "import entrepot.access.store"),
    ("store-of-audit", "web/ops.py", "import entrepot.audit.store"),
    ("store-of-policy", "registry/pull.py", "import entrepot.policy.store"),
    ("store-of-scanning", "policy/verdicts.py", "import entrepot.scanning.feeds.store"),
)
WITHOUT_WORKERS: Final = "web-without-workers"
TAKES_FEEDS: Final = {"entrepot.scanning.feeds.receive"}  # the one of its folder that a web process runs


def contracts() -> dict[str, dict[str, str]]:
    """The contracts in the file, by name."""
    parser = ConfigParser()
    parser.read(ROOT / CONTRACTS)
    return {name.removeprefix(PREFIX): dict(parser[name]) for name in parser.sections() if name.startswith(PREFIX)}


def modules(package: Path) -> set[str]:
    """The modules of the folder *package* below src, not those of its sub-packages."""
    below = ".".join(package.relative_to(ROOT / "src").parts)
    return {f"{below}.{path.stem}" for path in package.glob("*.py") if path.stem != "__init__"}


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
    assert set(contracts()) == {contract for contract, _, _ in FAULTS}


def test_each_table_store_and_hot_statement_of_a_noun_is_protected() -> None:
    protected = {name for each in contracts().values() for name in each.get("protected_modules", "").split()}
    private = {
        ".".join(path.relative_to(ROOT / "src").with_suffix("").parts)
        for name in ("tables", "store")
        for path in (ROOT / "src").rglob(f"{name}.py")
    }

    assert private - protected == set()


def test_all_of_the_feeds_is_worker_code_but_what_takes_them() -> None:
    forbidden = set(contracts()[WITHOUT_WORKERS]["forbidden_modules"].split())

    assert modules(ROOT / "src/entrepot/scanning/feeds") - forbidden == TAKES_FEEDS


def test_a_web_process_that_loaded_everything_holds_no_worker_code() -> None:
    """What the contract says of imports, seen in a process: also what is loaded later, inside functions."""
    code = (
        "import sys, entrepot.wiring, entrepot.web.server, entrepot.web.api.app\n"
        "print(*(name for name in sys.modules if name.startswith('entrepot.') or '.' not in name))"
    )
    answer = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True)
    loaded = set(answer.stdout.split())
    forbidden = {
        name
        for entry in contracts()[WITHOUT_WORKERS]["forbidden_modules"].split()
        for name in loaded
        if fnmatch(name, entry) or name.startswith(f"{entry}.")
    }

    assert "entrepot.web.api.projects" in loaded
    assert forbidden | ({"alembic"} & loaded) == set()
