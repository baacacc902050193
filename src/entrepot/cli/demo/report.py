"""What the demo found: one line per claim, and whether it held."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from entrepot.cli.output import Column, Item


@dataclass(frozen=True, slots=True)
class Line:
    """A claim of the demo. shown: what was seen, for people; figures: the same for programs, with units in the names.

    held: True or False; None where it could not be tried here (*shown* says why).
    """

    claim: str
    shown: str
    held: bool | None
    figures: Mapping[str, object] = field(default_factory=dict)

    def item(self) -> Item:
        """The line as a JSON object."""
        return {"claim": self.claim, "held": self.held, "shown": self.shown, "figures": dict(self.figures)}


@dataclass(frozen=True, slots=True)
class Report:
    """All lines of a demo that came to its end, or as far as it came."""

    lines: tuple[Line, ...]
    ended: bool
    seconds: float

    @property
    def held(self) -> bool:
        """Whether the demo came to its end and no line was found untrue."""
        return self.ended and all(line.held is not False for line in self.lines)

    @property
    def broken(self) -> tuple[str, ...]:
        """The claims that did not hold."""
        return tuple(line.claim for line in self.lines if line.held is False)

    def item(self) -> Item:
        """The report as a JSON object."""
        return {
            "held": self.held,
            "ended": self.ended,
            "seconds": round(self.seconds, 3),
            "lines": [line.item() for line in self.lines],
        }


WORDS: Final[Mapping[object, str]] = {True: "ok", False: "FAILED", None: "not tried"}
COLUMNS: Final = (
    Column("", lambda item: WORDS[item.get("held")]),
    Column("CLAIM", "claim"),
    Column("SEEN", "shown"),
)
