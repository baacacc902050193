"""The requirement files: complete, hashed, tied to no index, and each direct dependency with its reason."""

import re
import tomllib
from pathlib import Path
from typing import Any, Final

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT: Final = Path(__file__).parents[2]
FILES: Final = ("runtime", "dev")
RECORD: Final = ROOT / "docs/adr/0002-runtime-dependencies.md"


def project() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


def wanted(name: str) -> list[Requirement]:
    """What pyproject.toml asks for in the requirement file *name*."""
    document = project()
    groups = document["dependency-groups"]
    lines = [*document["project"]["dependencies"], *groups["build"]]
    if name == "dev":
        lines += [line for line in groups["dev"] if isinstance(line, str)]
    return [Requirement(line) for line in lines]


def pinned(name: str) -> dict[str, str]:
    """Name → version in the requirement file *name*."""
    text = (ROOT / f"requirements/{name}.txt").read_text()
    return {canonicalize_name(found[1]): found[2] for found in re.finditer(r"^([\w.-]+)==([^ ]+)", text, re.MULTILINE)}


@pytest.mark.parametrize("name", FILES)
def test_each_requirement_of_the_project_is_pinned_as_it_asks(name: str) -> None:
    versions = pinned(name)

    assert [
        str(each)
        for each in wanted(name)
        if not each.specifier.contains(versions.get(canonicalize_name(each.name), "0"), prereleases=True)
    ] == []


@pytest.mark.parametrize("name", FILES)
def test_each_pin_has_a_hash_and_no_file_names_a_host(name: str) -> None:
    text = (ROOT / f"requirements/{name}.txt").read_text()
    blocks = re.split(r"^(?=[\w.-]+==)", text, flags=re.MULTILINE)[1:]

    assert "://" not in text
    assert [block for block in blocks if "--hash=sha256:" not in block] == []


def test_development_runs_the_versions_that_users_get() -> None:
    users, developers = pinned("runtime"), pinned("dev")

    assert users.items() - developers.items() == set()


def test_each_direct_dependency_has_its_need_library_and_exit() -> None:
    rows = set(re.findall(r"^\| [^|]+ \| ([\w-]+) \| [^|]+ \|$", RECORD.read_text(), re.MULTILINE))

    assert {Requirement(line).name for line in project()["project"]["dependencies"]} == rows - {"Library"}
