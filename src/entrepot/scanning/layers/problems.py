"""What goes wrong in one layer, kept short: a hostile layer has a million of the same problem."""

from collections import Counter
from typing import Final

from entrepot.scanning.model import Problem

LONGEST_TEXT: Final = 256


class ProblemLog:
    """Problems in the order they were met; *per_code* of each code in full, further ones as a number."""

    def __init__(self, per_code: int) -> None:
        self._per_code = per_code
        self._kept: list[Problem] = []
        self._counts: Counter[tuple[str, bool]] = Counter()

    def add(self, code: str, path: str = "", detail: str = "", *, cut: bool = True) -> None:
        """Notes one."""
        self._counts[code, cut] += 1
        if self._counts[code, cut] <= self._per_code:
            self._kept.append(Problem(code, path[:LONGEST_TEXT], detail[:LONGEST_TEXT], cut))

    def all(self) -> tuple[Problem, ...]:
        """What was kept, then one problem per code for the rest, with their number."""
        rest = (
            Problem(code, "", f"and {count - self._per_code} more", cut)
            for (code, cut), count in self._counts.items()
            if count > self._per_code
        )
        return (*self._kept, *rest)

    @property
    def has_cut(self) -> bool:
        """Whether something may be missing from the facts."""
        return any(cut for _, cut in self._counts)
