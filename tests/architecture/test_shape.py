"""The shape of the source tree, as far as a search can see it; what imports may do is in `.importlinter`."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parents[2]
SOURCE: Final = ROOT / "src" / "entrepot"

WORDS: Final = {
    # not → say
    "accessory": "referrer",
    "accessories": "referrers",
    "fat manifest": "index",
    "manifest list": "index",
    "whitelist": "exception",
    "blacklist": "policy",
    "master": "home",
    "analyzer": "engine or ecosystem",
    "waiver": "exception",
    "chain id": "diff_id",
    "sub-image": "child",
}
DOCKER_NAMES_IT: Final = "manifest.list"  # the media type of schema 2 is spelled so

# What one file may do, and no other: expression, files below src/entrepot with the reason.
ONLY_HERE: Final[tuple[tuple[str, dict[str, str]], ...]] = (
    (r"datetime\.now\(|\.utcnow\(|\btime\.time\(|date\.today\(", {"clock.py": "time is injected"}),
    (r"(?<!class )\bScoped\(", {"access/authorize.py": "a handle means that somebody was asked"}),
    (
        r"os\.environ|os\.getenv|\benviron\b",
        {
            "settings.py": "the server's settings",
            "cli/user.py": "the client's address, credential and files",
            "cli/demo/clients.py": "what the demo hands to skopeo and podman",
            "cli/demo/server.py": "what the demo hands to its server",
        },
    ),
    (
        (
            r"^\s*(?:import|from) (?:sqlite3|aiosqlite|psycopg|sqlalchemy\.dialects)\b|\.dialect\b"
            r"|\b(?:sqlite|postgresql)_\w+=|[\"'](?:sqlite|postgresql)(?:[\"']|\+|://)"
        ),
        {"runtime/": "one SQL", "settings.py": "where the database lies if nobody says"},
    ),
    (r"^\s*(?:import|from) (?:unittest\.mock|pickle)\b", {}),
)


def sources() -> Iterator[tuple[str, str]]:
    """Each Python file of the package: path below `src/entrepot`, text."""
    for path in sorted(SOURCE.rglob("*.py")):
        yield path.relative_to(SOURCE).as_posix(), path.read_text()


def texts() -> Iterator[tuple[str, str]]:
    """Each file that people wrote: path below the repository, text. Advisory records and hashes are not."""
    written = {".py", ".md", ".toml", ".cfg", ".txt", ".svg", ".html", ".json", ".yaml", ".yml", ".in"}
    for top in ("src", "tests", "docs", "changes", "dev", "deploy", ".ci"):
        for path in sorted((ROOT / top).rglob("*")):
            if path.is_file() and (path.suffix in written or top == ".ci") and "data" not in path.parts:
                yield path.relative_to(ROOT).as_posix(), path.read_text()
    for path in sorted(ROOT.iterdir()):
        if path.is_file() and (path.suffix in written or path.name in {"justfile", ".importlinter"}):
            yield path.name, path.read_text()


def found(pattern: str, files: Iterator[tuple[str, str]]) -> list[str]:
    """`path:line: text` of each line that *pattern* (case ignored) is found in."""
    expression = re.compile(pattern, re.IGNORECASE)
    return [
        f"{name}:{number}: {line.strip()}"
        for name, text in files
        for number, line in enumerate(text.splitlines(), 1)
        if expression.search(line)
    ]


def test_every_init_is_empty() -> None:
    assert [name for name, text in sources() if name.endswith("__init__.py") and text.strip()] == []


def test_no_folder_waits_for_code() -> None:
    """No empty places for later."""
    folders = {path.parent for path in SOURCE.rglob("__init__.py")}

    assert [
        folder.relative_to(SOURCE).as_posix()
        for folder in sorted(folders)
        if not any(path.name != "__init__.py" for path in folder.rglob("*.py"))
    ] == []


def test_no_module_is_named_after_nothing() -> None:
    empty = {"utils", "util", "helpers", "helper", "common", "misc", "manager", "base", "core"}

    assert [name for name, _ in sources() if empty & set(name.removesuffix(".py").split("/"))] == []


@pytest.mark.parametrize(("pattern", "places"), ONLY_HERE, ids=["time", "handles", "environment", "dialects", "never"])
def test_it_is_done_in_its_place_only(pattern: str, places: dict[str, str]) -> None:
    elsewhere = (each for each in sources() if not each[0].startswith(tuple(places)))

    assert found(pattern, elsewhere) == []


@pytest.mark.parametrize("place", [place for _, places in ONLY_HERE for place in places])
def test_a_place_of_its_own_is_used(place: str) -> None:
    pattern = next(pattern for pattern, places in ONLY_HERE if place in places)

    assert found(pattern, (each for each in sources() if each[0].startswith(place))) != []


@pytest.mark.parametrize("word", WORDS)
def test_one_word_per_thing(word: str) -> None:
    others = (each for each in texts() if each[0] not in {"ARCHITECTURE.md", "tests/architecture/test_shape.py"})

    assert [line for line in found(rf"\b{word}\b", others) if DOCKER_NAMES_IT not in line] == []


def test_no_file_names_a_path_of_a_machine_or_a_package_index() -> None:
    machine = r"(?<![\w.}])/(?:work|farm|root|home)/"
    index = r"pypi\." + "org|python" + "hosted"

    assert found(f"{machine}|{index}", texts()) == []
