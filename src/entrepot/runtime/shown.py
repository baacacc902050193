"""How distances in time and sizes are shown to people, at a terminal and on pages alike."""

from datetime import datetime
from typing import Final

UNITS: Final = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))


def relative(at: datetime, now: datetime) -> str:
    """The distance of *at* from *now* in its largest whole unit: `2 d ago`, `in 3 h`, `now`."""
    seconds = int(abs((now - at).total_seconds()))
    for length, unit in UNITS:
        if seconds >= length:
            distance = f"{seconds // length} {unit}"
            return f"{distance} ago" if at < now else f"in {distance}"
    return "now"


def byte_size(count: int) -> str:
    """*count* bytes in the largest binary unit that leaves at least one: `1.8 MiB`."""
    size = float(count)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if size < 1024:
            return f"{int(size)} B" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} TiB"
