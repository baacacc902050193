"""The files that pages bring along are those that were looked at, and small."""

import hashlib
import json
from pathlib import Path

from entrepot.web.pages import assets

OURS = "ours"
MOST_LINES_OF_OUR_SCRIPTS = 200
MOST_BYTES = 1024 * 1024


def manifest() -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = json.loads((assets.FOLDER / "manifest.json").read_text())
    return found


def test_each_file_has_the_hash_that_the_manifest_says() -> None:
    files = {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder() if path.suffix in assets.TYPES
    }

    assert files == {name: each["sha256"] for name, each in manifest().items()}


def test_the_license_of_each_file_of_others_is_there() -> None:
    notice = (assets.FOLDER / "NOTICE").read_text()

    assert [name for name, each in manifest().items() if each["source"] != OURS and f"{name}: " not in notice] == []


def test_our_scripts_are_short_and_all_is_small() -> None:
    ours = [name for name, each in manifest().items() if each["source"] == OURS and name.endswith(".js")]
    lines = sum(len((assets.FOLDER / name).read_text().splitlines()) for name in ours)

    assert 0 < lines <= MOST_LINES_OF_OUR_SCRIPTS
    assert sum(path.stat().st_size for path in folder()) <= MOST_BYTES


def test_a_file_has_another_address_when_it_has_other_bytes() -> None:
    found = assets.Assets.read()

    assert found.address("theme.js").startswith("/static/theme.js?v=")
    assert len({each.version for each in found.files.values()}) == len(found.files)


def folder() -> list[Path]:
    return sorted(assets.FOLDER.iterdir())
