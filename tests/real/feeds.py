"""Feed files as text: raw records in, raw records out, without the product's own reader."""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import zstandard

EXTRACTS: Final = Path(__file__).parents[1] / "data" / "feeds"
WHOLE: Final = Path(os.environ.get("ENTREPOT_TEST_FEEDS") or Path(__file__).parents[3] / "shared" / "feeds")


@dataclass(frozen=True, slots=True)
class RawFeed:
    """A feed of JSON lines: its *header* line (what stands under `entrepot_feed`; None without one) and *records*."""

    header: Mapping[str, Any] | None
    records: Sequence[Mapping[str, Any]]


def read_raw(path: Path) -> RawFeed:
    """The JSON lines of *path*, zstd if its name says so."""
    text = path.read_bytes()
    if path.suffix == ".zst":
        text = zstandard.ZstdDecompressor().stream_reader(text, read_across_frames=True).read()
    lines = [json.loads(line) for line in text.splitlines()]
    if "entrepot_feed" in lines[0]:
        return RawFeed(lines[0]["entrepot_feed"], lines[1:])
    return RawFeed(None, lines)


def write_raw(path: Path, feed: RawFeed) -> Path:
    """*feed* as plain JSON lines in *path*."""
    lines = [] if feed.header is None else [{"entrepot_feed": feed.header}]
    path.write_text("".join(json.dumps(line) + "\n" for line in (*lines, *feed.records)))
    return path


def variants(extract: str, *whole: str) -> dict[str, tuple[Path, ...]]:
    """Feed files by name: the committed `extract`, and the `whole` ones where they lie beside the repository."""
    found = {"extract": (EXTRACTS / extract,)}
    files = tuple(WHOLE / name for name in whole)
    return found | ({"whole": files} if all(file.is_file() for file in files) else {})
