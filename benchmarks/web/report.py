"""What was measured, as a table, and whether it is as it must be."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import ceil
from typing import Any, Final

MOST_MS: Final = 300
MOST_RATIO: Final = 1.5
FLOOR_MS: Final = 20
"""Below this the noise of a machine is larger than what the site's size does."""

LENGTHS: Final = 1.5
"""A longer answer holds more, as a page of 1,000 of what a small site has 100 of: it takes longer for that."""

LIMITS: Final = (
    f"p95 at {{large}} under {MOST_MS} ms, and at most {MOST_RATIO} times that at {{small}}. The ratio counts where "
    f"the p95 at {{large}} is {FLOOR_MS} ms or more, neither answer is more than {LENGTHS} times as long as the other, "
    "and the call does not read all it looks through for want of an index (*); else it is in parentheses"
)
HEAD: Final = (
    "| List call or page | small: p50, ms | p95 | large: p50, ms | p95 | × | CPU: small, ms | large | × | bytes × |",
    "|--|--|--|--|--|--|--|--|--|--|",
)


@dataclass(slots=True)
class Taken:
    """What answers took: milliseconds of the clock, and processor time of server and database; bytes of the last."""

    wall_ms: list[float] = field(default_factory=list)
    cpu_ms: list[float] = field(default_factory=list)
    length: int = 0

    def clear(self) -> None:
        """Nothing was measured yet."""
        self.wall_ms.clear()
        self.cpu_ms.clear()

    @property
    def p50(self) -> float:
        """Half of the answers took less, in milliseconds."""
        return sorted(self.wall_ms)[len(self.wall_ms) // 2]

    @property
    def p95(self) -> float:
        """19 of 20 answers took no longer, in milliseconds."""
        return sorted(self.wall_ms)[ceil(len(self.wall_ms) * 0.95) - 1]

    @property
    def cpu(self) -> float:
        """The median of processor time, in milliseconds."""
        return sorted(self.cpu_ms)[len(self.cpu_ms) // 2]


@dataclass(slots=True)
class Row:
    """An address on both sites. reads: whether it reads all it looks through, as no index knows what it asks for."""

    name: str
    small: Taken
    large: Taken
    reads: bool = False

    @property
    def ratio(self) -> float:
        """How much longer the large site's p95 is."""
        return self.large.p95 / self.small.p95

    @property
    def lengths(self) -> float:
        """How much longer the large site's answer is."""
        return self.large.length / self.small.length

    @property
    def counts(self) -> bool:
        """Whether the ratio says something about the site's size."""
        return not self.reads and self.large.p95 >= FLOOR_MS and 1 / LENGTHS <= self.lengths <= LENGTHS

    def line(self) -> str:
        """A line of the table."""
        small, large = self.small, self.large
        ratio = f"{self.ratio:.2f}" if self.counts else f"({self.ratio:.2f})"
        times = (small.p50, small.p95, large.p50, large.p95)
        cells = [f"`{self.name}`{' *' if self.reads else ''}", *(f"{each:.1f}" for each in times), ratio]
        cells += [f"{small.cpu:.1f}", f"{large.cpu:.1f}", f"{large.cpu / small.cpu:.2f}", f"{self.lengths:.2f}"]
        return f"| {' | '.join(cells)} |"

    def plain(self) -> dict[str, Any]:
        """Every figure."""
        sites = {"small": self.small, "large": self.large}
        return {"name": self.name, "ratio": self.ratio, "counts": self.counts} | {
            name: {"p50_ms": taken.p50, "p95_ms": taken.p95, "cpu_ms": taken.cpu, "bytes": taken.length}
            | {"wall_ms": taken.wall_ms}
            for name, taken in sites.items()
        }


def table(rows: Sequence[Row]) -> str:
    """All *rows*."""
    return "\n".join((*HEAD, *(row.line() for row in rows)))


def failures(rows: Sequence[Row]) -> list[str]:
    """What breaks a limit, a line each."""
    slow = [f"{row.name}: p95 {row.large.p95:.0f} ms" for row in rows if row.large.p95 >= MOST_MS]
    return slow + [
        f"{row.name}: {row.ratio:.2f} times, {row.small.p95:.1f} ms to {row.large.p95:.1f} ms"
        for row in rows
        if row.counts and row.ratio > MOST_RATIO
    ]
