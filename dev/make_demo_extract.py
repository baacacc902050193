# ruff: noqa: INP001  scripts are no package
"""Makes the demo's advisory extract from a folder of feeds.

    python dev/make_demo_extract.py FEEDS

FEEDS holds `osv/Debian-12.jsonl.zst` and `osv/PyPI.jsonl.zst`, one OSV record a line. Every record that names one of
the demo's packages is copied unchanged, whether or not the demo's versions are affected. The first line is the
header: source, date, attribution, and the packages the extract speaks for.
"""

import argparse
import io
import json
import re
from collections.abc import Iterator
from pathlib import Path

import zstandard

from entrepot.cli.demo import images

TARGET = Path(__file__).parent.parent / "src/entrepot/cli/demo/data/advisories.jsonl.zst"
MAX_BYTES = 1_000_000
BUILT_AT = "2025-02-12T18:06:49Z"
ATTRIBUTION = (
    "Debian security tracker, DSA and DLA (Debian security team), converted to OSV by the OSV project; "
    "GitHub Advisory Database, CC-BY-4.0"
)


def records(path: Path) -> Iterator[tuple[str, frozenset[str]]]:
    """Each line of *path* and the names it speaks of."""
    with path.open("rb") as file, zstandard.ZstdDecompressor().stream_reader(file) as stream:
        for line in io.TextIOWrapper(stream, "utf-8"):
            affected = json.loads(line)["affected"]
            yield line, frozenset(entry["package"]["name"] for entry in affected)


def normalized(name: str) -> str:
    """A Python distribution's name as indexes compare it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def main() -> None:
    """Write the extract."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("feeds", type=Path)
    feeds = arguments.parse_args().feeds / "osv"

    debian = {row.source for row in images.packages(after=False)} | {row.source for row in images.packages(after=True)}
    python = {normalized(name) for name in (*images.DISTRIBUTIONS, "Jinja2")}
    taken = [line for line, names in records(feeds / "Debian-12.jsonl.zst") if names & debian]
    taken += [line for line, names in records(feeds / "PyPI.jsonl.zst") if {*map(normalized, names)} & python]
    header = {
        "source": "demo",
        "built_at": BUILT_AT,
        "attribution": ATTRIBUTION,
        "packages": {"debian:12": sorted(debian), "pypi": sorted(python)},
    }
    text = json.dumps({"entrepot_feed": header}) + "\n" + "".join(taken)
    data = zstandard.ZstdCompressor(level=19, write_checksum=True).compress(text.encode())
    if len(data) > MAX_BYTES:
        raise SystemExit(f"{len(data)} bytes are too many for the wheel")
    TARGET.write_bytes(data)
    print(f"{len(taken)} records, {len(text)} bytes, {len(data)} compressed")  # noqa: T201  the script's one answer


if __name__ == "__main__":
    main()
