"""Medians, and how far the ratio of two servers can be trusted."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Final

RESAMPLES: Final = 2_000
COVERED: Final = 0.95


@dataclass(frozen=True, slots=True)
class Ratio:
    """How many times as good we are: of the medians, with a 95 % interval."""

    value: float
    low: float
    high: float


def ratio(ours: Sequence[float], theirs: Sequence[float], *, more: bool) -> Ratio:
    """The ratio of the medians of paired rounds, above 1 where we are better; *more*: whether more is better.

    The interval is a paired bootstrap: rounds are drawn again with their pairs, so that what made a whole round slow
    makes both slow. With n rounds it can't be narrower than the rounds allow; with one it has no width.
    """
    pairs = list(zip(ours, theirs, strict=True))
    source = random.Random(0)
    drawn = sorted(_of(source.choices(pairs, k=len(pairs)), more=more) for _ in range(RESAMPLES))
    cut = round(RESAMPLES * (1 - COVERED) / 2)
    return Ratio(_of(pairs, more=more), drawn[cut], drawn[-1 - cut])


def _of(pairs: Sequence[tuple[float, float]], *, more: bool) -> float:
    ours, theirs = median(pair[0] for pair in pairs), median(pair[1] for pair in pairs)
    return ours / theirs if more else theirs / ours
